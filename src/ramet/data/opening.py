"""Open a module's database: pool and handle together. Called where an instance is assembled."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from ramet.data import retrying, slices
from ramet.data.address import Address
from ramet.data.connection import POSITION, Prefix, prefix
from ramet.data.database import Database
from ramet.data.errors import StatementRefused
from ramet.data.hosts import Role
from ramet.data.insight.collecting import QueryLog
from ramet.data.pool import Limits, Pool
from ramet.data.queries import Blocks, Compilable, Opened
from ramet.data.replicas import Reader, Replica, name_of
from ramet.data.shards import Shards
from ramet.data.transactions import Transaction
from ramet.model.sharding import DatabaseAt, ShardAt
from ramet.observe import names
from ramet.observe.record import Counter, Recorder

MakePool = Callable[[str, str, Role], Pool]
"""Takes the URL of a server, the name under which writers note positions (empty for none), and what the server is to be."""
_LEVELS: dict[str | None, str] = {
    None: "",
    "read_committed": " ISOLATION LEVEL READ COMMITTED",
    "repeatable_read": " ISOLATION LEVEL REPEATABLE READ",
    "serializable": " ISOLATION LEVEL SERIALIZABLE",
}
_BEGIN: Mapping[str | None, Prefix] = {
    level: prefix(f"BEGIN{text} READ WRITE", is_transaction=True, writes=True) for level, text in _LEVELS.items()
}
_BEGIN_WRITE: Mapping[str | None, Prefix] = {
    **_BEGIN,
    **{f"{level} replicas": each.then("SET LOCAL synchronous_commit = remote_apply") for level, each in _BEGIN.items() if level},
}
"""Also with a commit that a replica has as well, and shows to readers."""
_BEGIN_READ: Mapping[str | None, Prefix] = {
    level: prefix(f"BEGIN{text} READ ONLY", is_transaction=True, writes=False) for level, text in _LEVELS.items() if level
}
_WRITE_ONCE = prefix("SET transaction_read_only = off", is_transaction=False, writes=True)


async def open_database(
    database: Database,
    address: Address,
    *,
    limits: Limits | None = None,
    recorder: Recorder | None = None,
    queries: QueryLog | None = None,
) -> Pool:
    """Connect to the primary, and bind the handle, to a database that is at one place. Whoever calls it closes the pool. Raises
    DatabaseUnavailable, PoolerUnfit."""
    pool = Pool(address, module=database.module, limits=limits, recorder=recorder, queries=queries, role=Role.PRIMARY)
    await pool.open()
    bind(database, pool)
    return pool


def bind(database: Database, pool: Pool) -> None:
    database.bind(opened(database, pool), retrying.run)


def opened(database: Database, pool: Pool, *, reader: Reader | None = None, shard: int = 0) -> Opened:
    scatters = pool.recorder.counter(names.SCATTERS, module=database.module)
    return Opened(
        pool,
        _BEGIN_WRITE,
        _BEGIN_READ,
        _WRITE_ONCE,
        _run_core,
        _join_session,
        retry_moved=retrying.retry_moved,
        position=_position,
        scatter=partial(_scatter, scatters),
        owner=database,
        reader=reader,
        shard=shard,
    )


async def open_placed(database: Database, placed: DatabaseAt, *, make: MakePool) -> Shards:
    """Connect to all shards and replicas, and bind the handle. Whoever calls it closes the shards, and applies what is newer.
    Raises DatabaseUnavailable, KeyMisuse for a table whose key has another type."""

    async def open_shard(at: ShardAt) -> Opened:
        tracked = name_of(at.server, at.timeline) if at.tracks else ""
        pool = make(at.url, tracked, Role.PRIMARY)
        await pool.open()
        replicas = [Replica(each.name, make(each.url, "", Role.ANY)) for each in at.replicas]
        for replica in replicas:
            await replica.pool.open(is_required=False)
        for each in (pool, *(replica.pool for replica in replicas)):
            each.queries.shard = at.shard
        reader = Reader(pool, at.server, at.timeline, replicas) if replicas else None
        if reader is not None:
            await reader.open()
        return opened(database, pool, reader=reader, shard=at.shard)

    shards = Shards(database.module, database.key, open_shard)
    await shards.apply(placed)
    try:
        if database.key is not None and not shards.key_type:
            shards.key_type = await _key_type(shards.home, database.module, database.key)
    except BaseException:
        await shards.close(drain_s=0)
        raise
    database.bind_shards(shards, retrying.run)
    return shards


async def _scatter(counter: Counter, statements: Sequence[Awaitable[Any]], at_once: int) -> list[Any]:
    counter.value += 1
    room = asyncio.Semaphore(at_once)

    async def ask(statement: Awaitable[Any]) -> Any:
        async with room:
            return await statement

    return await asyncio.gather(*map(ask, statements))


async def _key_type(home: Opened, module: str, key: str) -> str:
    connection = home.pool.take() or await home.pool.wait_connection()
    try:
        return await slices.key_type(connection.driver, module, key)
    finally:
        connection.left()
        home.pool.give(connection)


async def _position(pool: Blocks) -> int:
    """Where the log of a pool's server is."""
    connection = pool.take() or await pool.wait_connection()
    try:
        return (await connection.rows(POSITION, (), 1))[0][0]
    finally:
        connection.left()
        pool.give(connection)


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
