"""How a data directory is made: by a program of PostgreSQL, next to its place, and renamed into it.

Killed at any instant, either there is no data directory or a whole one. What an interrupted attempt left, its program included,
is ended and removed by the next, which holds the lock.

The account of the server may be unable to walk to the directory, as in a project under /root (mode 0700). It does not need to:
the process is placed in the directory before it changes its account, and is told to find its data at /proc/self/cwd. Where
the path can be walked, the path is used, because it reads better in `ps`.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ramet.engines.accounts import Account, is_reachable
from ramet.engines.errors import EngineUnfit
from ramet.engines.files import sync_directory
from ramet.engines.identity import read_pidfile, write_pidfile
from ramet.engines.postgres_binaries import Binaries
from ramet.engines.processes import Command, Process

HERE = Path("/proc/self/cwd")

_MAKING = ".data-"
_KILL = ((signal.SIGKILL, 5.0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server's data is or is to be, and with which binaries, as whom, it is worked on."""

    data: Path
    binaries: Binaries
    account: Account | None
    log: Path
    """Takes what the programs write."""

    @property
    def directory(self) -> Path:
        """Of everything about this server; the data is in it."""
        return self.data.parent


def path_for(data: Path, account: Account | None) -> Path:
    """How a process whose working directory is `data` names it.

    Raises EngineUnfit where the account cannot walk to it and the system has no /proc.
    """
    if is_reachable(data, account):
        return data
    if not HERE.exists():
        raise EngineUnfit(
            f"user {account.uid if account else '?'}, as whom PostgreSQL runs, cannot reach the data directory",
            where=str(data),
            hint="run Ramet as an ordinary user, or keep the project where the directories above it are open (chmod a+x)",
        )
    return HERE


@contextlib.asynccontextmanager
async def making(place: Place) -> AsyncGenerator[Path]:
    """An empty directory next to the data, to be filled and handed to `put`. It is removed at the end if it was not."""
    await end_program(place)
    await _remove_leftovers(place.directory)
    path = Path(tempfile.mkdtemp(prefix=_MAKING, dir=place.directory))
    try:
        if place.account is not None:
            os.chown(path, *place.account.owner)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def put(made: Path, place: Place) -> None:
    """Make it the data. Data that was there is moved aside and removed; killed in between there is none, and no half of one."""
    if place.data.exists():
        aside = Path(tempfile.mkdtemp(prefix=_MAKING, dir=place.directory))
        place.data.rename(aside / "data")
        made.rename(place.data)
        sync_directory(place.directory)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        made.rename(place.data)
        sync_directory(place.directory)


async def run(name: str, arguments: Sequence[str], *, place: Place, directory: Path, pass_fds: Sequence[int] = ()) -> int | None:
    """Run a program of PostgreSQL in a directory until it ends, and return its status. Killed when this is cancelled."""
    command = Command(
        argv=[place.binaries[name], *arguments],
        directory=directory,
        log=place.log,
        account=place.account,
        pass_fds=pass_fds,
        environment=plain_environment(),
    )
    process = Process.start(name, command)
    try:
        write_pidfile(_pidfile(place), process.identity)
        return await process.wait_exit()
    finally:
        await process.stop(_KILL)


async def end_program(place: Place) -> None:
    """Our predecessor was killed, and the program that it ran may work on."""
    orphan = read_pidfile(_pidfile(place))
    if orphan is not None:
        await Process.adopt("making", orphan).stop(_KILL)


def plain_environment() -> dict[str, str]:
    """Ours without PostgreSQL's own variables, and with messages in English, as they are read by us."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}, "LC_ALL": "C"}


@contextlib.contextmanager
def secret_file(content: str, account: Account | None) -> Generator[int]:
    """A file without a name that the account can read as /dev/fd/N: on no command line and in no directory.

    Linux opens such a path anew each time, so a program may read it more than once.
    """
    with tempfile.TemporaryFile() as secret:
        secret.write(content.encode())
        secret.flush()
        if account is not None:
            os.fchown(secret.fileno(), *account.owner)
        yield secret.fileno()


def _pidfile(place: Place) -> Path:
    return place.directory / "making.pid"


async def _remove_leftovers(parent: Path) -> None:
    """What an interrupted attempt made. Its last processes may be dying still, and write while we remove: a few tries."""
    for _ in range(20):
        if _try_remove_leftovers(parent):
            return
        await asyncio.sleep(0.02)


def _try_remove_leftovers(parent: Path) -> bool:
    leftovers = list(parent.glob(f"{_MAKING}*"))
    for left in leftovers:
        shutil.rmtree(left, ignore_errors=True)
    return not any(left.exists() for left in leftovers)
