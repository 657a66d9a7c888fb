"""Reading a module's catalog and statistics, as the module itself. Looks at no row of its tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from ramet.data.address import Address
from ramet.data.driver import Driver
from ramet.data.insight.explaining import reading
from ramet.model.catalog import Catalog, Column, Index, Table

_TABLES = """
SELECT c.oid, c.relname, c.reltuples::float8, c.relpages, c.relallvisible,
       coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE 'ramet\\_%'
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), n.nspname, a.attnotnull,
       s.n_distinct::float8, s.null_frac::float8, s.avg_width, s.correlation::text, s.most_common_vals::text,
       s.most_common_freqs::text, s.histogram_bounds::text
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_stats s ON s.schemaname = $2 AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
_INDEXES = """
SELECT i.indrelid, x.relname, am.amname, i.indnkeyatts,
       ARRAY(SELECT coalesce((SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = k.number), '')
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place) ORDER BY place),
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, place, false) || ' ' || i.indclass[place - 1] || ' ' || i.indoption[place - 1]
                    || ' ' || i.indcollation[place - 1]
             FROM generate_series(1, i.indnkeyatts) place ORDER BY place),
       pg_get_indexdef(i.indexrelid), coalesce(pg_get_expr(i.indpred, i.indrelid), ''), i.indisunique,
       EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x')), i.indisvalid,
       coalesce(s.idx_scan, 0), pg_relation_size(i.indexrelid), x.relpages, greatest(x.reltuples, 0)::float8
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_am am ON am.oid = x.relam
LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'
ORDER BY x.relname
"""
_TYPES = """
SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = $1::regnamespace GROUP BY t.typname
"""
_SINCE = """
SELECT extract(epoch FROM coalesce(stats_reset, pg_postmaster_start_time()))::float8
FROM pg_stat_database WHERE datname = current_database()
"""
_PLANNER = """
SELECT name, setting FROM pg_settings
WHERE name IN ('seq_page_cost', 'random_page_cost', 'cpu_tuple_cost', 'cpu_index_tuple_cost', 'cpu_operator_cost', 'work_mem',
               'effective_cache_size', 'hash_mem_multiplier', 'max_parallel_workers_per_gather', 'jit')
"""
_STATISTICS = (
    ("correlation", "real"),
    ("most_common_vals", "text"),
    ("most_common_freqs", "real[]"),
    ("histogram_bounds", "text"),
)


async def read_catalog(address: Address) -> Catalog:
    """Of the address's schema, without Ramet's own tables, which are not the module's to change. Raises a DatabaseError."""
    async with reading(address) as connection:
        return await _read(connection, address.schema)


async def _read(connection: Driver, schema: str) -> Catalog:
    within = f'"{schema}"'
    tables = await connection.fetch(_TABLES, within)
    sizes = {row[0]: max(row[2], 0.0) for row in tables}
    columns: dict[int, dict[str, Column]] = {}
    for row in await connection.fetch(_COLUMNS, within, schema):
        columns.setdefault(row[0], {})[row[1]] = _column(row, sizes.get(row[0], 0.0))
    indexes: dict[int, list[Index]] = {}
    names = {row[0]: row[1] for row in tables}
    for row in await connection.fetch(_INDEXES, within):
        indexes.setdefault(row[0], []).append(_index(row, names.get(row[0], "")))
    found = {
        row[1]: Table(row[1], row[2], row[3], row[4], row[5], columns.get(row[0], {}), tuple(indexes.get(row[0], ())))
        for row in tables
    }
    types = {row[0]: tuple(row[1]) for row in await connection.fetch(_TYPES, within)}
    planner: Mapping[str, str] = {row[0]: row[1] for row in await connection.fetch(_PLANNER)}
    return Catalog(schema, found, await connection.fetchval(_SINCE), types, planner)


def _column(row: Sequence[Any], rows: float) -> Column:
    """pg_stats tells distinct values below zero as a share of the rows."""
    distinct = row[5]
    own = [("null_frac", "real", str(row[6])), ("avg_width", "integer", str(row[7])), ("n_distinct", "real", str(distinct))]
    own += [(name, kind, value) for (name, kind), value in zip(_STATISTICS, row[8:], strict=True) if value is not None]
    return Column(
        name=row[1],
        type=row[2],
        type_schema=row[3],
        not_null=row[4],
        distinct=None if distinct is None else -distinct * rows if distinct < 0 else distinct,
        null_share=row[6] or 0.0,
        width=row[7] or 8,
        own=() if distinct is None else tuple(own),
    )


def _index(row: Sequence[Any], table: str) -> Index:
    count = row[3]
    return Index(
        name=row[1],
        table=table,
        method=row[2],
        columns=tuple(row[4][:count]),
        included=tuple(row[4][count:]),
        keys=tuple(row[5]),
        definition=row[6],
        where=row[7],
        is_unique=row[8],
        is_constraint=row[9],
        is_valid=row[10],
        scans=row[11],
        bytes=row[12],
        pages=row[13],
        rows=row[14],
    )
