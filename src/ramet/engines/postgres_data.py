"""The data directory of a PostgreSQL: made whole or not at all, and what it says of the server that runs in it.

A new one is made next to its place and renamed into it: killed at any instant, either there is no data directory or a
whole one. What an interrupted attempt left is removed by the next, which holds the lock.

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
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from ramet.engines.accounts import Account, is_reachable, owner_of
from ramet.engines.errors import EngineFailed, EngineUnfit
from ramet.engines.files import read_tail, size_of, write_whole
from ramet.engines.identity import Identity, identify, read_pidfile, write_pidfile
from ramet.engines.postgres_binaries import Binaries
from ramet.engines.processes import Command, Process

HERE = Path("/proc/self/cwd")
CONFIGURATION = "ramet.conf"
SUPERUSER = "ramet"

_MAKING = ".data-"
_KILL = ((signal.SIGKILL, 5.0),)


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says. socket_directory is empty while it starts, or if it has none."""

    pid: int
    port: int
    socket_directory: str


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


def check(data: Path, binaries: Binaries) -> None:
    """Raises EngineUnfit if these binaries cannot serve this directory."""
    major = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if major != str(binaries.major):
        raise EngineUnfit(
            f"the data is of PostgreSQL {major}, the binaries are {binaries.version}",
            where=str(data),
            hint=f"use PostgreSQL {major}, or move the data with pg_upgrade or pg_dump",
        )
    owner = owner_of(data).uid
    if os.geteuid() not in (0, owner):
        raise EngineUnfit(
            f"the data belongs to user {owner}, and we are user {os.geteuid()}",
            where=str(data),
            hint=f"run as that user or as root, or give it away: sudo chown -R {os.geteuid()} {data}",
        )


async def create(data: Path, *, binaries: Binaries, account: Account | None, password: str, log: Path) -> None:
    """Run initdb. Raises EngineFailed with its words; then, and when cancelled, nothing is left."""
    pidfile = data.parent / "initdb.pid"
    orphan = read_pidfile(pidfile)
    if orphan is not None:  # our predecessor was killed, and its initdb works on
        await Process.adopt("initdb", orphan).stop(_KILL)
    await _remove_leftovers(data.parent)
    start = size_of(log)
    async with _directory_in(data.parent, account) as making:
        with tempfile.TemporaryFile() as secret:  # open, unlinked: the password is on no command line and in no directory
            secret.write(f"{password}\n".encode())
            secret.flush()
            if account is not None:
                os.fchown(secret.fileno(), *account.owner)
            command = Command(
                argv=[
                    binaries["initdb"],
                    f"--pgdata={path_for(making, account)}",
                    f"--username={SUPERUSER}",
                    f"--pwfile=/dev/fd/{secret.fileno()}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--data-checksums",
                ],
                directory=making,
                log=log,
                account=account,
                pass_fds=[secret.fileno()],
            )
            status = await _run(command, pidfile)
        if status != 0:
            raise _initdb_failed(status, data, log, start)
        with (making / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"\ninclude_if_exists = '{CONFIGURATION}'\n")
        making.rename(data)


def write_configuration(data: Path, text: str) -> bool:
    """Whether it differs from what was there."""
    path = data / CONFIGURATION
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return False
    write_whole(path, content, owner=owner_of(data).owner)
    return True


def read_postmaster(data: Path) -> Postmaster | None:
    """None if there is no pid file, or one that is half written."""
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return Postmaster(int(lines[0]), int(lines[3]), lines[4])
    return None


def find_postmaster(data: Path, known: Identity | None) -> Identity | None:
    """The live server of this directory, whoever started it.

    known: what our own pid file says, trusted if it is alive. Otherwise the pid in `postmaster.pid`, if that process works in
    this directory (a server never leaves it); where /proc is missing this cannot be told, and PostgreSQL itself refuses a second
    server.
    """
    if known is not None:
        return known
    postmaster = read_postmaster(data)
    if postmaster is None:
        return None
    identity = identify(postmaster.pid)
    return identity if identity is not None and _works_in(postmaster.pid, data) else None


def forget_stranger(data: Path, sockets: Path) -> None:
    """Remove lock files that would keep PostgreSQL from starting, although no server runs here.

    sockets: its socket directory, which nobody shares.

    It starts over a file whose number nobody has. But the number may have gone to some other program, or be that of a server
    that ended and that nobody reaps, as in a container whose first process does not care; or a full disk left the file empty.
    That backends may have outlived their server is not told by these files: PostgreSQL itself looks for users of the directory's
    shared memory.
    """
    postmaster = read_postmaster(data)
    if postmaster is None:
        (data / "postmaster.pid").unlink(missing_ok=True)
    elif _may_serve(postmaster.pid, data):
        return
    elif _is_number_in_use(postmaster.pid):
        (data / "postmaster.pid").unlink(missing_ok=True)
    for left in sockets.glob(".s.PGSQL.*"):
        left.unlink(missing_ok=True)


def _is_number_in_use(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _may_serve(pid: int, data: Path) -> bool:
    """Whether this process could be the directory's server; in doubt, where the system has no /proc, it is."""
    return identify(pid) is not None and (not HERE.exists() or _works_in(pid, data))


def _works_in(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False


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


@contextlib.asynccontextmanager
async def _directory_in(parent: Path, account: Account | None) -> AsyncGenerator[Path]:
    path = Path(tempfile.mkdtemp(prefix=_MAKING, dir=parent))
    try:
        if account is not None:
            os.chown(path, *account.owner)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def _run(command: Command, pidfile: Path) -> int | None:
    process = Process.start("initdb", command)
    try:
        write_pidfile(pidfile, process.identity)
        return await process.wait_exit()
    finally:
        await process.stop(_KILL)


def _initdb_failed(status: int | None, data: Path, log: Path, start: int) -> EngineFailed:
    tail = read_tail(log, since=start)
    return EngineFailed(
        f"initdb could not make the data directory (status {status})",
        log_tail=tail,
        where=data,
        hint=hint_for(tail, data),
    )


def hint_for(log_tail: str, data: Path) -> str | None:
    """What to do about what the log says; None if we do not know."""
    if "No space left on device" in log_tail:
        return f"the disk is full: free some space, see df -h {data.parent}"
    if "Address already in use" in log_tail:
        return "another program has the port: stop it, or give PostgresSettings another port or none"
    if "still in use" in log_tail or "already running" in log_tail:
        return "processes of an earlier server are still at work; they end with their last query"
    return None
