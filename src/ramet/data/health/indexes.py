"""Indexes that do not work, and indexes that nobody uses."""

from collections.abc import Collection
from dataclasses import dataclass

from ramet.data.driver import Driver

_INVALID = """\
SELECT n.nspname, t.relname, c.relname
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = ANY($1::text[])
  AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
ORDER BY 1, 2, 3"""
_UNUSED = """\
SELECT s.schemaname, s.relname, s.indexrelname, pg_relation_size(s.indexrelid)
FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid)
WHERE s.idx_scan = 0 AND i.indisvalid AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident)
  AND s.schemaname = ANY($1::text[]) AND pg_relation_size(s.indexrelid) >= $2
ORDER BY 4 DESC, 1, 2, 3"""
_AGE = """\
SELECT extract(epoch FROM now() - stats_reset)::float8 FROM pg_stat_database WHERE datname = current_database()"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    schema: str
    table: str
    name: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """invalid: an interrupted CREATE INDEX CONCURRENTLY leaves one, which costs writes and serves no read; those being built are
    left out. unused: not scanned once since the statistics began, and no constraint. statistics_s: their age in seconds, None
    where they were never reset."""

    invalid: tuple[Index, ...]
    unused: tuple[Index, ...]
    statistics_s: float | None


async def read(connection: Driver, schemas: Collection[str], *, least_bytes: int) -> Indexes:
    """least_bytes: an index below that size is not worth the question."""
    return Indexes(
        invalid=tuple(
            Index(schema=schema, table=table, name=name)
            for schema, table, name in await connection.fetch(_INVALID, list(schemas))
        ),
        unused=tuple(
            Index(schema=schema, table=table, name=name, size_bytes=size)
            for schema, table, name, size in await connection.fetch(_UNUSED, list(schemas), least_bytes)
        ),
        statistics_s=await connection.fetchval(_AGE),
    )
