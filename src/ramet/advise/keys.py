"""Which column to divide a module's rows by: of the queries that ran, how many would be asked of one shard alone. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from ramet.advise.predicates import Reading, read
from ramet.model.catalog import Catalog
from ramet.model.insight import QueryUse


@dataclass(frozen=True, slots=True)
class Key:
    """A column as the key. single: executions that say its value; fanned: those that do not and would ask every shard; elsewhere:
    those of tables that do not have it. tables: that have it. worst: the query that fans out most often."""

    column: str
    tables: tuple[str, ...]
    single: int
    fanned: int
    elsewhere: int
    worst: QueryUse | None

    @property
    def share(self) -> float:
        """Of all executions. One of a table that does not have the key is asked of one shard only if the table is copied to all;
        that is not counted for it."""
        return self.single / max(self.single + self.fanned + self.elsewhere, 1)


def keys(queries: Iterable[QueryUse], catalog: Catalog) -> list[Key]:
    """The best first: every column that some query compares with a value. queries: of this module, one for each fingerprint."""
    known = [(query, reading) for query in queries if _tables(reading := read(query.worst.text or query.text), catalog)]
    columns = {column: None for _, reading in known for want in reading.wants for column in want.equal}
    found = [_key(column, known, catalog) for column in columns]
    return sorted((key for key in found if key.tables), key=lambda key: (-key.share, key.column))


def _key(column: str, known: Iterable[tuple[QueryUse, Reading]], catalog: Catalog) -> Key:
    counts = {True: 0, False: 0, None: 0}
    fanning: list[QueryUse] = []
    for query, reading in known:
        verdict = is_single(reading, column, catalog)
        counts[verdict] += query.executions
        if verdict is False:
            fanning.append(query)
    tables = tuple(sorted(name for name, table in catalog.tables.items() if column in table.columns))
    worst = max(fanning, key=lambda query: query.executions, default=None)
    return Key(column, tables, counts[True], counts[False], counts[None], worst)


def is_single(reading: Reading, column: str, catalog: Catalog) -> bool | None:
    """Whether one shard can answer: each of its tables that has the column has it compared with a value, given by an INSERT, or
    equal to that of a table that has. None for a query of tables without it."""
    having = [name for name in _tables(reading, catalog) if column in catalog.tables[name].columns]
    if not having:
        return None
    said = {want.table for want in reading.wants if column in want.equal}
    said |= {table for table, columns in reading.inserted if column in columns}
    for _ in having:  # as many steps as there are tables that could be linked one behind the other
        said |= {want.table for want in reading.wants for own, other, its in want.links if own == its == column and other in said}
    return said.issuperset(having)


def _tables(reading: Reading, catalog: Catalog) -> set[str]:
    named = {want.table for want in reading.wants} | {table for table, _ in reading.inserted}
    return named & catalog.tables.keys()
