"""Reads over all shards, for what has no key. Asked for by name, counted, and bounded: each costs as many statements as there are
shards. There is no snapshot over shards: each answers as it is when it is asked.

A shard may have rows that it does not own, copies on the way to another shard or the way back from one. So the statement says
`{owned}` where they are left out, as a condition on the one table that has the key; `{owned:n}` names it where there are more."""

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Protocol

from ramet.data.errors import BlockMisuse
from ramet.data.queries import Opened
from ramet.data.reads import Read

AT_ONCE = 8
"""Shards that are asked at the same time."""


_OWNED = re.compile(r"\{owned(?::(\w+))?\}")


class Scattered(Protocol):
    """The handle of a database."""

    @property
    def all_opened(self) -> list[Opened]: ...
    def owned(self, opened: Opened, row: str, /) -> str: ...


class Scatter:
    """Of `db.scatter()`. A statement is the same at each shard."""

    def __init__(self, database: Scattered) -> None:
        self._database = database

    async def fetch(self, query: str, *args: Any, order_by: str = "", limit: int | None = None) -> list[Any]:
        """The rows of all shards. order_by: columns of the result such as `created_at DESC, id`, by which the shards' rows are
        merged; the statement orders by the same, and has the same limit."""
        found = [row for rows in await self._ask(query, args) for row in rows]
        for column, descends in reversed(_ordering(order_by)):
            present = [row for row in found if row[column] is not None]
            absent = [row for row in found if row[column] is None]
            present.sort(key=itemgetter(column), reverse=descends)
            found = [*absent, *present] if descends else [*present, *absent]  # as the server: NULL is the largest
        return found if limit is None else found[:limit]

    async def total(self, query: str, *args: Any) -> Any:
        """The sum of each column over all shards, for counts and sums: a value where there is one column, else a tuple. A shard
        that answers NULL, as the sum of nothing, adds nothing."""
        rows = [tuple(row) for rows in await self._ask(query, args) for row in rows]
        if len(rows) != len(self._database.all_opened):
            raise BlockMisuse(
                "a total adds one row of each shard, and the statement gives others", hint="without GROUP BY; or `fetch`, and add"
            )
        sums = tuple(sum(value for value in column if value is not None) for column in zip(*rows, strict=True))
        return sums[0] if len(sums) == 1 else sums

    async def _ask(self, query: str, args: Sequence[Any]) -> list[list[Any]]:
        shards = self._database.all_opened
        if not _OWNED.search(query):
            raise BlockMisuse(
                "a read of all shards has to leave out what a shard does not own, such as copies of a move",
                hint="SELECT ... FROM articles WHERE {owned}, or {owned:a} for articles AS a",
            )
        texts = [_OWNED.sub(lambda found, at=opened: f"({self._database.owned(at, found[1] or '')})", query) for opened in shards]
        statements = [Read(opened).fetch(text, *args) for opened, text in zip(shards, texts, strict=True)]
        return await shards[0].scatter(statements, AT_ONCE)


def _ordering(text: str) -> list[tuple[str, bool]]:
    """Column and whether it descends."""
    parts = [part.split() for part in text.split(",") if part.strip()]
    for part in parts:
        if len(part) > 2 or (len(part) == 2 and part[1].lower() not in {"asc", "desc"}):
            raise BlockMisuse(f"order_by={text!r} is not a list of columns", hint='order_by="created_at DESC, id"')
    return [(part[0], part[-1].lower() == "desc" and len(part) == 2) for part in parts]
