"""The block that `async with db.write(...)` opens, and which one is open here. Light: `import ramet` loads this.

A block takes its connection, and begins, with its first statement; one without a statement costs nothing.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ramet.data.claims import Claim, current_claim
from ramet.data.errors import BlockMisuse, UniqueViolation
from ramet.data.queries import Blocks, Opened, Statements

T = TypeVar("T")

CLAIM = "INSERT INTO ramet_once (call, key, due) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')"
RESULT = "UPDATE ramet_once SET result = $3 WHERE call = $1 AND key = $2"
LEDGER_KEY = "ramet_once_pkey"


class Open(Protocol):
    """A block of `db.read()`, `db.write()` or `db.session()`."""

    is_open: bool

    @property
    def pool(self) -> object: ...
    @property
    def task(self) -> object: ...


open_block: ContextVar[Open | None] = ContextVar("ramet_open_block", default=None)


def is_in_transaction() -> bool:
    """Whether a call made here would be made inside a block of a database.

    True as well in tasks that the block's code has started, for as long as the block is open.
    """
    block = open_block.get()
    return block is not None and block.is_open


class Transaction(Statements):
    """A block on one connection, committed when it ends and rolled back when an exception leaves it.

    is_inner: one statement that needs a transaction of its own, and no block of the user's.
    """

    __slots__ = ("_begin", "_claim", "_connection", "_is_inner", "_is_starting", "_outer", "_result", "_savepoints", "is_open", "task")

    def __init__(self, opened: Opened, begin: Any, *, is_inner: bool = False) -> None:
        self._opened = opened
        self._begin = begin
        self._connection: Any = None
        self._claim: Claim | None = None
        self._result: bytes | None = None
        self._savepoints = 0
        self._is_inner = is_inner
        self._is_starting = False
        self.is_open = False

    def __repr__(self) -> str:
        state = "open" if self.is_open else "not open"
        return f"<Transaction {state}, {self._connection!r}>" if self._connection else f"<Transaction {state}, no statement yet>"

    @property
    def pool(self) -> Blocks:
        return self._opened.pool

    async def __aenter__(self) -> "Transaction":
        return self.enter()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.leave(kind)

    def enter(self) -> "Transaction":
        if self.is_open:
            raise BlockMisuse("this block is open already", hint="`db.write(...)` makes a new one each time")
        self._outer = outer = open_block.get()
        self.task = self._opened.pool.current_task()
        if not self._is_inner:
            if outer is not None:
                check_nested(self, outer)
            open_block.set(self)
        self.is_open = True
        return self

    async def leave(self, kind: type[BaseException] | None) -> None:
        """End the block: kind is of the exception that leaves it, None for none."""
        self.is_open = False
        if not self._is_inner:
            open_block.set(self._outer)
        connection = self._connection
        if connection is None:
            return
        claim = self._claim
        is_committed = False
        try:
            if kind is None:
                if self._result is not None and claim is not None:
                    await connection.rows(RESULT, (claim.call, claim.key, self._result), 0)
                await connection.commit()
                is_committed = True
            elif issubclass(kind, Exception):
                await connection.rollback()
        finally:
            self._connection = None
            if claim is not None:
                claim.ended(is_committed=is_committed)
                claim.is_stored = is_committed and self._result is not None
            connection.left()
            self._opened.pool.give(connection)

    def transaction(self) -> "Savepoint":
        """A part that can fail by itself: `async with tx.transaction():`. asyncpg's name for a savepoint."""
        return Savepoint(self)

    def result(self, value: T) -> T:
        """Store what this `once` call will return with this block's commit: `return tx.result(article)`. Returns `value`.

        Without it the outcome is stored right after the function has returned, and a crash in between leaves a call that is known to
        have run, but not with what result. Outside of a `once` call it does nothing.
        """
        claim = current_claim.get()
        if claim is not None and claim.pool is self._opened.pool:
            self._result = claim.encode(value)
        return value

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[Any]], columns: Sequence[str] | None = None, schema_name: str | None = None
    ) -> str:
        """COPY rows in: the fastest way for hundreds or more."""
        connection = await self._on_its_own()
        operation = connection.driver.copy_records_to_table(table_name, records=records, columns=columns, schema_name=schema_name)
        return await connection.run(connection.series_of(f"COPY {table_name}"), operation)

    async def cursor(self, query: str, *args: Any, prefetch: int = 50) -> AsyncIterator[Any]:
        """Rows as they come, `prefetch` at a time: `async for row in tx.cursor(...)`."""
        connection = await self._on_its_own()
        series = connection.series_of(query)
        opened = await connection.run(series, _opening(connection, query, args))
        while rows := await connection.run(series, opened.fetch(prefetch)):
            for row in rows:
                yield row

    def session(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        """An SQLAlchemy AsyncSession in this transaction. options: of AsyncSession. Needs the extra `sqlalchemy`."""
        return self._opened.join_session(self, options)

    async def start(self) -> Any:
        """The connection, taken if this is the first statement."""
        if not self.is_open:
            raise BlockMisuse("the block is over, or has not begun", hint="`async with db.write(...) as tx:`, and use tx inside")
        if self._connection is not None:
            return self._connection
        if self._is_starting:
            raise BlockMisuse("two tasks use one block at the same time", hint="one block for each task")
        pool = self._opened.pool
        self._is_starting = True
        try:
            connection = pool.take() or await pool.wait_connection()
        finally:
            self._is_starting = False
        connection.held(self._begin)
        self._connection = connection
        claim = current_claim.get()
        if claim is not None and claim.pool is pool and self._begin.writes and claim.begin():
            self._claim = claim
            await _claim_key(connection, claim)
        return connection

    def _start_at_once(self) -> Any:
        """`start` where it has nothing to wait for and nothing to claim, else None. Spares the usual block a coroutine."""
        if not self.is_open or self._is_starting or current_claim.get() is not None:
            return None
        connection = self._opened.pool.take()
        if connection is not None:
            connection.held(self._begin)
            self._connection = connection
        return connection

    async def begun_again(self) -> None:
        """After a rollback inside of the block, which SQLAlchemy may ask for: the next statement begins anew."""
        if self._connection is not None:
            await self._connection.rollback()
            self._connection.held(self._begin)

    async def _on_its_own(self) -> Any:
        connection = await self.start()
        await connection.begin_now()
        return connection

    async def _rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        connection = self._connection
        if connection is None:
            connection = self._start_at_once() or await self.start()
        return await connection.rows(query, args, limit)

    async def _status(self, query: str, args: Sequence[Any]) -> str:
        return await (await self.start()).status(query, args)

    async def _many(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        await (await self.start()).many(query, args)

    async def command(self, text: str) -> None:
        connection = await self._on_its_own()
        await connection.command(text)

    def next_savepoint(self) -> str:
        self._savepoints += 1
        return f"ramet_{self._savepoints % 8}"


class Savepoint:
    """`async with tx.transaction():` An exception that leaves it undoes what was done inside, and only that."""

    __slots__ = ("_name", "_tx")

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def __aenter__(self) -> Transaction:
        self._name = self._tx.next_savepoint()
        await self._tx.command(f"SAVEPOINT {self._name}")
        return self._tx

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            await self._tx.command(f"RELEASE SAVEPOINT {self._name}")
        elif issubclass(kind, Exception):
            await self._tx.command(f"ROLLBACK TO SAVEPOINT {self._name}")


def check_nested(block: Open, outer: Open) -> None:
    if outer.is_open and outer.pool is block.pool and outer.task is block.task:
        raise BlockMisuse(
            "a block of this database is open already: this one would not see its writes, and could wait for them for ever",
            hint="hand `tx` on to what needs it; for a part that may fail, `async with tx.transaction():`",
        )


async def _opening(connection: Any, query: str, args: Sequence[Any]) -> Any:
    return await connection.driver.cursor(query, *args)


async def _claim_key(connection: Any, claim: Claim) -> None:
    try:
        await connection.rows(CLAIM, (claim.call, claim.key, connection.time_left_s()), 0)
    except UniqueViolation as error:
        if error.constraint == LEDGER_KEY:
            raise claim.refused() from error
        raise
