"""Open a module's database: pool and handle together. Called where an instance is assembled."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from ramet.data import retrying
from ramet.data.address import Address
from ramet.data.connection import Prefix, prefix
from ramet.data.database import Database
from ramet.data.errors import StatementRefused
from ramet.data.hosts import Role
from ramet.data.pool import Limits, Pool
from ramet.data.queries import Compilable, Opened
from ramet.data.transactions import Transaction
from ramet.observe.record import Recorder

_LEVELS: dict[str | None, str] = {
    None: "",
    "read_committed": " ISOLATION LEVEL READ COMMITTED",
    "repeatable_read": " ISOLATION LEVEL REPEATABLE READ",
    "serializable": " ISOLATION LEVEL SERIALIZABLE",
}
_BEGIN_WRITE: Mapping[str | None, Prefix] = {
    level: prefix(f"BEGIN{text} READ WRITE", is_transaction=True, writes=True) for level, text in _LEVELS.items()
}
_BEGIN_READ: Mapping[str | None, Prefix] = {
    level: prefix(f"BEGIN{text} READ ONLY", is_transaction=True, writes=False) for level, text in _LEVELS.items() if level
}
_WRITE_ONCE = prefix("SET transaction_read_only = off", is_transaction=False, writes=True)


async def open_database(
    database: Database, address: Address, *, limits: Limits | None = None, recorder: Recorder | None = None
) -> Pool:
    """Connect to the primary, and bind the handle. Whoever calls it closes the pool. Raises DatabaseUnavailable, PoolerUnfit."""
    pool = Pool(address, module=database.module, limits=limits, recorder=recorder, role=Role.PRIMARY)
    await pool.open()
    bind(database, pool)
    return pool


def bind(database: Database, pool: Pool) -> None:
    database.bind(Opened(pool, _BEGIN_WRITE, _BEGIN_READ, _WRITE_ONCE, _run_core, _join_session), retrying.run)


async def _run_core(tx: Transaction, statement: Compilable, parameters: Any) -> tuple[list[Any], str]:
    return await _sqlalchemy().run_core(tx, statement, parameters)


def _join_session(tx: Transaction, options: Mapping[str, Any]) -> AbstractAsyncContextManager[Any]:
    return _sqlalchemy().join_session(tx, options)


def _sqlalchemy() -> Any:
    # Deferred: SQLAlchemy is an extra, and costs 0.3 s to load for those who do not use it.
    try:
        from ramet.data import sqlalchemy
    except ModuleNotFoundError as error:
        raise StatementRefused(
            f"the database was handed an SQLAlchemy statement or asked for a session, and {error.name} is not installed",
            hint="pip install 'ramet[postgres]'",
        ) from error
    return sqlalchemy
