"""Tables of a database with a key: whether they can be divided by it, and how evenly their rows fall into the buckets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ramet.data import slices
from ramet.data.driver import Driver
from ramet.data.schemas import quote

SAMPLE_ROWS = 200_000
"""Rows of a large table that are looked at. With them a bucket of the mean size has some 200."""
_TABLES = r"""
SELECT c.relname, c.reltuples::float8, y.typname,
       (SELECT array_agg(k.attname ORDER BY o.n) FROM pg_index p
        CROSS JOIN LATERAL unnest(p.indkey::int2[]) WITH ORDINALITY AS o(number, n)
        JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = o.number WHERE p.indrelid = c.oid AND p.indisprimary)::text[],
       (SELECT n.conname FROM pg_constraint n WHERE n.conrelid = c.oid AND n.contype = 'p')
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped
LEFT JOIN pg_type y ON y.oid = a.atttypid
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'ramet\_%'
ORDER BY 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """type: of the key's column, empty where the table has none. primary_key: its columns in order, and the constraint's name.
    buckets: bucket -> rows, of those that were looked at; empty where nothing was. share: of the table that was looked at."""

    schema: str
    name: str
    key: str
    type: str
    primary_key: tuple[str, ...]
    constraint: str = ""
    buckets: Mapping[int, int] = field(default_factory=dict[int, int])
    share: float = 1.0


async def read(connection: Driver, schema: str, key: str) -> tuple[Table, ...]:
    """Tables of Ramet's own are left out."""
    found: list[Table] = []
    for name, rows, kind, columns, constraint in await connection.fetch(_TABLES, quote(schema), key):
        share = min(SAMPLE_ROWS / rows, 1.0) if rows > 0 else 1.0
        found.append(
            Table(
                schema=schema,
                name=name,
                key=key,
                type=kind or "",
                primary_key=tuple(columns or ()),
                constraint=constraint or "",
                buckets=await _buckets(connection, schema, name, key, kind, share) if kind in slices.TYPES else {},
                share=share,
            )
        )
    return tuple(found)


async def _buckets(connection: Driver, schema: str, table: str, key: str, kind: str, share: float) -> dict[int, int]:
    column = quote(key)
    sample = f" TABLESAMPLE SYSTEM ({100 * share:.6f})" if share < 1 else ""
    query = (
        f"SELECT {slices.bucket(key, slices.TYPES[kind])}::int, count(*) FROM {quote(schema)}.{quote(table)}{sample}"  # noqa: S608  (quoted)
        f" WHERE {column} IS NOT NULL GROUP BY 1"
    )
    return {row[0]: row[1] for row in await connection.fetch(query)}
