"""Streaming replication, asked and told in SQL: who is primary, how far each node is, slots, promotion, synchronous commit.

An LSN is a place in the log, in bytes since its beginning. LSNs of two timelines may be compared up to where the younger one
forked off, which its history says (`fork`).

Every function opens a connection of its own, as whom the address names: a superuser, or a role with `pg_monitor`, `REPLICATION`
and the right to the functions that it uses. All raise a DatabaseError; DatabaseUnavailable where nobody answers.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NewType

from ramet.data import administering, driver, errors
from ramet.data.address import Address
from ramet.data.driver import Driver

Lsn = NewType("Lsn", int)

RELOAD_S = 10.0
"""For a setting to be read by the server that was told to."""
PROMOTION_S = 60.0
"""A replica replays what it has received before it is promoted: at worst what it was behind."""
SLOT_S = 10.0
"""How long a slot that is in use is tried to be dropped: its holder was told to end, and ends with its next write."""
_POLL_S = 0.005
_PROGRESS_S = 0.2
_IN_USE, _EXISTS, _ABSENT, _NOT_IN_RECOVERY = "55006", "42710", "42704", "55000"

_STATUS = """\
SELECT pg_is_in_recovery() AS is_replica,
  CASE WHEN pg_is_in_recovery()
    THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_flush_lsn() END - '0/0' AS flushed,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0' AS replayed,
  CASE WHEN pg_is_in_recovery()
    THEN (SELECT max(('x' || left(name, 8))::bit(32)::int) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$')
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END AS timeline,
  extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS replay_age_s,
  coalesce((SELECT status = 'streaming' FROM pg_stat_wal_receiver), false) AS is_streaming"""
_FOLLOWERS = """\
SELECT application_name, state = 'streaming', (flush_lsn - '0/0')::int8, (replay_lsn - '0/0')::int8,
  sync_state IN ('sync', 'quorum')
FROM pg_stat_replication WHERE state <> 'backup' ORDER BY application_name"""
_SLOTS = """\
SELECT slot_name, active, coalesce(wal_status, 'unreserved') = 'lost',
  coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - restart_lsn, 0)::int8
FROM pg_replication_slots WHERE slot_type = 'physical' ORDER BY slot_name"""
_BACKUP = """\
SELECT backup_streamed, backup_total FROM pg_stat_progress_basebackup JOIN pg_stat_activity USING (pid)
WHERE application_name = $1"""
_HISTORY = """\
SELECT pg_read_file('pg_wal/' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) || '.history', true)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """timeline: of the log that it writes or, on a replica, has received. flushed: what of the log is safe on its disk; a replica
    may serve less. replayed: what a read there sees, on a primary all.

    replay_age_s: seconds since the last transaction that was replayed had committed on the primary, by both clocks; None on a
    primary, and before the first. is_streaming: it receives from another node at this moment.
    """

    is_replica: bool
    timeline: int
    flushed: Lsn
    replayed: Lsn
    replay_age_s: float | None
    is_streaming: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A replica as its primary sees it. name: its application_name. is_synchronous: commits may wait for it."""

    name: str
    is_streaming: bool
    flushed: Lsn | None
    replayed: Lsn | None
    is_synchronous: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """is_lost: the log that it was to keep is gone (max_slot_wal_keep_size); its replica has to be made anew."""

    name: str
    is_active: bool
    is_lost: bool
    kept_bytes: int


def parse_lsn(text: str) -> Lsn:
    """As PostgreSQL prints it: `0/3000148`."""
    high, _, low = text.partition("/")
    return Lsn((int(high, 16) << 32) | int(low, 16))


def format_lsn(lsn: Lsn) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lag_of(primary: NodeStatus, replica: NodeStatus) -> Lag:
    """How far the replica's reads are behind; ask the primary first, or what was committed in between counts.

    Seconds are 0 if it has replayed all, else the age of the last replayed transaction (PgDog's formula): on an idle primary that
    age alone would grow for ever. The log counts as far as it is flushed, not as far as it is inserted: no replica is sent more,
    and every acknowledged commit is in it.
    """
    behind = max(0, primary.flushed - replica.replayed)
    return Lag(bytes=behind, seconds=max(0.0, replica.replay_age_s or 0.0) if behind else 0.0)


def parse_fork(history: str, timeline: int) -> Lsn | None:
    """Where a timeline's history (`0000000N.history`) leaves an earlier one; None if it does not descend from it.

    Each line of it: the earlier timeline, the LSN where it was left, why.
    """
    for line in history.splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0] == str(timeline):
            return parse_lsn(fields[1])
    return None


async def status(address: Address) -> NodeStatus:
    async with administering.session(address) as connection:
        return await _status(connection)


async def followers(address: Address) -> tuple[Follower, ...]:
    """Who streams from this node, by name."""
    async with administering.session(address) as connection:
        return await _followers(connection)


async def slots(address: Address) -> tuple[Slot, ...]:
    async with administering.session(address) as connection:
        rows = await connection.fetch(_SLOTS)
    return tuple(Slot(name=row[0], is_active=row[1], is_lost=row[2], kept_bytes=max(0, row[3])) for row in rows)


async def create_slot(address: Address, name: str) -> None:
    """A physical slot that keeps the log from now on. One that exists stays as it is, unless it is lost."""
    async with administering.session(address) as connection:
        lost = "SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = $1"
        if await connection.fetchval(lost, name):
            await _drop_slot(connection, name)
        try:
            await connection.fetchval("SELECT pg_create_physical_replication_slot($1, true)", name)
        except driver.PostgresError as error:
            if _state(error) != _EXISTS:
                raise


async def drop_slot(address: Address, name: str) -> None:
    """Nothing happens if there is none. Whoever uses it is disconnected: stop the replica first, or it takes it again."""
    async with administering.session(address) as connection:
        await _drop_slot(connection, name)


async def promote(address: Address, *, deadline_s: float = PROMOTION_S) -> int:
    """Make a replica a primary; returns its timeline when it accepts writes. One that is a primary already stays as it is."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    async with administering.session(address) as connection:
        try:
            await connection.fetchval("SELECT pg_promote(false) WHERE pg_is_in_recovery()")
        except driver.PostgresError as error:
            if _state(error) != _NOT_IN_RECOVERY:  # promoted by somebody else in between
                raise
        while (node := await _status(connection)).is_replica:
            if loop.time() > deadline:
                raise errors.DatabaseUnavailable(
                    f"the replica at {address} was promoted and does not accept writes after {deadline_s:g} s",
                    hint="see its server.log: it may have much to replay. Promoting again waits on",
                )
            await asyncio.sleep(_POLL_S)
        return node.timeline


async def set_synchronous(address: Address, names: Collection[str]) -> None:
    """Commits wait from now on until any one of these followers has flushed them; with no names they do not wait.

    Kept by the server over restarts (ALTER SYSTEM), and copied by a base backup and a rewind: clear it before a promotion. It is
    in force when the server's checkpointer has read it, milliseconds after this returns.
    """
    wanted = synchronous_names(names)
    literal = wanted.replace("'", "''")
    async with administering.session(address) as connection:
        await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{literal}'")
        await connection.execute("SELECT pg_reload_conf()")
        deadline = asyncio.get_running_loop().time() + RELOAD_S
        while await connection.fetchval("SELECT current_setting('synchronous_standby_names')") != wanted:
            if asyncio.get_running_loop().time() > deadline:
                raise errors.DatabaseUnavailable(f"{address} does not take synchronous_standby_names = {wanted!r}")
            await asyncio.sleep(_POLL_S)


async def wait_flushed(address: Address, names: Collection[str], *, deadline_s: float) -> bool:
    """Whether, within that time, one of these followers has on disk what this primary has on disk now."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    async with administering.session(address) as connection:
        goal = (await _status(connection)).flushed
        while not any(each.name in names and (each.flushed or 0) >= goal for each in await _followers(connection)):
            if loop.time() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
    return True


def synchronous_names(names: Collection[str]) -> str:
    """The value of synchronous_standby_names: any one of them; empty for none."""
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in sorted(names))
    return f"ANY 1 ({quoted})" if quoted else ""


async def checkpoint(address: Address) -> None:
    """Write all to disk. After a promotion also what makes the new timeline known to pg_rewind in every version."""
    async with administering.session(address) as connection:
        await connection.execute("CHECKPOINT")


async def fork(address: Address, timeline: int) -> Lsn | None:
    """Where this primary's timeline left an earlier one, to which others may still belong; None if it did not, or is the same."""
    async with administering.session(address) as connection:
        return parse_fork(await connection.fetchval(_HISTORY) or "", timeline)


async def watch_backup(address: Address, name: str, report: Callable[[int, int | None], None]) -> None:
    """Tell of the base backup that runs under this application_name, until cancelled.

    report: bytes sent, and bytes in all as the server estimated them at the beginning; None before it has.
    """
    last = 0
    async with administering.session(address) as connection:
        while True:
            for sent, total in await connection.fetch(_BACKUP, name):
                if sent > last:
                    last = sent
                    report(sent, total)
            await asyncio.sleep(_PROGRESS_S)


async def _status(connection: Driver) -> NodeStatus:
    row = (await connection.fetch(_STATUS))[0]
    return NodeStatus(
        is_replica=row["is_replica"],
        timeline=row["timeline"],
        flushed=Lsn(int(row["flushed"] or 0)),
        replayed=Lsn(int(row["replayed"] or 0)),
        replay_age_s=row["replay_age_s"] if row["is_replica"] else None,
        is_streaming=row["is_streaming"],
    )


async def _followers(connection: Driver) -> tuple[Follower, ...]:
    return tuple(
        Follower(name=row[0], is_streaming=row[1], flushed=row[2], replayed=row[3], is_synchronous=row[4])
        for row in await connection.fetch(_FOLLOWERS)
    )


async def _drop_slot(connection: Driver, name: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SLOT_S
    while True:
        try:
            await connection.fetchval("SELECT pg_drop_replication_slot($1)", name)
        except driver.PostgresError as error:
            if _state(error) == _ABSENT:
                return
            if _state(error) != _IN_USE or loop.time() > deadline:
                raise
            await connection.fetchval(
                "SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE slot_name = $1", name
            )
            await asyncio.sleep(_POLL_S)
        else:
            return


def _state(error: Any) -> str:
    return error.sqlstate or ""
