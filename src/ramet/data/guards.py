"""The guard of a shard: triggers by which the server itself refuses to write rows that the shard does not own.

Whoever writes is refused, also a process with an old map, psql, and a transaction that began before; replication is not, since
such triggers do not fire when it applies. A guard is replaced in one transaction, which begins by waiting for the writers of the
tables to end: after it no write of the old guard is under way. A guard that owns less is a fence; one that owns more opens.

    ramet_guard_N_new   before INSERT and UPDATE, for rows as they would be        N grows; only the newest is enabled
    ramet_guard_N_old   before UPDATE and DELETE, for rows as they are
    ramet_guard_N_all   before TRUNCATE, which cannot be told from which slices it takes rows

The older ones are disabled, which keeps readers going, and dropped when nobody is in the way (`tidy`).
"""

import re
from collections.abc import Sequence

from ramet.data import driver, errors, refusals
from ramet.data.driver import Driver
from ramet.data.schemas import quote
from ramet.data.slices import owned_predicate
from ramet.model.sharding import ShardMap, Slice

SCHEMA = "ramet_move"
MOVED = "RM001"
"""SQLSTATE of a refusal: of a class that PostgreSQL does not use."""
LOCK_TIMEOUT_MS = 500
"""How long the writers of the tables are waited for. Everyone else who writes waits meanwhile."""
_NAME = re.compile(r"ramet_guard_(\d+)_(?:new|old|all)")

INSTALL = f"""\
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.marker (move text PRIMARY KEY, number bigint NOT NULL);
CREATE TABLE IF NOT EXISTS {SCHEMA}.ownership (module text PRIMARY KEY, guard int NOT NULL, owned text NOT NULL,
    changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE OR REPLACE FUNCTION {SCHEMA}.moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'this shard does not own the row of %.% that is written', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = '{MOVED}', DETAIL = TG_ARGV[0],
        HINT = 'nothing was written. Its key has moved to another shard; or the row has another key than db.write(key) was given';
END $$;
"""
"""What a server needs to take part in moves. Safe to repeat."""

_FOUND = """\
SELECT c.relname, t.tgname, t.tgenabled <> 'D' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = $1::regnamespace AND t.tgname ~ '^ramet_guard_[0-9]+_'"""


async def install(connection: Driver) -> None:
    await connection.fetchval("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(INSTALL)
    finally:
        await connection.fetchval("SELECT pg_advisory_unlock($1)", _LOCK)


_LOCK = 0x72616D65_74000004


async def replace(
    connection: Driver, schema: str, tables: Sequence[str], *, column: str | None, owned: Sequence[Slice], shard_map: ShardMap
) -> int:
    """Let a shard own these slices from here on, in the transaction that is open. Returns the guard's number. column: the key;
    None where the module has none, and a shard owns all or nothing. The first to be locked are all tables, in one statement, so
    that nobody is waited for twice. Raises LockNotAvailable when writers go on for too long; nothing has changed then."""
    found = await connection.fetch(_FOUND, quote(schema))
    numbers = [int(match[1]) for _, name, _ in found if (match := _NAME.fullmatch(name))]
    number = max(numbers, default=0) + 1
    names = [f"{quote(schema)}.{quote(table)}" for table in sorted(tables)]
    if names:
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; LOCK TABLE {', '.join(names)} IN EXCLUSIVE MODE")
    statements: list[str] = []
    for table in sorted(tables):
        statements += _made(schema, table, number, column, owned, shard_map)
    statements += [
        f"ALTER TABLE {quote(schema)}.{quote(table)} DISABLE TRIGGER {quote(name)}" for table, name, is_on in found if is_on
    ]
    told = ", ".join(map(str, owned)) or "nothing"
    await connection.execute(";".join(statements) or "SELECT")
    await connection.fetchval(
        f"INSERT INTO {SCHEMA}.ownership (module, guard, owned) VALUES ($1, $2, $3) ON CONFLICT (module) DO UPDATE"  # noqa: S608
        " SET guard = $2, owned = $3, changed = clock_timestamp() RETURNING 1",
        schema,
        number,
        told,
    )
    return number


def _made(schema: str, table: str, number: int, column: str | None, owned: Sequence[Slice], shard_map: ShardMap) -> list[str]:
    where = f"{quote(schema)}.{quote(table)}"
    refuse = f"EXECUTE FUNCTION {SCHEMA}.moved('guard {number}')"
    if column is None:
        conditions = {"new": "" if owned else "WHEN (true)", "old": "" if owned else "WHEN (true)"}
        if owned:
            return []
    else:
        conditions = {
            side: f"WHEN (NOT coalesce({owned_predicate(owned, shard_map, column, row)}, false))"
            for side, row in (("new", "NEW"), ("old", "OLD"))
        }
    return [
        f"CREATE TRIGGER ramet_guard_{number}_new BEFORE INSERT OR UPDATE ON {where} FOR EACH ROW {conditions['new']} {refuse}",
        f"CREATE TRIGGER ramet_guard_{number}_old BEFORE UPDATE OR DELETE ON {where} FOR EACH ROW {conditions['old']} {refuse}",
        f"CREATE TRIGGER ramet_guard_{number}_all BEFORE TRUNCATE ON {where} FOR EACH STATEMENT {refuse}",
    ]


async def tidy(connection: Driver, schema: str) -> None:
    """Drop guards that are disabled, as far as nobody is in the way for longer than 200 ms."""
    for table, name, is_on in await connection.fetch(_FOUND, quote(schema)):
        if is_on:
            continue
        try:
            await connection.execute(
                f"BEGIN; SET LOCAL lock_timeout = 200; DROP TRIGGER {quote(name)} ON {quote(schema)}.{quote(table)}; COMMIT"
            )
        except driver.PostgresError as error:
            await connection.execute("ROLLBACK")
            if not isinstance(refusals.ours(error), errors.LockNotAvailable):
                raise
