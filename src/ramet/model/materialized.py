"""A materialised result: a query's rows in a table of their own, kept up with the tables that it reads. What it is, and when to
look.

    incremental   `key` is declared: each change names the key whose rows it may have changed, and these are computed anew
    whole         none is: each refresh computes all rows, and writes those that differ
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ramet.errors import DeclarationError
from ramet.kit.durations import parse_duration_s
from ramet.model.contract import where_of

MIN_PAUSE_S = 0.05
"""Between two looks while there is something to do. A guess: twenty small queries a second."""
MAX_PAUSE_S = 1.0
"""Between two looks while there is nothing to do: what the first change after a quiet time waits for at most."""
RETRY_S = 1.0
MAX_RETRY_S = 30.0
"""Pauses after a refresh that failed, the first and the longest."""
DEADLINE_S = 30.0
"""For one refresh, where the declaration says nothing: a whole one may read large tables."""

_IDENTIFIER = r"[a-z_][a-z0-9_]*"
_TYPE = r'[A-Za-z_][A-Za-z0-9_ "().,\[\]]*'
MAX_NAME = 48
"""The server cuts names at 63 bytes, and the longest derived one has 14 in front."""
CHANGES, NOTE = "ramet_changes_", "ramet_note_"
"""In front of a result's name: of its table of changes, of its trigger."""


class Materialized(msgspec.Struct, frozen=True, eq=False):
    """name: of the function, and of the table. query: a SELECT; an incremental one takes the changed keys as $1. tables: what it
    reads -> the column that holds the key, "" in a whole one. columns: name -> type, in SQL. key: a column, "" for a whole one.
    unique: the columns that tell rows apart, the table's primary key. every_s: all is computed anew this often, also without a
    change; None for never. max_stale_s: what is older is told, None for nothing. deadline_s: for one refresh. where: file:line.
    """

    module: str
    name: str
    query: str
    tables: Mapping[str, str]
    columns: Mapping[str, str]
    key: str
    unique: tuple[str, ...]
    every_s: float | None
    max_stale_s: float | None
    deadline_s: float
    where: str

    @property
    def changes(self) -> str:
        """The table with what has changed and is not in the result yet."""
        return f"{CHANGES}{self.name}"

    @property
    def note(self) -> str:
        """The trigger that writes it, and its function."""
        return f"{NOTE}{self.name}"


def materialized_of(
    module: str,
    function: Callable[[], str],
    *,
    depends: Mapping[str, str] | Sequence[str],
    columns: Mapping[str, str],
    key: str | None,
    unique: Sequence[str] | None,
    every: str | float | None,
    max_stale: str | float | None,
    deadline: str | float,
) -> Materialized:
    """Raises DeclarationError, with the place of the function."""
    subject, where = f"{module}.{getattr(function, '__name__', function)}", where_of(function)

    def refused(what: str, hint: str) -> DeclarationError:
        return DeclarationError(f"materialised {subject} {what}", where=where, hint=hint)

    name = function.__name__
    if not re.fullmatch(_IDENTIFIER, name) or len(name) > MAX_NAME:
        raise refused("cannot name a table", f"lower-case letters, digits and _, at most {MAX_NAME}")
    if inspect.iscoroutinefunction(function) or inspect.signature(function).parameters:
        raise refused("is not a plain function without parameters", f"def {name}() -> str: return 'SELECT ...'")
    if not columns:
        raise refused("has no columns", 'columns={"article_id": "uuid", "favorites": "bigint"}')
    for column, kind in columns.items():
        if not re.fullmatch(_IDENTIFIER, column) or not re.fullmatch(_TYPE, kind):
            raise refused(f"has a column {column!r} of type {kind!r}", 'columns={"article_id": "uuid"}')
    tables = _tables(depends, key, refused)
    told_apart = _unique(unique, key, columns, refused)
    try:
        every_s, max_stale_s = (None if each is None else parse_duration_s(each) for each in (every, max_stale))
        deadline_s = parse_duration_s(deadline)
    except ValueError as error:
        raise refused(f": {error}", 'max_stale="5s"') from None
    if deadline_s <= 0 or every_s == 0:
        raise refused("is to be refreshed in no time", 'every="1h", deadline="30s"')
    query = _query(function, key, refused)
    return Materialized(
        module, name, query, tables, dict(columns), key or "", told_apart, every_s, max_stale_s, deadline_s, where
    )


Refused = Callable[[str, str], DeclarationError]


def _tables(depends: Mapping[str, str] | Sequence[str], key: str | None, refused: Refused) -> dict[str, str]:
    if isinstance(depends, str) or not depends:
        raise refused(f"depends on {depends!r}", 'depends=["articles", "favorites"]')
    if isinstance(depends, Mapping) is (key is None):
        raise refused(
            "has a key, and tables without the column that holds it" if key else "names columns of tables, and no key",
            f'depends={{"articles": "id", "favorites": "{key or "article_id"}"}}, key="{key or "article_id"}"',
        )
    tables = dict(depends) if isinstance(depends, Mapping) else dict.fromkeys(depends, "")
    for table, column in tables.items():
        if not re.fullmatch(_IDENTIFIER, table) or not re.fullmatch(_IDENTIFIER, column or "_"):
            what = f"{table}.{column}" if column else table
            raise refused(f"depends on {what!r}", "a table of the module's own schema, by its name alone")
    return tables


def _unique(unique: Sequence[str] | None, key: str | None, columns: Mapping[str, str], refused: Refused) -> tuple[str, ...]:
    if isinstance(unique, str):
        raise refused(f"has unique={unique!r}, which is one text", f"unique=[{unique!r}]")
    found = tuple(unique or ([key] if key else ()))
    if not found:
        raise refused("has neither `key` nor `unique`", 'unique=["rank"]: the columns that tell its rows apart')
    if key and key not in found:
        raise refused(f"has `unique` without its key {key}", f"unique={[key, *found]}")
    for column in found:
        if column not in columns:
            raise refused(f"has no column {column!r}, which `key` or `unique` names", f"columns={{{column!r}: ...}}")
    return found


def _query(function: Callable[[], str], key: str | None, refused: Refused) -> str:
    query = function()
    if not isinstance(query, str) or not query.strip(" \n\t;"):  # pyright: ignore[reportUnnecessaryIsInstance]  (a user's function)
        raise refused(f"returns {query!r} and no query", 'return "SELECT ..."')
    if ("$1" in query) is (key is None):
        raise refused(
            "has a key, and a query that does not take it" if key else "has no key, and a query that takes one",
            f'key="{key or "article_id"}", and in the query: WHERE {key or "article_id"} = ANY($1)',
        )
    return inspect.cleandoc(query).rstrip(" \n\t;")


def pause_s(before_s: float, *, took_s: float | None, is_whole: bool) -> float:
    """Until the next look. before_s: the pause before this one. took_s: the refresh, None where there was nothing to do.

    A whole refresh is followed by a pause as long as itself, so it takes half of the server's time at most.
    """
    if took_s is None:
        return min(max(before_s * 2, MIN_PAUSE_S), MAX_PAUSE_S)
    return max(MIN_PAUSE_S, took_s) if is_whole else MIN_PAUSE_S


def retry_pause_s(failures: int) -> float:
    """After so many failed refreshes in a row, at least one."""
    return min(RETRY_S * 2.0 ** min(failures - 1, 10), MAX_RETRY_S)
