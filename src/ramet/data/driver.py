"""The door to asyncpg: the one place that imports it, and what of it is used, with types.

asyncpg is not typed throughout, and its fast path is not public. Used beyond its documentation, and held by a contract test
(tests/data/test_driver.py): the protocol and the transport that it hands to a connection class, the protocol's `bind_execute`,
`bind_execute_many` and `query`, and the `_state` of a prepared statement. That path is asyncpg's own minus four layers, which
pays for the record and the pool.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  (it ships none; `Driver` below is what we use)

from ramet.data.address import Pooling

_asyncpg: Any = asyncpg
PostgresError: type[Exception] = _asyncpg.PostgresError
InterfaceError: type[Exception] = _asyncpg.InterfaceError
InternalClientError: type[Exception] = _asyncpg.InternalClientError
OutdatedSchemaCacheError: type[Exception] = _asyncpg.exceptions.OutdatedSchemaCacheError
InvalidCachedStatementError: type[Exception] = _asyncpg.InvalidCachedStatementError
ConnectionDoesNotExistError: type[Exception] = _asyncpg.ConnectionDoesNotExistError

_Base: Any = asyncpg.Connection


class Wire(Protocol):
    """asyncpg's protocol object: one message sequence at a time, without the checks and caches of its Connection."""

    def bind_execute(
        self, state: Any, args: Sequence[Any], portal_name: str, limit: int, return_extra: bool, timeout: float | None, /
    ) -> Coroutine[Any, Any, Any]: ...
    def bind_execute_many(
        self, state: Any, args: Iterable[Any], portal_name: str, timeout: float | None, return_rows: bool, /
    ) -> Coroutine[Any, Any, Any]: ...
    def query(self, query: str, timeout: float | None, /) -> Coroutine[Any, Any, str]: ...


class Cursor(Protocol):
    def fetch(self, n: int, /) -> Coroutine[Any, Any, list[Any]]: ...


class Prepared(Protocol):
    _state: Any

    def get_attributes(self) -> Any: ...
    def cursor(self, *args: Any) -> Awaitable[Cursor]: ...


class Driver(Protocol):
    """asyncpg's Connection, as far as it is used."""

    wire: Wire
    write: Callable[[bytes], None]
    host: str
    pooling: Pooling

    def prepare(self, query: str, /, *, name: str | None = None) -> Coroutine[Any, Any, Prepared]: ...
    def execute(self, query: str, /) -> Coroutine[Any, Any, str]: ...
    def fetch(self, query: str, /, *args: Any) -> Coroutine[Any, Any, list[Any]]: ...
    def fetchval(self, query: str, /, *args: Any) -> Coroutine[Any, Any, Any]: ...
    def copy_records_to_table(
        self, table_name: str, /, *, records: Any, columns: Any, schema_name: Any
    ) -> Coroutine[Any, Any, str]: ...
    def add_termination_listener(self, callback: Callable[[Any], None], /) -> None: ...
    def get_server_pid(self) -> int: ...
    def get_settings(self) -> Any: ...
    def is_in_transaction(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...
    def close(self, *, timeout: float | None = None) -> Coroutine[Any, Any, None]: ...


class Session(_Base):
    """A connection that keeps hold of what it was built from. host, pooling: where it leads, as `entry` found it."""

    __slots__ = ("host", "pooling", "wire", "write")

    def __init__(self, protocol: Any, transport: Any, *rest: Any, **more: Any) -> None:
        super().__init__(protocol, transport, *rest, **more)  # pyright: ignore[reportUnknownMemberType]  (of asyncpg)
        self.wire = protocol
        self.write = transport.write
        self.host = ""
        self.pooling = Pooling.NONE


def is_of_server(error: BaseException) -> bool:
    """Whether the server has refused. asyncpg raises a PostgresError of its own, too: for an argument that does not fit."""
    return isinstance(error, PostgresError) and getattr(error, "severity", None) is not None


def is_standby(connection: Driver) -> bool:
    """By a parameter that the server reports at login, and again with its next answer after it has changed (PostgreSQL 14)."""
    return getattr(connection.get_settings(), "in_hot_standby", "off") == "on"


def state_of(prepared: Prepared) -> Any:
    return prepared._state  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  (see above)


async def connect(
    dsn: str, *, timeout_s: float, server_settings: Mapping[str, str], statement_cache_size: int = 100, **options: Any
) -> Driver:
    """Raises asyncpg's own errors, OSError and TimeoutError."""
    made = await _asyncpg.connect(
        dsn,
        timeout=timeout_s,
        server_settings=dict(server_settings),
        statement_cache_size=statement_cache_size,
        max_cached_statement_lifetime=0,
        connection_class=Session,
        **options,
    )
    return cast("Driver", made)
