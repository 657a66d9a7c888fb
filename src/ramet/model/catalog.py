"""What a module's database has, as the planner sees it: tables, columns with their statistics, indexes. Values."""

import hashlib
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

PLAIN_SCHEMA = "pg_catalog"
_MAX_NAME = 60
"""Bytes of a name, with room for a number: PostgreSQL keeps 63."""


@dataclass(frozen=True, slots=True)
class Column:
    """type: as SQL writes it. distinct: how many values, by the statistics; None without any. null_share, width (bytes): 0 and 8
    without any. own: (name of the statistic, its type, its value as text), as pg_stats has them."""

    name: str
    type: str
    type_schema: str = PLAIN_SCHEMA
    not_null: bool = False
    distinct: float | None = None
    null_share: float = 0.0
    width: int = 8
    own: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """columns: names in order, empty for an expression. keys: column or expression with its operator class and direction: what
    two indexes must share to be alike. where: of a partial one. scans: since the statistics began. is_constraint: of a primary
    key, a UNIQUE or an EXCLUDE."""

    name: str
    table: str
    method: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    definition: str
    where: str = ""
    included: tuple[str, ...] = ()
    is_unique: bool = False
    is_constraint: bool = False
    is_valid: bool = True
    scans: int = 0
    bytes: int = 0
    pages: int = 1
    rows: float = 0.0


@dataclass(frozen=True, slots=True)
class Table:
    """rows, pages: by the statistics, rows -1 where it was never analyzed. visible: pages that are all visible. writes: rows
    inserted, updated and deleted since the statistics began."""

    name: str
    rows: float
    pages: int
    visible: int
    writes: int
    columns: Mapping[str, Column] = field(default_factory=dict[str, Column])
    indexes: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalog:
    """Of one schema. since: when the server's statistics began, seconds since the epoch; None where it does not say. types: name
    -> labels, of its own enums. planner: the settings that costs depend on."""

    schema: str
    tables: Mapping[str, Table]
    since: float | None = None
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    planner: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class NewIndex:
    """One that is not there yet: a btree."""

    table: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.table} ({', '.join(self.columns)})"

    def name(self, taken: Collection[str] = ()) -> str:
        """One that no index has, as long as PostgreSQL keeps it."""
        whole = "_".join((self.table, *self.columns, "idx"))
        start = (
            whole
            if len(whole.encode()) <= _MAX_NAME
            else f"{whole[:40]}_{hashlib.blake2b(whole.encode(), digest_size=4).hexdigest()}"
        )
        numbers = itertools.count(2)
        name = start
        while name in taken:
            name = f"{start}_{next(numbers)}"
        return name

    def create(self, name: str, *, concurrently: bool = False) -> str:
        columns = ", ".join(map(quote, self.columns))
        return f"CREATE INDEX {'CONCURRENTLY ' if concurrently else ''}{quote(name)} ON {quote(self.table)} ({columns})"


@dataclass(frozen=True, slots=True)
class Trial:
    """Of one query with one index. before, after: costs in the planner's units; used: the plan has the index. problem: why it was
    not tried, empty where it was."""

    before: float = 0.0
    after: float = 0.0
    used: bool = False
    problem: str = ""


def quote(name: str) -> str:
    """As SQL must write it; without quotation marks where none are needed."""
    if name.isidentifier() and name.isascii() and name == name.lower() and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


_WORDS = """
all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create current_date default
deferrable desc distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral
leading limit localtime not null offset on only or order placing primary references returning select session_user some symmetric
table then to trailing true union unique user using variadic when where window with
"""
_RESERVED = frozenset(_WORDS.split())
"""Source: PostgreSQL 18, appendix C; the reserved ones that somebody calls a table or column."""
