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

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import chain
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

from ramet.data.errors import BlockMisuse, SchemaChanged, UniqueViolation
from ramet.data.transactions import Claim, Open, current_claim, open_block

T = TypeVar("T")


class Row(Protocol):
    """asyncpg's Record: by name and by position, immutable. Of an SQLAlchemy statement: its Row, which takes names in [] as well."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Compilable(Protocol):
    """An SQLAlchemy statement: select(...), insert(...), text(...). Needs the extra `sqlalchemy`."""

    def compile(self, *args: Any, **more: Any) -> Any: ...


Query = str | Compilable


class Compiled(NamedTuple):
    """text: with `$1`. args: for it. shape: makes the rows what the statement's types say."""

    text: str
    args: Sequence[Any]
    shape: Callable[[list[Any]], list[Any]]


class Blocks(Protocol):
    """What blocks need of the part that has opened the database."""

    texts: Any

    def take(self) -> Any: ...
    async def wait_connection(self) -> Any: ...
    def give(self, connection: Any, /) -> None: ...
    def current_task(self) -> Any: ...


class Opened(NamedTuple):
    """A database that an instance has opened. Prefixes are of type `connection.Prefix`."""

    pool: Blocks
    begin_write: Mapping[str | None, Any]
    """Isolation level, or None for the default, to the prefix of a block."""
    begin_read: Mapping[str | None, Any]
    """Without the default, which begins nothing."""
    write_once: Any
    """The prefix of a single statement that writes."""
    compile: Callable[[Compilable, Sequence[Any], bool], Compiled]
    join_session: Callable[["Transaction", Mapping[str, Any]], AbstractAsyncContextManager[Any]]


CLAIM = "INSERT INTO ramet_once (call, key, due) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')"
RESULT = "UPDATE ramet_once SET result = $3 WHERE call = $1 AND key = $2"
LEDGER_KEY = "ramet_once_pkey"


class Statements:
    """asyncpg's methods; each may be given an SQLAlchemy statement in place of text, and then one mapping of parameters.

    A statement has the time that is left of the deadline of the work around it. Raises `ramet.data.errors`.
    """

    __slots__ = ("_opened",)

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    async def fetch(self, query: Query, *args: Any) -> list[Any]:
        if isinstance(query, str):
            return await self._rows(query, args, 0)
        compiled = self._opened.compile(query, args, False)
        return compiled.shape(await self._rows(compiled.text, compiled.args, 0))

    async def fetchrow(self, query: Query, *args: Any) -> Any:
        """The first row, or None."""
        if isinstance(query, str):
            rows = await self._rows(query, args, 1)
            return rows[0] if rows else None
        compiled = self._opened.compile(query, args, False)
        rows = compiled.shape(await self._rows(compiled.text, compiled.args, 1))
        return rows[0] if rows else None

    async def fetchval(self, query: Query, *args: Any, column: int = 0) -> Any:
        """A value of the first row, or None."""
        row = await self.fetchrow(query, *args)
        return row[column] if row else None

    async def execute(self, query: Query, *args: Any) -> str:
        """The command tag, such as `UPDATE 3`. Text without args may be several statements."""
        if isinstance(query, str):
            return await self._status(query, args)
        compiled = self._opened.compile(query, args, False)
        return await self._status(compiled.text, compiled.args)

    async def executemany(self, query: Query, args: Iterable[Any]) -> None:
        """Run it once for each item of `args`, pipelined. All or none take effect, outside of a block too."""
        if not isinstance(query, str):
            items = list(args)
            if not items:
                return
            compiled = self._opened.compile(query, items, True)
            query, args = compiled.text, compiled.args
        rest = iter(args)
        for first in rest:
            await self._many(query, chain((first,), rest))

    async def _rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        raise NotImplementedError

    async def _status(self, query: str, args: Sequence[Any]) -> str:
        raise NotImplementedError

    async def _many(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        raise NotImplementedError


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
            _check_nested(self, outer)
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


class Transaction(Statements):
    """A block on one connection, committed when it ends and rolled back when an exception leaves it.

    is_inner: it is a part of a block or statement that is checked and marked already.
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
        if self.is_open:
            raise BlockMisuse("this block is open already", hint="`db.write(...)` makes a new one each time")
        self._outer = outer = open_block.get()
        self.task = self._opened.pool.current_task()
        if outer is not None and not self._is_inner:
            _check_nested(self, outer)
        self.is_open = True
        open_block.set(self)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.is_open = False
        open_block.set(self._outer)
        connection = self._connection
        if connection is None:
            return
        is_committed = False
        try:
            if kind is None:
                if self._result is not None and self._claim is not None:
                    await connection.rows(RESULT, (self._claim.call, self._claim.key, self._result), 0)
                await connection.commit()
                is_committed = True
            elif issubclass(kind, Exception):
                await connection.rollback()
        finally:
            self._connection = None
            if self._claim is not None:
                self._claim.ended(is_committed=is_committed)
                self._claim.is_stored = is_committed and self._result is not None
            connection.left(is_ended=is_committed)
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
        if connection is None or not self.is_open:
            connection = await self.start()
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


class Write(Statements):
    """`db.write(...)`: one statement that commits by itself, or `async with` for a transaction."""

    __slots__ = ("_block", "_isolation")

    def __init__(self, opened: Opened, isolation: str | None) -> None:
        self._opened = opened
        self._isolation = isolation
        self._block: Transaction | None = None

    def __repr__(self) -> str:
        return f"<Write of {self._opened.pool!r}>"

    async def __aenter__(self) -> Transaction:
        block = Transaction(self._opened, self._opened.begin_write[self._isolation])
        await block.__aenter__()
        self._block = block
        return block

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._block is not None
        await self._block.__aexit__(kind, error, trace)

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


def _check_nested(block: Open, outer: Open) -> None:
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
