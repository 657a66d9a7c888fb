"""Development: all modules in one process, started again when a file changes. No Envoy; the database as in a fleet.

The listening socket stays open over restarts, so a browser that reloads too early waits instead of failing. A version that does
not start says why and is followed by the next change.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from watchfiles import PythonFilter, awatch  # pyright: ignore[reportUnknownVariableType]  (its types are partial)

from ramet.engines.errors import PortTaken
from ramet.engines.files import write_whole
from ramet.engines.identity import identify, write_pidfile
from ramet.engines.locks import DirectoryLock
from ramet.model.launch import Launch
from ramet.model.routing import Owner, RoutingTable
from ramet.model.sharding import whole
from ramet.model.topology import Application
from ramet.module import Module
from ramet.operate.databases import DatabaseServer
from ramet.operate.folder import DEV_INSTANCE, Folder
from ramet.operate.keeper import listening
from ramet.operate.leftovers import end_instances
from ramet.wire import values

STOP_S = 5.0


class Development:
    """port: of the HTTP entrance, 0 for a free one."""

    def __init__(
        self,
        application: Application,
        file: Path,
        modules: Mapping[str, Module],
        folder: Folder,
        *,
        port: int,
        report: Callable[[str], None],
        settings: Mapping[str, str],
    ) -> None:
        self._application = application
        self._file = file.resolve()
        self._folder = folder
        self._report = report
        self._settings = dict(settings)
        self._databases = DatabaseServer(
            application, modules.values(), folder, lambda change: report(f"{change.name}: {change.status.value}")
        )
        self._table = RoutingTable(1, {})
        self._port = port
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        assert self._socket is not None, "it is opened by `run`"
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def run(self) -> None:
        """Until cancelled, or until ramet.toml changes: what it says is read once, by whoever makes this object.

        Raises EngineBusy where a fleet or another one runs in this folder, PortTaken.
        """
        self._folder.make()
        lock = DirectoryLock(self._folder.root / "lock", what=f"{self._application.name} in {self._folder.root}")
        lock.acquire()
        try:
            await end_instances(self._folder)
            self._open()
            if self._databases.is_needed:
                await self._databases.start()
                await self._migrate()
            # All modules, also those that have no schedule yet: the next change may bring one.
            epochs = await self._databases.reserve(self._application.modules)
            self._table = RoutingTable(1, {}, owners={name: Owner(DEV_INSTANCE, epoch) for name, epoch in epochs.items()})
            await self._serve()
        finally:
            await self._databases.stop()
            if self._socket is not None:
                self._socket.close()
            self._folder.forget_sockets()
            lock.release()

    def _open(self) -> None:
        try:
            self._socket = listening("127.0.0.1", self._port)
        except OSError as error:
            hint = "ramet dev --port 0 takes a free one"
            raise PortTaken(f"port {self._port} cannot be used: {error.strerror}", hint=hint) from error

    async def _migrate(self) -> None:
        await self._databases.provision()
        await self._databases.migrate(lambda module, revision: self._report(f"migrated {module}: {revision}"))

    async def _serve(self) -> None:
        self._report(f"{self._application.name} on {self.url}, docs on {self.url}/docs; Ctrl-C stops")
        changes = awatch(
            self._file.parent, watch_filter=PythonFilter(extra_extensions=(".toml",), ignore_paths=[self._folder.root])
        )
        process = await self._start()
        try:
            while True:
                ended = asyncio.ensure_future(process.wait())
                changed = asyncio.ensure_future(anext(changes))
                done, _ = await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
                if ended in done and changed not in done:
                    self._report(f"it ended with code {process.returncode}; waiting for a change")
                names = sorted({Path(path).name for _, path in await changed})
                self._report(f"changed: {', '.join(names[:5])}")
                if self._file.name in names:
                    return
                await _stop(process)
                ended.cancel()
                if self._databases.is_needed:
                    await self._try(self._migrate)
                process = await self._start()
        finally:
            await _stop(process)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  (a file that is being edited may raise anything; the next change brings another)
            self._report(f"error: {error}")

    async def _start(self) -> asyncio.subprocess.Process:
        assert self._socket is not None, "it is opened by `run`"
        state = self._folder.sockets / DEV_INSTANCE
        state.mkdir(mode=0o700, exist_ok=True)
        write_whole(state / "routing.json", values.encode_json(self._table))
        launch = Launch(
            application=str(self._file),
            service="dev",
            instance=DEV_INSTANCE,
            modules=list(self._application.modules),
            state=str(state),
            http_fd=self._socket.fileno(),
            databases={module: whole(url) for module, url in self._databases.urls().items()} if self._databases.is_needed else {},
            pooler=self._databases.pooler,
            direct=self._databases.direct if self._databases.is_needed else "",
            pool_size=self._databases.pool_size,
            drain_delay_s=0.0,
            settings=self._settings,
        )
        path = self._folder.root / "dev.json"
        write_whole(path, values.encode_json(launch))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ramet.process",
            str(path),
            cwd=self._file.parent,
            pass_fds=(self._socket.fileno(),),
            env={
                **os.environ,
                "RAMET_LOG_FORMAT": "color" if sys.stderr.isatty() else os.environ.get("RAMET_LOG_FORMAT", "plain"),
            },
            start_new_session=True,
        )
        pidfile = self._folder.instance(DEV_INSTANCE) / "pid"
        pidfile.parent.mkdir(parents=True, exist_ok=True)
        if (identity := identify(process.pid)) is not None:
            write_pidfile(pidfile, identity)  # should this command be killed, the next one in this folder ends it
        return process


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
