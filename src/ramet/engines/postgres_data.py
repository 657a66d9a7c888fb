"""The data directory of a PostgreSQL: made by initdb, configured, and what it says of the server that runs in it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ramet.engines import postgres_making
from ramet.engines.accounts import owner_of
from ramet.engines.errors import EngineFailed, EngineUnfit
from ramet.engines.files import read_tail, size_of, write_whole
from ramet.engines.identity import Identity, identify
from ramet.engines.postgres_binaries import Binaries
from ramet.engines.postgres_making import HERE, Place, path_for

CONFIGURATION = "ramet.conf"
SUPERUSER = "ramet"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says. socket_directory is empty while it starts, or if it has none."""

    pid: int
    port: int
    socket_directory: str


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


async def create(place: Place, *, password: str) -> None:
    """Run initdb. Raises EngineFailed with its words; then, and when cancelled, nothing is left."""
    start = size_of(place.log)
    async with postgres_making.making(place) as made:
        with postgres_making.secret_file(f"{password}\n", place.account) as secret:
            arguments = [
                f"--pgdata={path_for(made, place.account)}",
                f"--username={SUPERUSER}",
                f"--pwfile=/dev/fd/{secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--data-checksums",
            ]
            status = await postgres_making.run("initdb", arguments, place=place, directory=made, pass_fds=[secret])
        if status != 0:
            raise _initdb_failed(status, place, start)
        include_configuration(made)
        postgres_making.put(made, place)


def include_configuration(data: Path) -> None:
    """Let the server's own configuration end with ours. Nothing happens if it does already, as in a copy."""
    path, line = data / "postgresql.conf", f"include_if_exists = '{CONFIGURATION}'\n"
    if not path.exists() or line not in path.read_text(encoding="utf-8"):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}")


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


async def end_orphans(data: Path) -> None:
    """Kill what works on although its server or its supervisor is gone: a backend deep in a query could still commit.

    Known by name and by working in this directory. Where /proc is missing there is nothing to find them by. Raises EngineFailed
    if they outlive that.
    """
    tries = 250  # of 20 ms: 5 s, as for every SIGKILL
    while orphans := list(_find_orphans(data)):
        tries -= 1
        if tries == 0:
            raise EngineFailed(f"processes {orphans} work on PostgreSQL's data, and did not end after SIGKILL", where=data)
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.02)


def _find_orphans(data: Path) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (process / "comm").read_text(encoding="utf-8").strip()
            if name in ("postgres", "pg_rewind") and (process / "cwd").samefile(data):
                yield int(process.name)


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


def _initdb_failed(status: int | None, place: Place, start: int) -> EngineFailed:
    tail = read_tail(place.log, since=start)
    return EngineFailed(
        f"initdb could not make the data directory (status {status})",
        log_tail=tail,
        where=place.data,
        hint=hint_for(tail, place.data),
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
