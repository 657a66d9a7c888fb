"""What can be asked of a database: asyncpg's methods, on text or on SQLAlchemy statements. Light: `import ramet` loads this.

await db.read(key).fetchval("SELECT ...")            one statement, one round trip, no transaction around it
async with db.read(key) as tx:                       statements that only read, each with its own snapshot
async with db.read(key, isolation="repeatable_read") as tx:      one snapshot for all
await db.write(key).fetchrow("INSERT ...")           one statement, committed by itself
async with db.write(key) as tx:                      a transaction
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import chain
from typing import Any, NamedTuple, Protocol

from ramet.data.errors import BlockMisuse


class Row(Protocol):
    """asyncpg's Record: by name and by position, immutable. Of an SQLAlchemy statement: by attribute as well."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Compilable(Protocol):
    """An SQLAlchemy statement: select(...), insert(...), text(...). Needs the extra `postgres`."""

    def compile(self, *args: Any, **more: Any) -> Any: ...


Query = str | Compilable


class Blocks(Protocol):
    """What blocks need of the part that has opened the database."""

    texts: Any
    reroutes: bool
    """Whether a block that was made earlier must look again where its key is."""
    tracked: str
    """Under which name writers note positions; empty where they need not."""

    def take(self) -> Any: ...
    async def wait_connection(self) -> Any: ...
    def give(self, connection: Any, /) -> None: ...
    def current_task(self) -> Any: ...


async def _once(statement: Callable[[], Awaitable[Any]]) -> Any:
    return await statement()


async def _one_by_one(statements: Sequence[Awaitable[Any]], _: int) -> list[Any]:
    return [await statement for statement in statements]


async def _nowhere(_: Any) -> int:
    return 0


class Opened(NamedTuple):
    """A database that an instance has opened. Prefixes are of type `connection.Prefix`."""

    pool: Blocks
    begin_write: Mapping[str | None, Any]
    """Isolation level, or None for the default, to the prefix of a block."""
    begin_read: Mapping[str | None, Any]
    """Without the default, which begins nothing."""
    write_once: Any
    """The prefix of a single statement that writes."""
    run_core: Callable[[Any, Compilable, Any], Awaitable[tuple[list[Any], str]]]
    """Takes a Transaction, a statement and its parameters; returns rows and the command tag."""
    join_session: Callable[[Any, Mapping[str, Any]], AbstractAsyncContextManager[Any]]
    """Takes a Transaction and the options of an AsyncSession."""
    retry_moved: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] = _once
    """Runs a single statement, and again where a fence has refused it."""
    position: Callable[[Any], Awaitable[int]] = _nowhere
    """Takes a pool; where the log of its server is."""
    scatter: Callable[[Sequence[Awaitable[Any]], int], Awaitable[list[Any]]] = _one_by_one
    """Asks all shards, so many at once, and counts it."""
    owner: object = None
    """The database, the same for all of its shards."""
    reader: Any = None
    """A `replicas.Reader`, where there are replicas."""
    shard: int = 0


class Statements(ABC):
    """asyncpg's methods; each may be given an SQLAlchemy statement in place of text, and then one mapping of parameters.

    A statement has the time that is left of the deadline of the work around it. Raises `ramet.data.errors`.
    """

    _opened: Opened

    async def fetch(self, query: Query, *args: Any) -> list[Any]:
        if isinstance(query, str):
            return await self._rows(query, args, 0)
        rows, _ = await self._core(query, _parameters(args))
        return rows

    async def fetchrow(self, query: Query, *args: Any) -> Any:
        """The first row, or None."""
        rows = await self._rows(query, args, 1) if isinstance(query, str) else (await self._core(query, _parameters(args)))[0]
        return rows[0] if rows else None

    async def fetchval(self, query: Query, *args: Any, column: int = 0) -> Any:
        """A value of the first row, or None."""
        row = await self.fetchrow(query, *args)
        return row[column] if row else None

    async def execute(self, query: Query, *args: Any) -> str:
        """The command tag, such as `UPDATE 3`. Text without args may be several statements."""
        if isinstance(query, str):
            return await self._status(query, args)
        _, tag = await self._core(query, _parameters(args))
        return tag

    async def executemany(self, query: Query, args: Iterable[Any]) -> None:
        """Run it once for each item of `args`, pipelined. All or none take effect, outside of a block too."""
        rest = iter(args)
        for first in rest:
            items = chain((first,), rest)
            if isinstance(query, str):
                await self._many(query, items)
            else:
                await self._core(query, list(items))

    @abstractmethod
    def _rows(self, query: str, args: Sequence[Any], limit: int) -> Coroutine[Any, Any, list[Any]]: ...

    @abstractmethod
    async def _status(self, query: str, args: Sequence[Any]) -> str: ...

    @abstractmethod
    async def _many(self, query: str, args: Iterable[Sequence[Any]]) -> None: ...

    @abstractmethod
    async def _core(self, statement: Compilable, parameters: Any) -> tuple[list[Any], str]: ...


def _parameters(args: Sequence[Any]) -> Any:
    if len(args) > 1:
        raise BlockMisuse(
            "an SQLAlchemy statement takes its parameters as one mapping", hint="tx.fetch(statement, {'slug': slug})"
        )
    return args[0] if args else None
