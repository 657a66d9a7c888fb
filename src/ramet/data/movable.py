"""What of a module's schema can move: its tables, and why rows of it cannot be divided."""

from ramet.data.address import Address
from ramet.data.administering import session
from ramet.data.driver import Driver
from ramet.data.materialized_sql import IS_DERIVED
from ramet.data.schemas import quote
from ramet.data.slices import INTERNAL


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
