"""Bring a module's database up to date, and tell whether it is. One verb a function: `up`, `down`, `status`, `verify`; `new` is
in `revisions`.

`up` runs Alembic over the module's own role, so a migration can reach nothing but the module's schema. Around it is an
advisory lock of the session: of two migrators the second waits, and then finds nothing to do. Each migration is a transaction,
but for one with CONCURRENTLY, and a backfill, which is many. One that fails leaves the version before it. Each statement waits
for a table's lock for 1 s at most, since everyone else queues behind it meanwhile; then the migration is undone and tried
again, after a pause in which the others get on.

Alembic is synchronous and works by a global `op`, so it runs one migration at a time in a process, in SQLAlchemy's `run_sync`.
Backfills are not Alembic's and run side by side.
"""

import asyncio
import random
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ramet.data import backfilling, driver, errors, refusals, revisions
from ramet.data.address import Address
from ramet.data.backfilling import Backfill, Hold, Progress
from ramet.data.entry import open_session
from ramet.data.revisions import Phase, Revision
from ramet.data.schemas import quote
from ramet.data.statements import is_script

VERSION_TABLE = "ramet_migrations"
LOCK_TIMEOUT_S = 1.0
"""The longest that an innocent query waits behind a migration that waits itself."""
MAX_ATTEMPTS = 15
"""Of one migration that cannot get a lock. With the pauses this is about two minutes."""
LONGEST_PAUSE_S = 15.0
WAIT_S = 600.0
"""For another migrator, in seconds. Ten minutes: a long migration, but not a forgotten one."""
_LOCK_CLASS = 0x72616D65
"""'rame': the first half of the advisory lock's key; the second is the schema's CRC."""

Report = Callable[[Revision], None]


@dataclass(frozen=True, slots=True)
class Status:
    """current: what the database has, empty for nothing. missing: what it lacks, in order. is_ahead: it has one that this
    code does not know."""

    module: str
    current: tuple[str, ...]
    head: str | None
    missing: tuple[Revision, ...]
    is_ahead: bool


async def status(module: str, folder: Path, address: Address) -> Status:
    """Raises DatabaseUnavailable, or MigrationFailed for a folder that makes no sense."""
    history = revisions.read(folder)
    connection = await _connect(address)
    try:
        current = await _current(connection, address.schema)
    finally:
        await connection.close(timeout=5.0)
    return Status(module, current, history.head, history.missing(current), history.is_behind(current))


async def verify(module: str, folder: Path, address: Address) -> Status:
    """What an instance does at its start: look, and never migrate. Raises MigrationsPending if the database is behind this code.

    A database that is ahead is fine: during a release the old instances run on the new schema. So is one that lacks a contract:
    what it would take away is there for the old ones.
    """
    found = await status(module, folder, address)
    if needed := [revision for revision in found.missing if revision.phase is not Phase.CONTRACT]:
        raise errors.MigrationsPending(
            f"the database of `{module}` is at {', '.join(found.current) or 'nothing'}"
            f" and lacks {len(needed)}: {', '.join(map(str, needed))}",
            where=str(folder),
            hint=f"ramet migrate up {module}",
        )
    return found


async def up(
    module: str,
    folder: Path,
    address: Address,
    *,
    to: str | None = None,
    report: Report | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    hold: Hold | None = None,
    wait_s: float = WAIT_S,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    max_attempts: int = MAX_ATTEMPTS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[Revision]:
    """Apply what is missing, in order; returns it. to: the last one to apply, None for all. report: told of each when it is
    committed. progress: told of each batch of a backfill. hold: asked before each.

    Raises MigrationFailed with revision, statement and the server's words, or MigrationLocked.
    """
    history = revisions.read(folder)
    applied: list[Revision] = []

    def note(revision: Revision) -> None:
        applied.append(revision)
        if report is not None:
            report(revision)

    async def once(connection: driver.Driver) -> None:
        missing = history.missing(await _current(connection, address.schema))
        if to is not None:
            wanted = history.ancestors([to])
            missing = tuple(revision for revision in missing if revision.id in wanted)
        _refuse_blank(missing)
        for revision in missing:
            if revision.phase is Phase.BACKFILL:
                await _fill_in(connection, revision, hold, progress, sleep)
            await _run(connection, folder, address.schema, revision)
            note(revision)

    await _locked(module, address, once, wait_s, lock_timeout_s, max_attempts, sleep)
    return applied


async def down(
    module: str,
    folder: Path,
    address: Address,
    undone: Collection[str],
    *,
    report: Report | None = None,
    wait_s: float = WAIT_S,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    max_attempts: int = MAX_ATTEMPTS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[Revision]:
    """Take back those of `undone` that are applied, the last one first; returns them. Raises MigrationRefused for a contract, and
    as `up`."""
    history = revisions.read(folder)
    taken: list[Revision] = []

    async def once(connection: driver.Driver) -> None:
        for revision in reversed(history.applied(await _current(connection, address.schema))):
            if revision.id not in undone:
                return
            if revision.phase is Phase.CONTRACT:
                raise errors.MigrationRefused(
                    f"{revision} of `{module}` took away what it would have to bring back",
                    where=str(revision.path),
                    hint=f"the way from here is forward: ramet migrate new {module} ...",
                )
            if revision.phase is Phase.BACKFILL:
                await backfilling.forget(connection, revision.id)
            await _run(connection, folder, address.schema, revision, backwards=True)
            taken.append(revision)
            if report is not None:
                report(revision)

    await _locked(module, address, once, wait_s, lock_timeout_s, max_attempts, sleep)
    return taken


def render(folder: Path, revision: Revision) -> tuple[list[str], list[Backfill]]:
    """The statements that a migration would execute, and what it would fill in; without a server. Raises MigrationFailed."""
    try:
        return _alembic(revision).render(folder, VERSION_TABLE, revision)
    except errors.MigrationFailed:
        raise
    except Exception as error:
        raise errors.MigrationFailed(
            f"the SQL of {revision} cannot be told without running it: {type(error).__name__}: {error}",
            revision=revision.id,
            where=str(revision.path),
            hint="a migration that reads the database: op.execute() with SQL that does the same",
        ) from error


async def _locked(
    module: str,
    address: Address,
    once: Callable[[driver.Driver], Awaitable[None]],
    wait_s: float,
    lock_timeout_s: float,
    max_attempts: int,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """As the only migrator of a database, as often as it takes to get the tables' locks."""
    connection = await _connect(address, lock_timeout=f"{round(lock_timeout_s * 1000)}ms")
    try:
        await _lock(connection, module, address.schema, wait_s, sleep)
        attempt = 1
        while True:
            try:
                await once(connection)
            except errors.MigrationLocked:
                if attempt == max_attempts:
                    raise
            else:
                return
            attempt += 1
            await sleep(min(LONGEST_PAUSE_S, 2.0**attempt / 4) * (0.5 + random.random() / 2))  # noqa: S311  (spreads retries, guards nothing)
    finally:
        await connection.close(timeout=5.0)


def _refuse_blank(missing: Iterable[Revision]) -> None:
    """It would be marked as applied, and what is written into it afterwards would never run. `ramet dev` migrates at every
    change."""
    if blank := next((revision for revision in missing if revision.is_blank), None):
        raise errors.MigrationFailed(
            f"{blank} has no statement yet",
            revision=blank.id,
            where=str(blank.path),
            hint="write what it does into upgrade(), or delete the file",
        )


async def _run(connection: driver.Driver, folder: Path, schema: str, revision: Revision, *, backwards: bool = False) -> None:
    alembic = _alembic(revision)
    run = alembic.downgrade if backwards else alembic.upgrade
    try:
        async with _one_at_a_time():
            await run(connection, folder, schema, VERSION_TABLE, revision)
    except Exception as error:
        raise _failure(error, revision) from error


async def _fill_in(
    connection: driver.Driver,
    revision: Revision,
    hold: Hold | None,
    progress: Callable[[Progress], None],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    for number, backfill in enumerate(_alembic(revision).collect(revision)):
        try:
            await backfilling.run(connection, revision.id, number, backfill, hold=hold, report=progress, sleep=sleep)
        except Exception as error:
            raise _failure(error, revision) from error


def _alembic(revision: Revision) -> Any:
    """Deferred: Alembic and SQLAlchemy are for whoever migrates; an instance that verifies does without."""
    try:
        from ramet.data import alembic
    except ModuleNotFoundError as error:
        raise errors.MigrationFailed(
            f"{error.name} is not installed", revision=revision.id, hint="pip install 'ramet[postgres]'"
        ) from error
    return alembic


def _failure(error: Exception, revision: Revision) -> Exception:
    """What stopped a migration, with the statement that the server did not like."""
    refused = getattr(getattr(error, "orig", None), "__cause__", None)
    cause = refused or error
    statement = statement_at(str(getattr(error, "statement", "") or ""), getattr(cause, "position", None))
    ours = refusals.ours(cause)
    if isinstance(ours, errors.LockNotAvailable):
        return errors.MigrationLocked(
            f"{revision} could not get a lock: {ours.message}",
            where=str(revision.path),
            hint="what runs for so long? SELECT * FROM pg_stat_activity",
        )
    if isinstance(error, errors.MigrationFailed):
        return errors.MigrationFailed(
            error.message, revision=revision.id, where=error.where or str(revision.path), hint=error.hint
        )
    said = ours.message if isinstance(ours, errors.DatabaseError) else f"{type(error).__name__}: {error}"
    undone = "" if revision.is_autocommit or revision.phase is Phase.BACKFILL else " and was undone"
    shown = f"\nin the statement: {statement}" if statement else ""
    return errors.MigrationFailed(
        f"{revision} failed{undone}: {said}{shown}", revision=revision.id, statement=statement, where=str(revision.path)
    )


def statement_at(script: str, position: str | None) -> str:
    """The one of several statements that the server pointed at. position: in characters from 1; None for the whole."""
    if position is None or not is_script(script):
        return script.strip()
    at = min(int(position) - 1, len(script))
    start = script.rfind(";", 0, at) + 1
    end = script.find(";", at)
    return script[start : end if end >= 0 else len(script)].strip()


async def _connect(address: Address, **settings: str) -> driver.Driver:
    try:
        return await open_session(address, settings=settings)
    except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
        raise errors.DatabaseUnavailable(
            f"cannot connect to {address}: {error or 'no answer within 10 s'}",
            hint="is the server running, and is the role provisioned?",
        ) from error


async def _current(connection: driver.Driver, schema: str) -> tuple[str, ...]:
    table = f"{quote(schema)}.{VERSION_TABLE}"
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return ()
    return tuple(row[0] for row in await connection.fetch(f"SELECT version_num FROM {table} ORDER BY 1"))  # noqa: S608  (quoted above)


async def _lock(
    connection: driver.Driver, module: str, schema: str, wait_s: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """By asking again and again: a wait inside of the server would be cut off by lock_timeout, and hold back vacuum."""
    clock = asyncio.get_running_loop().time
    until = clock() + wait_s
    key = zlib.crc32(schema.encode()) - 2**31
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK_CLASS, key):
        if clock() >= until:
            raise errors.MigrationLocked(
                f"another migrator of `{module}` was at work for more than {wait_s:g} s",
                hint="SELECT * FROM pg_locks WHERE locktype = 'advisory'",
            )
        await sleep(0.1)


_locks: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]" = WeakKeyDictionary()


def _one_at_a_time() -> asyncio.Lock:
    return _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
