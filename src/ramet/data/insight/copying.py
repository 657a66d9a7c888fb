"""A module's tables without their rows: SQL that makes them on another server, with the statistics of the original. Pure.

The planner there sees what it sees here, once the files have the sizes too: it takes the number of pages from the file and only
the rows to a page from the statistics (`estimate_rel_size` of PostgreSQL's plancat.c). `pages` says how many each must have.
"""

import math
from collections.abc import Iterator

from ramet.data.insight.literals import quoted
from ramet.model.catalog import PLAIN_SCHEMA, Catalog, Index, NewIndex, Table, quote

PAGE = 8192
_KEPT = 0.9
"""Of a page of a btree, as CREATE INDEX fills it."""
_ENTRY = 16
"""Bytes of an entry beside its columns: its header, its line pointer, and what alignment costs on average."""


def unknown_types(catalog: Catalog, table: Table) -> list[str]:
    """Types of its columns that another server would not have: of extensions, domains, composites."""
    return [
        f"{column.name} {column.type}"
        for column in table.columns.values()
        if column.type_schema not in {PLAIN_SCHEMA, catalog.schema}
        or (column.type_schema == catalog.schema and not _enum(catalog, column.type))
    ]


def schema(catalog: Catalog) -> Iterator[str]:
    """What has to be there before the tables."""
    yield f"CREATE SCHEMA {quote(catalog.schema)}"
    yield f"SET search_path = {quote(catalog.schema)}"
    for name, labels in catalog.types.items():
        yield f"CREATE TYPE {quote(name)} AS ENUM ({', '.join(map(quoted, labels))})"
    for name, value in catalog.planner.items():
        yield f"SET {name} = {quoted(value)}"


def table(copied: Table) -> str:
    columns = ", ".join(
        f"{quote(column.name)} {column.type}{' NOT NULL' if column.not_null else ''}" for column in copied.columns.values()
    )
    return f"CREATE TABLE {quote(copied.name)} ({columns})"


def statistics(catalog: Catalog, copied: Table) -> Iterator[str]:
    """After its indexes: making one counts the rows anew, and finds none."""
    yield _relation(catalog, copied.name, pages=copied.pages, rows=copied.rows, visible=copied.visible)
    for column in copied.columns.values():
        if column.own:
            values = ", ".join(f"{quoted(name)}, {quoted(value)}::{kind}" for name, kind, value in column.own)
            yield (
                f"SELECT pg_restore_attribute_stats('schemaname', {quoted(catalog.schema)}, 'relname', {quoted(copied.name)}, "
                f"'attname', {quoted(column.name)}, 'inherited', false, {values})"
            )


def index_statistics(catalog: Catalog, index: Index) -> str:
    return _relation(catalog, index.name, pages=index.pages, rows=index.rows, visible=0)


def new_index_statistics(catalog: Catalog, index: NewIndex, name: str) -> str:
    of = catalog.tables[index.table]
    return _relation(catalog, name, pages=new_pages(index, of), rows=of.rows, visible=0)


def new_pages(index: NewIndex, of: Table) -> int:
    """That it will have, about: each entry with its columns, pages nine tenths full."""
    width = _ENTRY + sum(of.columns[name].width for name in index.columns)
    return 1 + math.ceil(max(of.rows, 0.0) * width / (PAGE * _KEPT))


def _relation(catalog: Catalog, name: str, *, pages: int, rows: float, visible: int) -> str:
    return (
        f"SELECT pg_restore_relation_stats('schemaname', {quoted(catalog.schema)}, 'relname', {quoted(name)}, "
        f"'relpages', {pages}::integer, 'reltuples', {rows}::real, 'relallvisible', {visible}::integer)"
    )


def _enum(catalog: Catalog, kind: str) -> bool:
    """An enum of the module's own, or an array of it. Whatever search_path the name was written for."""
    return kind.removesuffix("[]").rpartition(".")[2].strip('"') in catalog.types
