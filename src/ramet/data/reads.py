"""`db.read(...)` at the default isolation. Light: `import ramet` loads this.

No BEGIN is sent: under READ COMMITTED each statement sees what was committed before it, with a BEGIN or without. Writes are
refused by the server all the same, since its sessions are read-only by default. A block holds no connection between its
statements; what needs one (one snapshot for all, SET LOCAL) needs an isolation level, or `db.write`.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any

from ramet.data.errors import SchemaChanged
from ramet.data.queries import Blocks, Compilable, Opened, Statements
from ramet.data.transactions import Open, Route, Transaction, check_nested, open_block


class Read(Statements):
    """A statement awaited on it, or a block. As a block it is itself: nothing is begun."""

    is_open = False
    task: Any = None
    _outer: Open | None = None

    def __init__(self, opened: Opened, *, route: Route | None = None, key: Any = None) -> None:
        self._opened = opened
        self._route = route
        self._key = key

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

    def _here(self) -> Opened:
        """Where the key is now; it may have moved since this was made."""
        if self._opened.pool.reroutes and self._route is not None:
            self._opened = self._route(self._key, False)
        return self._opened

    async def cursor(self, query: str, *args: Any, prefetch: int = 50) -> AsyncIterator[Any]:
        """Rows as they come, `prefetch` at a time, in a transaction of its own."""
        opened = self._here()
        async with Transaction(opened, opened.begin_read["repeatable_read"], is_inner=True) as tx:
            async for row in tx.cursor(query, *args, prefetch=prefetch):
                yield row

    async def _rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        opened = self._opened
        if opened.pool.reroutes:
            opened = self._here()
            if opened.reader is not None:
                return await opened.reader.rows(query, args, limit)
        pool = opened.pool
        connection = pool.take() or await pool.wait_connection()
        try:
            return await connection.rows(query, args, limit)
        except SchemaChanged:
            return await connection.rows(query, args, limit)
        finally:
            pool.give(connection)

    async def _status(self, query: str, args: Sequence[Any]) -> str:
        opened = self._here()
        pool = await opened.reader.pool() if opened.reader is not None else opened.pool
        connection = pool.take() or await pool.wait_connection()
        try:
            return await connection.status(query, args)
        finally:
            connection.left()
            pool.give(connection)

    async def _many(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        opened = self._here()
        async with Transaction(opened, opened.begin_read["repeatable_read"], is_inner=True) as tx:
            await tx.executemany(query, args)

    async def _core(self, statement: Compilable, parameters: Any) -> tuple[list[Any], str]:
        opened = self._here()
        async with Transaction(opened, opened.begin_read["read_committed"], is_inner=True) as tx:
            return await self._opened.run_core(tx, statement, parameters)
