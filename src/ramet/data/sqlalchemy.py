"""SQLAlchemy on a block: Core statements in place of text, and ORM sessions. Loaded with the first of either (extra
`sqlalchemy`).

SQLAlchemy is given a connection that is not one: `Guest` looks like asyncpg's to its dialect, and each statement goes over
the block's own connection, with its prefix, deadline and record. The block begins and ends the transaction; what SQLAlchemy
says of begin and commit is heard and not done, and its rollback starts the block over. So `session.commit()` flushes, and the
block commits.

Core statements return rows of our own and raise `ramet.data.errors`; inside of a session all is SQLAlchemy's, its errors too.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from ramet.data import driver, errors, refusals
from ramet.data.errors import BlockMisuse, DatabaseError
from ramet.data.queries import Compilable
from ramet.data.transactions import Transaction


class Dialect(PGDialect_asyncpg):
    """asyncpg's dialect on connections that others share: it reads JSON by SQLAlchemy's types, and changes no codec of the
    connection."""

    supports_statement_cache = True
    supports_native_json_deserialization = False

    async def setup_asyncpg_json_codec(self, conn: Any) -> None: ...
    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None: ...


registry.register("postgresql.ramet", __name__, Dialect.__name__)


class Row(tuple[Any, ...]):
    """A row of a Core statement: by position, by name in [], by attribute."""

    _names: Mapping[str, int]

    def __new__(cls, values: Sequence[Any], names: Mapping[str, int]) -> "Row":
        made = super().__new__(cls, values)
        made._names = names
        return made

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._names[key] if isinstance(key, str) else key)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[self._names[name]]
        except KeyError:
            raise AttributeError(f"the row has no column {name!r}; it has {', '.join(self._names)}") from None

    def keys(self) -> Iterator[str]:
        return iter(self._names)

    def items(self) -> Iterator[tuple[str, Any]]:
        return ((name, self[index]) for name, index in self._names.items())


async def run_core(tx: Transaction, statement: Compilable, parameters: Any) -> tuple[list[Any], str]:
    guest = await _guest_of(tx)
    try:
        result = await guest.connection.execute(cast("Any", statement), parameters)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        raise (refusals.ours(cause) if cause is not None else errors.StatementRefused(str(error.orig))) from error
    if not result.returns_rows:
        return [], guest.tag
    names = {name: index for index, name in enumerate(result.keys())}
    return [Row(row, names) for row in result.fetchall()], guest.tag


@asynccontextmanager
async def join_session(tx: Transaction, options: Mapping[str, Any]) -> AsyncGenerator[AsyncSession]:
    guest = await _guest_of(tx)
    defaults: dict[str, Any] = {"expire_on_commit": False, "join_transaction_mode": "rollback_only", "info": {"tx": tx}}
    session = AsyncSession(guest.connection, **{**defaults, **options})
    try:
        yield session
        await session.commit()
    finally:
        await session.close()


class Guest:
    """What SQLAlchemy's dialect takes for asyncpg's connection. tag: of the last statement."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._is_ending = True
        self.connection: AsyncConnection
        self.tag = ""

    async def open(self) -> None:
        """Connect, with SQLAlchemy's first questions to the server and the rollback after them kept apart from the block's
        work."""
        self.connection = await _engine(self._tx).connect()
        await self.connection.begin()  # a session joins a transaction that is there, and would end one of its own
        self._is_ending = False

    async def leave(self) -> None:
        """The block ends, and says how by itself."""
        self._is_ending = True
        await self.connection.close()

    async def start(self) -> Any:
        return await self._tx.start()

    async def rolled_back(self) -> None:
        if not self._is_ending:
            await self._tx.restart()

    # ---- asyncpg's own names

    async def prepare(self, query: str, *, name: str | None = None) -> "_Statement":  # noqa: ARG002  (asyncpg's parameter)
        with _raw():
            known = await (await self.start()).learned(query)
        return _Statement(self, query, known.prepared.get_attributes())

    async def executemany(self, query: str, args: Sequence[Any]) -> None:
        with _raw():
            await (await self.start()).many(query, args)

    async def fetchrow(self, query: str) -> Any:
        with _raw():
            return await (await self.start()).rows(query, (), 1)

    def transaction(self, **_: Any) -> "_Heard":
        return _Heard(self)

    async def reload_schema_state(self) -> None: ...

    async def close(self, *, timeout: float | None = None) -> None: ...  # noqa: ASYNC109  (asyncpg\'s parameter)

    def is_closed(self) -> bool:
        return False

    def terminate(self) -> None: ...


class _raw:  # noqa: N801  (reads as a word)
    """Give SQLAlchemy the driver's own error, which its dialect knows."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DatabaseError) and isinstance(error.__cause__, (driver.PostgresError, driver.InterfaceError)):
            raise error.__cause__


class _Statement:
    """asyncpg's PreparedStatement, on whatever connection the block has when it is run."""

    def __init__(self, guest: Guest, query: str, attributes: Any) -> None:
        self._guest = guest
        self._query = query
        self._attributes = attributes

    def get_attributes(self) -> Any:
        return self._attributes

    def get_statusmsg(self) -> str:
        return self._guest.tag

    async def fetch(self, *args: Any) -> list[Any]:
        with _raw():
            connection = await self._guest.start()
            rows, self._guest.tag = await connection.rows_and_tag(await connection.learned(self._query), args)
        return rows

    async def cursor(self, *args: Any) -> Any:
        with _raw():
            connection = await self._guest.start()
            await connection.begin_now()
            return await (await connection.learned(self._query)).prepared.cursor(*args)


class _Heard:
    """asyncpg's Transaction: the block's own, so starting and committing it is nothing."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    async def start(self) -> None: ...
    async def commit(self) -> None: ...

    async def rollback(self) -> None:
        await self._guest.rolled_back()


_engines: "WeakKeyDictionary[object, AsyncEngine]" = WeakKeyDictionary()
_joining: ContextVar[Guest] = ContextVar("ramet_sqlalchemy_guest")


def _engine(tx: Transaction) -> AsyncEngine:
    engine = _engines.get(tx.pool)
    if engine is None:

        async def creator(*_: Any, **__: Any) -> Guest:
            return _joining.get()

        engine = _engines[tx.pool] = create_async_engine(
            "postgresql+ramet://", async_creator=creator, poolclass=NullPool, pool_reset_on_return=None
        )
    return engine


async def _guest_of(tx: Transaction) -> Guest:
    if tx.guest is None:
        if not tx.is_open:
            raise BlockMisuse("a session needs an open block", hint="`async with db.write(...) as tx, tx.session() as session:`")
        guest = Guest(tx)
        token = _joining.set(guest)
        try:
            await guest.open()
        finally:
            _joining.reset(token)
        tx.guest = guest
    return tx.guest
