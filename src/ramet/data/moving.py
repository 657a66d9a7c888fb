"""A slice of a module's rows from one server to another while it is written: the verbs of a move, on plain PostgreSQL.

    copy      publication with a row filter at the source, subscription at the target: the rows, and what happens to them
    back      the same the other way, without a copy: the source stays whole, as a way back
    verify    digests of both sides, bucket by bucket, until they are equal
    switch    the guard of the giver without the slice - a marker behind the last write - it is at the taker - the guard of the
              taker with the slice, in a commit that is on disk, which makes durable all that replication had applied before it
    clean     end replication, and delete the rows of the slice where nobody owns them

The guards decide who owns a row (`guards`), so what is told to instances may be late and nothing is lost. The giver's guard is
committed before the taker's opens: at every instant at most one of them accepts a write, and a crash between the two leaves none
until `switch` is run again, either way. Every verb may be run again after a crash at any point.

What is created is named after the move. Both servers keep `ramet_move.marker`, whose row of the move is replicated with the rest.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.data import driver, errors, guards
from ramet.data.address import Address
from ramet.data.administering import session
from ramet.data.driver import Driver
from ramet.data.materialized_sql import IS_DERIVED
from ramet.data.schemas import quote
from ramet.data.slices import INTERNAL, bucket, predicate
from ramet.model.sharding import Buckets, Key, ShardMap, Slice, Whole

POLL_S = 0.001
COPIED_POLL_S = 0.1
CATCH_UP_S = 2.0
"""How long the last writes may take to arrive while nobody may write. After it the giver goes on."""
FENCE_ATTEMPTS = 20
"""Tries to find a moment in which no writer of the tables is under way."""
FENCE_PAUSE_S = 0.25
STILL_S = 60.0
"""How long a copy may stand still, in seconds: what it waits for are transactions at the source that began before."""
DELETE_ROWS = 5000
"""Rows that one statement of the clean-up deletes."""
VERIFY_S = 60.0
"""How long differences may last that writes under way explain."""

Progress = Callable[[str], None]
Hold = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Side:
    """One server of a move, as its superuser. reach: how the other server connects to it, as libpq has it."""

    shard: int
    admin: Address
    reach: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """name: of the move, fit for an identifier. column: the key, None for a module without one. map: as it is now, with the type
    of the key."""

    name: str
    module: str
    of: Slice
    column: str | None
    map: ShardMap
    source: Side
    target: Side

    @property
    def is_whole(self) -> bool:
        return isinstance(self.of, Whole)


# What is there


async def tables_of(connection: Driver, schema: str) -> list[str]:
    """Without those of materialised results: their rows are computed where the rows are that they are made of."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"  # noqa: S608  (a constant)
        f" AND relpersistence = 'p' AND NOT {IS_DERIVED} ORDER BY 1",
        quote(schema),
    )
    return [row[0] for row in rows]


async def keyed_tables(connection: Driver, schema: str, column: str | None) -> list[str]:
    """Tables whose rows move. Without a key all of them do."""
    tables = [table for table in await tables_of(connection, schema) if table not in INTERNAL]
    if column is None:
        return tables
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = $1::regnamespace AND a.attname = $2 AND NOT a.attisdropped",
        quote(schema),
        column,
    )
    having = {row[0] for row in rows}
    return [table for table in tables if table in having]


_WITHOUT_KEY = """\
SELECT c.relname, i.indisprimary, array_agg(a.attname ORDER BY k.n), bool_or(a.attname = $2),
       min(k.n) FILTER (WHERE a.attname = $2)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE c.relnamespace = $1::regnamespace AND i.indisunique AND k.attnum > 0 GROUP BY 1, 2, i.indexrelid"""
_FOREIGN = """\
SELECT c.relname, o.conname, f.relname,
       (SELECT array_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = o.conrelid AND a.attnum = ANY(o.conkey))
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_class f ON f.oid = o.confrelid
WHERE o.contype = 'f' AND c.relnamespace = $1::regnamespace"""


async def obstacles(admin: Address, schema: str, column: str | None, *, is_whole: bool) -> list[str]:
    """Why rows of this module cannot be divided, in words with the remedy; empty where they can."""
    async with session(admin) as connection:
        found: list[str] = []
        tables = await tables_of(connection, schema)
        keyed = set(await keyed_tables(connection, schema, column))
        primary: dict[str, list[str]] = {}
        for table, is_primary, columns, has_key, at in await connection.fetch(_WITHOUT_KEY, quote(schema), column or ""):
            if is_primary:
                primary[table] = columns
            if is_whole or table not in keyed:
                continue
            if is_primary and at != 1:
                found.append(f"the primary key of {table} is ({', '.join(columns)}); it must begin with {column}")
            elif not has_key:
                found.append(f"a unique index of {table} on ({', '.join(columns)}) is without {column}: shards cannot enforce it")
        found += [f"{table} has no primary key, so its changes cannot be replicated" for table in tables if table not in primary]
        if is_whole:
            return found
        found += [
            f"{table} has no column {column}: its rows belong to no shard"
            for table in tables
            if table not in keyed and table not in INTERNAL
        ]
        for table, name, other, columns in await connection.fetch(_FOREIGN, quote(schema)):
            if table in keyed and other in keyed and column not in columns:
                found.append(f"the foreign key {name} of {table} to {other} is without {column}: the two rows may be apart")
        for table, name in await connection.fetch(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
            " WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND NOT a.attisdropped AND a.attnum > 0"
            " AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%')",
            quote(schema),
        ):
            if table in keyed:
                found.append(f"{table}.{name} takes its values from a sequence, and each shard would have its own; use UUIDv7")
        return found


async def problems_of_server(admin: Address) -> list[str]:
    async with session(admin) as connection:
        level = await connection.fetchval("SHOW wal_level")
        workers, least = (
            await connection.fetch(
                "SELECT current_setting('max_logical_replication_workers')::int, 3 + (SELECT count(*) FROM pg_subscription)"
            )
        )[0]
        used, most = (
            await connection.fetch(
                "SELECT (SELECT count(*) FROM pg_replication_slots), current_setting('max_replication_slots')::int"
            )
        )[0]
        found = (
            [] if level == "logical" else [f"wal_level is {level}; a move needs logical: ALTER SYSTEM SET wal_level = logical"]
        )
        if most - used < 2:
            found.append(f"{used} of {most} replication slots are taken: max_replication_slots")
        if workers < least:
            found.append(f"replication needs {least} workers and may have {workers}: max_logical_replication_workers")
        return found


# Copy


async def copy(move: Moving, report: Progress) -> None:
    """Until all rows of the slice are at the target, and what happens to them follows."""
    async with session(move.source.admin) as source, session(move.target.admin) as target:
        await guards.install(source)
        await guards.install(target)
        await _mark(source, move.name, 0)
        await _publish(source, move, f"ramet_{move.name}")
        if not await _has_subscription(target, f"ramet_{move.name}"):
            await _delete(target, move, lambda _: None)  # what an earlier try has copied
            await _unmark(target, move.name)
            await _make_slot(source, f"ramet_{move.name}")
            await target.execute(_subscription(f"ramet_{move.name}", move.source.reach, copy_data=True))
        await _copied(source, target, move, report)


async def _publish(connection: Driver, move: Moving, name: str, *, has_marker: bool = True) -> None:
    if await connection.fetchval("SELECT 1 FROM pg_publication WHERE pubname = $1", name):
        return
    schema = quote(move.module)
    keyed = await keyed_tables(connection, move.module, move.column)
    where = "" if move.is_whole else f" WHERE ({_filter(move)})"
    parts = [f"{schema}.{quote(table)}{where}" for table in keyed]
    whole = [table for table in await tables_of(connection, move.module) if table in INTERNAL and table != "ramet_migrations"]
    # Who was asked under which key goes along as a whole: rows of it have no key, and one too many does no harm.
    parts += [f"{schema}.{quote(table)}" for table in whole if move.is_whole or table == "ramet_once"]
    if has_marker:
        parts.append(f"{guards.SCHEMA}.marker WHERE (move = '{move.name}')")
    await connection.execute(
        f"CREATE PUBLICATION {quote(name)} FOR TABLE {', '.join(parts)} WITH (publish = 'insert, update, delete')"
    )


def _filter(move: Moving) -> str:
    assert move.column is not None, "a slice is of keys"
    others = () if isinstance(move.of, Key) else list(move.map.exceptions)
    return predicate(move.of, move.column, move.map.key_type, without=others)


def _subscription(name: str, reach: str, *, copy_data: bool) -> str:
    quoted = reach.replace("'", "''")
    # The slot is made before, since within one server CREATE SUBSCRIPTION would wait for itself. origin: what came by replication
    # is not sent back.
    return (
        f"CREATE SUBSCRIPTION {quote(name)} CONNECTION '{quoted}' PUBLICATION {quote(name)} WITH (create_slot = false,"
        f" slot_name = '{name}', copy_data = {str(copy_data).lower()}, binary = true, origin = none, streaming = parallel)"
    )


async def _make_slot(connection: Driver, name: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", name):
        await connection.fetchval("SELECT pg_create_logical_replication_slot($1, 'pgoutput')::text", name)


async def _has_subscription(connection: Driver, name: str) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT 1 FROM pg_subscription WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_database WHERE datname ="
            " current_database())",
            name,
        )
    )


async def _copied(source: Driver, target: Driver, move: Moving, report: Progress) -> None:
    began = moved_at = time.monotonic()
    expected = await _expected_rows(source, move)
    before: tuple[int, int] | None = None
    while True:
        waiting = await target.fetchval(
            "SELECT count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid"
            " WHERE s.subname = $1 AND r.srsubstate <> 'r'",
            f"ramet_{move.name}",
        )
        if not waiting:
            return
        copied, size = (
            await target.fetch(
                "SELECT coalesce(sum(tuples_processed), 0)::bigint, coalesce(sum(bytes_processed), 0)::bigint"
                " FROM pg_stat_progress_copy WHERE type = 'CALLBACK'"
            )
        )[0]
        if (waiting, size) != before:
            before, moved_at = (waiting, size), time.monotonic()
        elif time.monotonic() - moved_at > STILL_S:
            raise errors.StatementRefused(
                f"the copy of {move.of} of {move.module} has not moved for {STILL_S:g} s",
                hint="the target's log says why: no replication worker is free, or a transaction at the source does not end",
            )
        done = copied or await _rows_in(target, move)
        passed_s = time.monotonic() - began
        left = f", {passed_s * max(expected - done, 0) / done:.0f} s left" if done else ""
        report(f"{move.of} of {move.module}: {done} of about {expected} rows, {size / 2**20:.1f} MB{left}")
        await _failed_apply(target, move.name)
        await asyncio.sleep(COPIED_POLL_S)


async def _expected_rows(connection: Driver, move: Moving) -> int:
    tables = await keyed_tables(connection, move.module, move.column)
    total = await connection.fetchval(
        "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE relnamespace = $1::regnamespace"
        " AND relname = ANY($2)",
        quote(move.module),
        tables,
    )
    share = move.of.count / 1024 if isinstance(move.of, Buckets) else 1.0
    return round(total * share)


async def _rows_in(connection: Driver, move: Moving) -> int:
    return await connection.fetchval(
        "SELECT coalesce(sum(n_live_tup), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = $1", move.module
    )


async def _failed_apply(connection: Driver, name: str) -> None:
    """Raises StatementRefused when replication stands still, since the target refuses what comes: it would try for ever."""
    errors_seen = await connection.fetch(
        "SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats WHERE subname = $1", f"ramet_{name}"
    )
    if errors_seen and sum(errors_seen[0]) >= 20:
        raise errors.StatementRefused(
            f"the target refuses what replication brings: {sum(errors_seen[0])} errors",
            hint="its log says which row and why; the move is undone, nothing was lost",
        )


# Back


async def prepare_back(move: Moving) -> None:
    """From here on what happens at the target comes back to the source."""
    name = f"ramet_{move.name}_back"
    async with session(move.source.admin) as source, session(move.target.admin) as target:
        for side in (source, target):  # nothing is copied, so the row that changes must be there
            await _mark(side, f"{move.name}_back", 0)
        await _publish_back(target, move, name)
        if not await _has_subscription(source, name):
            await _make_slot(target, name)
            await source.execute(_subscription(name, move.target.reach, copy_data=False))


async def _publish_back(connection: Driver, move: Moving, name: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_publication WHERE pubname = $1", name):
        await _publish(connection, move, name, has_marker=False)
        await connection.execute(
            f"ALTER PUBLICATION {quote(name)} ADD TABLE {guards.SCHEMA}.marker WHERE (move = '{move.name}_back')"
        )


# Verify


async def verify(move: Moving, report: Progress) -> str:
    """Digests of both sides, bucket by bucket, until they are equal. Raises StatementRefused where rows differ for longer than
    writes under way explain, with the buckets and tables. Returns what was compared, in words."""
    until = time.monotonic() + VERIFY_S
    async with session(move.source.admin) as source, session(move.target.admin) as target:
        tables = await keyed_tables(source, move.module, move.column)
        rows = 0
        for number, table in enumerate(tables):
            report(f"comparing {table}, {number + 1} of {len(tables)} tables")
            buckets: list[int] | None = None
            while True:
                await ping(source, target, move.name)
                one = await digests(source, move, table, buckets)
                await ping(source, target, move.name)
                other = await digests(target, move, table, buckets)
                different = sorted(each for each in {*one, *other} if one.get(each) != other.get(each))
                if buckets is None:
                    rows += sum(each[0] for each in one.values())
                if not different:
                    break
                if time.monotonic() > until:
                    raise errors.StatementRefused(
                        f"{table} differs in {len(different)} buckets, the first is {different[0]}:"
                        f" {one.get(different[0], (0,))[0]} rows at the source, {other.get(different[0], (0,))[0]} at the target",
                        hint="nothing has moved; look at both, and move again",
                    )
                buckets = different
        return f"{rows} rows of {len(tables)} tables are equal on both sides"


async def digests(
    connection: Driver, move: Moving, table: str, buckets: Sequence[int] | None = None
) -> dict[int, tuple[Any, ...]]:
    """Of the slice's rows: bucket -> (rows, two sums of their hashes). Independent of the order of rows and of columns."""
    columns = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
        " ORDER BY 1",
        f"{quote(move.module)}.{quote(table)}",
    )
    row = f"row({', '.join(quote(each[0]) for each in columns)})::text"
    at, where = ("0", "true")
    if move.column is not None and not move.is_whole:
        at, where = bucket(move.column, move.map.key_type), _filter(move)
    elif move.column is not None and move.map.key_type:
        at = bucket(move.column, move.map.key_type)
    chosen = f" AND {at} = ANY($1::int[])" if buckets is not None else ""
    await connection.execute("SET timezone = 'UTC'; SET extra_float_digits = 1; SET datestyle = 'ISO'")
    name = f"{quote(move.module)}.{quote(table)}"
    sums = ", ".join(f"sum(hashtextextended({row}, {seed})::numeric)" for seed in (0, 1))
    query = f"SELECT ({at})::int, count(*), {sums} FROM {name} WHERE {where}{chosen} GROUP BY 1"  # noqa: S608  (quoted)
    found = await connection.fetch(query, *([list(buckets)] if buckets is not None else []))
    return {each[0]: tuple(each)[1:] for each in found}


# Switch


async def ping(giver: Driver, taker: Driver, name: str, *, within_s: float = 30.0) -> float:
    """A marker, until it is at the other side. Returns how long that took, in seconds. Raises DatabaseUnavailable when it does
    not come."""
    began = time.monotonic()
    number = await _mark(giver, name, None)
    await _arrived(taker, name, number, within_s)
    return time.monotonic() - began


async def _mark(connection: Driver, name: str, number: int | None) -> int:
    """number: 0 makes the row where there is none; None counts it up."""
    return await connection.fetchval(
        f"INSERT INTO {guards.SCHEMA}.marker AS m (move, number) VALUES ($1, 1) ON CONFLICT (move) DO UPDATE"  # noqa: S608
        " SET number = m.number + $2 RETURNING number",
        name,
        1 if number is None else 0,
    )


async def _unmark(connection: Driver, name: str) -> None:
    await connection.execute(f"DELETE FROM {guards.SCHEMA}.marker WHERE move IN ('{name}', '{name}_back')")  # noqa: S608


async def _arrived(connection: Driver, name: str, number: int, within_s: float) -> None:
    until = time.monotonic() + within_s
    while (await connection.fetchval(f"SELECT number FROM {guards.SCHEMA}.marker WHERE move = $1", name) or 0) < number:  # noqa: S608
        if time.monotonic() > until:
            raise errors.DatabaseUnavailable(
                f"what is written at one side did not arrive at the other within {within_s:g} s", hint="its log says why"
            )
        await asyncio.sleep(POLL_S)


async def switch(move: Moving, wanted: ShardMap, hold: Hold, *, back: bool = False) -> str:
    """Give the slice to the target, or back to the source. wanted: the map as it is then. hold: makes writers
    wait; called when everything else is ready. Returns what it took, in words.

    Raises LockNotAvailable where writers are never out of the way, DatabaseUnavailable where the last writes do not arrive: then
    the giver owns it as before.

    Repeated after a crash it finds what was done, and does the rest.
    """
    giver, taker = (move.target, move.source) if back else (move.source, move.target)
    name = f"{move.name}_back" if back else move.name
    async with session(giver.admin) as giving, session(taker.admin) as taking:
        tables = await keyed_tables(giving, move.module, move.column)
        await ping(giving, taking, name)
        await hold()
        began = time.monotonic()
        number = await _fence(giving, move, tables, giver, wanted, name)
        fenced = time.monotonic()
        try:
            await _arrived(taking, name, number, CATCH_UP_S)
        except errors.DatabaseError:
            await _own(giving, move, tables, giver, move.map)
            raise
        arrived = time.monotonic()
        if move.is_whole:
            await _sequences(giving, taking, move.module)
        await _own(taking, move, tables, taker, wanted)
        ended = time.monotonic()
    return (
        f"{(ended - began) * 1000:.0f} ms without an owner: {(fenced - began) * 1000:.0f} until no writer was under way,"
        f" {(arrived - fenced) * 1000:.0f} until the last write had arrived, {(ended - arrived) * 1000:.0f} to open"
    )


async def _fence(connection: Driver, move: Moving, tables: Sequence[str], side: Side, wanted: ShardMap, name: str) -> int:
    """The giver's guard without the slice, and behind it the marker. Returns the marker's number."""
    for attempt in range(1, FENCE_ATTEMPTS + 1):
        try:
            await connection.execute("BEGIN")
            await guards.replace(
                connection, move.module, tables, column=move.column, owned=wanted.of(side.shard), shard_map=wanted
            )
            number = await _mark(connection, name, None)
            await connection.execute("COMMIT")
        except driver.PostgresError as error:
            await connection.execute("ROLLBACK")
            if getattr(error, "sqlstate", "") not in {"55P03", "40P01"}:
                raise
            if attempt == FENCE_ATTEMPTS:
                raise errors.LockNotAvailable(
                    f"writers of {move.module} were under way at each of {attempt} tries",
                    sqlstate="55P03",
                    hint="ramet data doctor shows transactions that last for long",
                ) from error
        else:
            return number
        await asyncio.sleep(FENCE_PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


async def _own(connection: Driver, move: Moving, tables: Sequence[str], side: Side, shard_map: ShardMap) -> None:
    """The guard that a shard has by a map, in a commit that is on disk: so is then all that replication had applied before."""
    await connection.execute("BEGIN; SET LOCAL synchronous_commit = on")
    try:
        await guards.replace(
            connection, move.module, tables, column=move.column, owned=shard_map.of(side.shard), shard_map=shard_map
        )
        await connection.execute("COMMIT")
    except BaseException:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise


async def close_target(move: Moving) -> None:
    """The target owns what it owned before: nothing of the slice, so nobody writes into the copy."""
    async with session(move.target.admin) as target:
        await guards.install(target)
        tables = await keyed_tables(target, move.module, move.column)
        await _own(target, move, tables, move.target, move.map)


async def _sequences(giving: Driver, taking: Driver, schema: str) -> None:
    """They are not replicated: each goes on a bit behind where it was."""
    rows = await giving.fetch("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = $1", schema)
    for name, last in rows:
        if last is not None:
            await taking.fetchval("SELECT setval($1::regclass, $2)", f"{quote(schema)}.{quote(name)}", last + 100)


# Clean


async def forget(move: Moving) -> None:
    """End replication, both ways, and what belongs to it. The rows stay."""
    async with session(move.target.admin) as target, session(move.source.admin) as source:
        for taking, giving, name in (
            (target, source, f"ramet_{move.name}"),
            (source, target, f"ramet_{move.name}_back"),
        ):
            if await _has_subscription(taking, name):
                await taking.execute(
                    f"ALTER SUBSCRIPTION {quote(name)} DISABLE; ALTER SUBSCRIPTION {quote(name)} SET (slot_name = NONE)"
                )
                await taking.execute(f"DROP SUBSCRIPTION {quote(name)}")
            await _drop_slot(giving, name)
            await giving.execute(f"DROP PUBLICATION IF EXISTS {quote(name)}")
            await _unmark(giving, move.name)


async def _drop_slot(connection: Driver, name: str) -> None:
    """When whoever reads it has gone."""
    while await connection.fetchval("SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", name):
        pid = await connection.fetchval("SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", name)
        if pid is not None:
            await connection.fetchval("SELECT pg_terminate_backend($1)", pid)
            await asyncio.sleep(0.02)
            continue
        await connection.fetchval("SELECT pg_drop_replication_slot($1)::text", name)


async def delete_rows(move: Moving, report: Progress, *, at_target: bool) -> None:
    """The rows of the slice where nobody owns them, in batches. Replication has ended before: else it would delete them at their
    owner too."""
    side = move.target if at_target else move.source
    async with session(side.admin) as connection:
        await _delete(connection, move, report)
        await guards.tidy(connection, move.module)


async def _delete(connection: Driver, move: Moving, report: Progress) -> None:
    where = "true" if move.is_whole else _filter(move)
    internal = [table for table in await tables_of(connection, move.module) if table in INTERNAL and table != "ramet_migrations"]
    await connection.execute("SET session_replication_role = replica")  # neither guards nor foreign keys are to stop it
    try:
        gone = 0
        for table in await keyed_tables(connection, move.module, move.column):
            name = f"{quote(move.module)}.{quote(table)}"
            while True:
                tag = await connection.execute(
                    f"DELETE FROM {name} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {name} WHERE {where} LIMIT {DELETE_ROWS}))"  # noqa: S608
                )
                count = int(tag.rpartition(" ")[2])
                gone += count
                report(f"deleted {gone} rows of {move.of} from {move.module}")
                if count < DELETE_ROWS:
                    break
        if move.is_whole:
            for table in internal:
                await connection.execute(f"DELETE FROM {quote(move.module)}.{quote(table)}")  # noqa: S608  (quoted)
    finally:
        await connection.execute("SET session_replication_role = DEFAULT")
