"""The block that `async with db.write(...)` opens, and which one is open here. Light: `import ramet` loads this.

    new ──async with──> open ──its end──> over      its first statement takes a connection; without one it costs nothing
     └──a statement without a block: in and out by itself, any number of times

A block is rolled back by the pool, behind the caller's back, when it was cancelled: whoever cancels does not want to wait.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ramet.data.claims import CLAIM, LEDGER_KEY, RESULT, Claim, current_claim, fence_of
from ramet.data.errors import BlockMisuse, DatabaseError, SchemaChanged, StatementDeadline, UniqueViolation
from ramet.data.queries import Blocks, Compilable, Opened, Statements
from ramet.wire.context import BEYOND, current

T = TypeVar("T")

_NEW, _OPEN, _OVER = "new", "open", "over"


class Open(Protocol):
    """A block of `db.read()`, `db.write()` or `db.session()`."""

    @property
    def is_open(self) -> bool: ...
    @property
    def pool(self) -> object: ...
    @property
    def task(self) -> object: ...


Route = Callable[[Any, bool], Opened]
"""Where a key is to be read (False) or written (True) now."""

open_block: ContextVar[Open | None] = ContextVar("ramet_open_block", default=None)


def is_in_transaction() -> bool:
    """Whether a call made here would be made inside a block of a database.

    True as well in tasks that the block's code has started, for as long as the block is open.
    """
    block = open_block.get()
    return block is not None and block.is_open


class Transaction(Statements):
    """`db.write(...)`: awaited on as it is, one statement that commits by itself; with `async with`, a block.

    The block is on one connection, which it takes with its first statement. It is committed when it ends, and rolled back when an
    exception leaves it. begin: of type `connection.Prefix`. is_inner: one statement that needs a transaction of its own, and no
    block of the user's.
    """

    # Not slots: defaults in the class spare each block ten assignments.
    _state = _NEW
    _connection: Any = None
    _claim: Claim | None = None
    _result: bytes | None = None
    _savepoints = 0
    _is_inner = False
    _is_starting = False
    _outer: Open | None = None
    _from: Any = None
    """The pool of the connection."""
    _route: Route | None = None
    _key: Any = None
    task: Any = None
    guest: Any = None
    """SQLAlchemy's connection on this block, once there is one. Has `leave`."""

    def __init__(
        self, opened: Opened, begin: Any, *, route: Route | None = None, key: Any = None, is_inner: bool = False
    ) -> None:
        self._opened = opened
        self._begin = begin
        if route is not None:
            self._route = route
            self._key = key
        if is_inner:
            self._is_inner = True

    def __repr__(self) -> str:
        return f"<Transaction of {self._begin.text!r}, {self._state}, {self._connection or 'no connection'}>"

    @property
    def pool(self) -> Blocks:
        return self._opened.pool

    @property
    def is_open(self) -> bool:
        return self._state is _OPEN

    async def __aenter__(self) -> "Transaction":
        if self._state is not _NEW:
            raise BlockMisuse(f"this block is {self._state} already", hint="`db.write(...)` makes a new one each time")
        self.task = self._opened.pool.current_task()
        if not self._is_inner:
            self._outer = outer = open_block.get()
            if outer is not None:
                check_nested(self, outer)
            open_block.set(self)
        self._state = _OPEN
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._state = _OVER
        if not self._is_inner:
            open_block.set(self._outer)
        connection = self._connection
        if connection is None:
            return
        is_committed = False
        try:
            if self.guest is not None:
                await self.guest.leave()
            if kind is None:
                if self._result is not None and self._claim is not None:
                    await connection.rows(RESULT, (self._claim.call, self._claim.key, self._result), 0)
                if connection.prefix is None:
                    await self._commit(connection)
                is_committed = True
            elif issubclass(kind, Exception):
                await connection.rollback()
        finally:
            self._let_go(is_committed=is_committed)

    async def _commit(self, connection: Any) -> None:
        tracked = self._from.tracked
        if tracked and self._begin.writes:
            current.get().causal.note(tracked, await connection.commit_at())
        else:
            connection.check_committed(await connection.commit())

    def transaction(self) -> "Savepoint":
        """A part that can fail by itself: `async with tx.transaction():`. asyncpg's name for a savepoint."""
        return Savepoint(self)

    def result(self, value: T) -> T:
        """Store what this `once` call will return with this block's commit: `return tx.result(article)`. Returns `value`.

        Without it the outcome is stored right after the function has returned, and a crash in between leaves a call that is
        known to have run, but not with what result. Outside of a `once` call it does nothing.
        """
        claim = current_claim.get()
        if isinstance(claim, Claim) and claim.owner is self._opened.owner:
            self._result = claim.encode(value)
        return value

    async def copy_records_to_table(
        self,
        table_name: str,
        *,
        records: Iterable[Sequence[Any]],
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
    ) -> str:
        """COPY rows in: the fastest way for hundreds or more."""
        if self._state is _NEW:
            async with self._alone() as tx:
                return await tx.copy_records_to_table(table_name, records=records, columns=columns, schema_name=schema_name)
        connection = await self._begun()
        operation = connection.driver.copy_records_to_table(table_name, records=records, columns=columns, schema_name=schema_name)
        return await connection.run(connection.series_of(f"COPY {table_name}"), operation)

    async def cursor(self, query: str, *args: Any, prefetch: int = 50) -> AsyncIterator[Any]:
        """Rows as they come, `prefetch` at a time: `async for row in tx.cursor(...)`."""
        connection = await self._begun()
        series = connection.series_of(query)
        opened = await connection.run(series, _opening(connection, query, args))
        while rows := await connection.run(series, opened.fetch(prefetch)):
            for row in rows:
                yield row

    def session(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        """An SQLAlchemy AsyncSession in this block. options: of AsyncSession. Needs the extra `postgres`."""
        return self._opened.join_session(self, options)

    async def start(self) -> Any:
        """The block's connection, taken if this is the first statement."""
        if self._state is not _OPEN:
            raise BlockMisuse(
                "the block is over" if self._state is _OVER else "the block has not begun",
                hint="`async with db.write(...) as tx:`, and use tx inside",
            )
        if self._connection is not None:
            return self._connection
        if self._is_starting:
            raise BlockMisuse("two tasks use one block at the same time", hint="one block for each task")
        self._is_starting = True
        try:
            pool, connection = await self._taken()
        finally:
            self._is_starting = False
        connection.prefix = self._begin
        self._connection = connection
        self._from = pool
        claim = current_claim.get()
        if claim is not None and self._begin.writes:
            if (fence := fence_of(claim)) is not None and fence.pool is pool:
                await fence.enter(connection)
            if isinstance(claim, Claim) and claim.owner is self._opened.owner and claim.begin(self._opened):
                self._claim = claim
                await _claim_key(connection, claim)
        return connection

    async def restart(self) -> None:
        """Undo all so far, and begin again with the next statement: what SQLAlchemy asks for by `session.rollback()`."""
        connection = self._connection
        if connection is not None:
            await connection.rollback()
            self._let_go(is_committed=False)

    def _let_go(self, *, is_committed: bool) -> None:
        connection, self._connection = self._connection, None
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.ended(is_committed=is_committed)
            claim.stored = self._result if is_committed else None
        connection.left()
        self._from.give(connection)

    async def command(self, text: str) -> None:
        connection = await self._begun()
        await connection.command(text)

    def next_savepoint(self) -> str:
        self._savepoints += 1
        return f"ramet_{self._savepoints % 8}"

    async def _begun(self) -> Any:
        """The connection with BEGIN sent, for what cannot carry it."""
        connection = await self.start()
        await connection.begin_now()
        return connection

    async def _taken(self) -> tuple[Blocks, Any]:
        """A connection, and the pool that it is of. Who waited for one looks again: the key may have moved meanwhile."""
        while True:
            pool = self._pool()
            if not self._begin.writes and self._opened.reader is not None:
                pool = await self._opened.reader.pool()
                return pool, pool.take() or await pool.wait_connection()
            if (connection := pool.take()) is not None:
                return pool, connection
            connection = await pool.wait_connection()
            if self._pool() is pool or not pool.reroutes:
                return pool, connection
            pool.give(connection)

    def _pool(self) -> Blocks:
        """Where the key is now; it may have moved since the block was made."""
        if self._opened.pool.reroutes and self._route is not None:
            self._opened = self._route(self._key, self._begin.writes)
        return self._opened.pool

    def _start_at_once(self) -> Any:
        """`start` where it has nothing to wait for and nothing to claim, else None. Spares the usual block a coroutine."""
        if self._state is not _OPEN or self._is_starting or current_claim.get() is not None:
            return None
        pool = self._opened.pool
        if pool.reroutes:
            if not self._begin.writes and self._opened.reader is not None:
                return None
            pool = self._pool()
        self._connection = connection = pool.take()
        if connection is not None:
            connection.prefix = self._begin
            self._from = pool
        return connection

    def _rows(self, query: str, args: Sequence[Any], limit: int) -> Coroutine[Any, Any, list[Any]]:
        connection = self._connection or self._start_at_once()
        return connection.rows(query, args, limit) if connection is not None else self._other_rows(query, args, limit)

    async def _other_rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        """Of a block that has to wait for its connection, and of a statement without a block."""
        if self._state is not _NEW:
            return await (await self.start()).rows(query, args, limit)
        if self._begin is not self._opened.begin_write[None] or current_claim.get() is not None:
            async with self._alone() as tx:
                return await tx._other_rows(query, args, limit)  # noqa: SLF001  (of this class)
        if self._opened.pool.reroutes and self._route is not None:
            return await self._opened.retry_moved(lambda: self._rows_once(query, args, limit))
        return await self._rows_once(query, args, limit)

    async def _rows_once(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        pool, connection = await self._taken()
        write_once = self._opened.write_once
        try:
            connection.prefix = write_once
            connection.may_have_run = True
            rows = await connection.rows(query, args, limit)
        except SchemaChanged as error:
            if not error.sqlstate:
                raise  # the driver could not read the answer, so the statement did run
            connection.prefix = write_once
            rows = await connection.rows(query, args, limit)
        finally:
            connection.left()
            pool.give(connection)
        await self._note(pool)
        return rows

    async def _status(self, query: str, args: Sequence[Any]) -> str:
        if self._state is not _NEW:
            return await (await self.start()).status(query, args)
        if self._begin is not self._opened.begin_write[None] or current_claim.get() is not None:
            async with self._alone() as tx:
                return await tx._status(query, args)  # noqa: SLF001  (of this class)
        if self._opened.pool.reroutes and self._route is not None:
            return await self._opened.retry_moved(lambda: self._status_once(query, args))
        return await self._status_once(query, args)

    async def _status_once(self, query: str, args: Sequence[Any]) -> str:
        pool, connection = await self._taken()
        try:
            connection.prefix = self._opened.write_once
            connection.may_have_run = True
            tag = await connection.status(query, args)
        finally:
            connection.left()
            pool.give(connection)
        await self._note(pool)
        return tag

    async def _note(self, pool: Blocks) -> None:
        """Where the log is after a statement that committed by itself. Where that cannot be learned, it is beyond all replicas:
        the statement has run, and its caller is told so."""
        if pool.tracked:
            try:
                position = await self._opened.position(pool)
            except (DatabaseError, StatementDeadline):
                position = BEYOND
            current.get().causal.note(pool.tracked, position)

    async def _many(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        if self._state is _NEW:
            async with self._alone() as tx:
                return await tx._many(query, args)  # noqa: SLF001  (of this class)
        return await (await self.start()).many(query, args)

    async def _core(self, statement: Compilable, parameters: Any) -> tuple[list[Any], str]:
        if self._state is _NEW:
            async with self._alone() as tx:
                return await tx._core(statement, parameters)  # noqa: SLF001  (of this class)
        return await self._opened.run_core(self, statement, parameters)

    def _alone(self) -> "Transaction":
        """For one statement that cannot do without a transaction."""
        return Transaction(self._opened, self._begin, route=self._route, key=self._key, is_inner=True)


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
    return await (await connection.driver.prepare(query)).cursor(*args)


async def _claim_key(connection: Any, claim: Claim) -> None:
    try:
        await connection.rows(CLAIM, (claim.call, claim.key, connection.time_left_s()), 0)
    except UniqueViolation as error:
        if error.constraint == LEDGER_KEY:
            raise claim.refused() from error
        raise
