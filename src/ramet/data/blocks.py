"""What `db.read(key)` and `db.write(key)` give: a statement awaited on them, or a block.

    await db.read(key).fetchval("SELECT ...")            one statement, one round trip, no transaction around it
    async with db.read(key) as tx:                       statements that only read, each with its own snapshot
    async with db.read(key, isolation="repeatable_read") as tx:      one snapshot for all
    await db.write(key).fetchrow("INSERT ...")           one statement, committed by itself
    async with db.write(key) as tx:                      a transaction

A read block at the default isolation sends no BEGIN: under READ COMMITTED each statement sees what was committed before it, with a
BEGIN or without. Writes are refused by the server all the same, since its sessions are read-only by default. The block holds no
connection between its statements; what needs one (a cursor, SET LOCAL) needs an isolation level, or `db.write`.

A block takes its connection, and begins, with its first statement. Light: `import ramet` loads this, and neither asyncio nor asyncpg.
"""

from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any

from ramet.data.claims import current_claim
from ramet.data.errors import SchemaChanged
from ramet.data.queries import Blocks, Opened, Statements
from ramet.data.transactions import Transaction, check_nested, open_block


class Read(Statements):
    """`db.read(...)` at the default isolation. As a block it is itself: nothing is begun."""

    __slots__ = ("_outer", "is_open", "task")

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.is_open = False

    def __repr__(self) -> str:
        return f"<Read of {self._opened.pool!r}>"

    @property
    def pool(self) -> Blocks:
        return self._opened.pool

    async def __aenter__(self) -> "Read":
        self._outer = outer = open_block.get()
        self.task = self._opened.pool.current_task()
        if outer is not None:
            check_nested(self, outer)
        self.is_open = True
        open_block.set(self)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.is_open = False
        open_block.set(self._outer)

    async def cursor(self, query: str, *args: Any, prefetch: int = 50) -> AsyncIterator[Any]:
        """Rows as they come, `prefetch` at a time, in a transaction of its own."""
        async with Transaction(self._opened, self._opened.begin_read["repeatable_read"], is_inner=True) as tx:
            async for row in tx.cursor(query, *args, prefetch=prefetch):
                yield row

    async def _rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        pool = self._opened.pool
        connection = pool.take() or await pool.wait_connection()
        try:
            return await connection.rows(query, args, limit)
        except SchemaChanged:
            return await connection.rows(query, args, limit)
        finally:
            pool.give(connection)

    async def _status(self, query: str, args: Sequence[Any]) -> str:
        pool = self._opened.pool
        connection = pool.take() or await pool.wait_connection()
        try:
            return await connection.status(query, args)
        finally:
            pool.give(connection)

    async def _many(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        async with Transaction(self._opened, self._opened.begin_read["repeatable_read"], is_inner=True) as tx:
            await tx.executemany(query, args)


class Write(Statements):
    """`db.write(...)`: one statement that commits by itself, or `async with` for a transaction."""

    __slots__ = ("_block", "_isolation")

    def __init__(self, opened: Opened, isolation: str | None) -> None:
        self._opened = opened
        self._isolation = isolation

    def __repr__(self) -> str:
        return f"<Write of {self._opened.pool!r}>"

    async def __aenter__(self) -> Transaction:
        opened = self._opened
        self._block = block = Transaction(opened, opened.begin_write[self._isolation])
        return block.enter()

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Coroutine[Any, Any, None]:
        return self._block.leave(kind)

    async def _rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        opened = self._opened
        pool = opened.pool
        if self._isolation or current_claim.get() is not None:
            async with self as tx:
                return await tx._rows(query, args, limit)  # noqa: SLF001  (of this file)
        connection = pool.take() or await pool.wait_connection()
        try:
            connection.prefix = opened.write_once
            connection.may_have_run = True
            return await connection.rows(query, args, limit)
        except SchemaChanged:
            connection.prefix = opened.write_once
            return await connection.rows(query, args, limit)
        finally:
            connection.prefix = None
            connection.may_have_run = False
            pool.give(connection)

    async def _status(self, query: str, args: Sequence[Any]) -> str:
        if self._isolation or current_claim.get() is not None:
            async with self as tx:
                return await tx.execute(query, *args)
        pool = self._opened.pool
        connection = pool.take() or await pool.wait_connection()
        try:
            connection.prefix = self._opened.write_once
            connection.may_have_run = True
            return await connection.status(query, args)
        finally:
            connection.prefix = None
            connection.may_have_run = False
            pool.give(connection)

    async def _many(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        async with self as tx:
            await tx.executemany(query, args)
