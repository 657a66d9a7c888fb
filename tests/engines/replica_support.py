"""Clusters for tests: with replicas, under a load that keeps a history, killed at a chosen point."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import asyncpg
from engine_support import wait_until, wait_until_async

from ramet.engines.postgres_cluster import PostgresCluster
from ramet.engines.restarts import RestartPolicy

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a client meets whose server dies."""
QUICK = RestartPolicy(first_delay_s=0.001, max_delay_s=0.05)


async def query(url: str, sql: str, *arguments: object) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def cluster_of(folder: Path, *replicas: str) -> AsyncGenerator[PostgresCluster]:
    """Running, with these replicas, each of which streams."""
    cluster = PostgresCluster(folder, policy=QUICK)
    assert await cluster.start() == {}
    try:
        for name in replicas:
            await cluster.add_replica(name)
        await all_stream(cluster)
        yield cluster
    finally:
        await cluster.stop()


async def all_stream(cluster: PostgresCluster) -> None:
    """Every node answers, and all but the primary stream from it and have replayed what it had."""
    goal = (await cluster.primary.status()).flushed

    def streams() -> Callable[[object], bool]:
        return lambda found: all(
            node is not None and (not node.is_replica or (node.is_streaming and node.replayed >= goal))
            for node in found.values()  # type: ignore[attr-defined]
        )

    await wait_until_async(cluster.statuses, streams(), deadline_s=20)


class Writers:
    """Clients that insert numbers, each once, into `kept` of whoever is the primary. `acknowledged`: what the server said yes to."""

    def __init__(self, cluster: PostgresCluster, *, clients: int = 3) -> None:
        self.acknowledged: set[int] = set()
        self._cluster = cluster
        self._next = iter(range(10**9))
        self._clients = clients
        self._leaving = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Writers":
        await query(self._cluster.primary.server.url(), "CREATE TABLE IF NOT EXISTS kept (n int PRIMARY KEY)")
        self._tasks = [asyncio.create_task(self._write()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        await asyncio.gather(*self._tasks)

    async def wait_more(self, writes: int) -> None:
        goal = len(self.acknowledged) + writes
        await wait_until(lambda: len(self.acknowledged) >= goal, deadline_s=20)

    async def _write(self) -> None:
        connection: asyncpg.Connection | None = None
        while not self._leaving:
            try:
                if connection is None:
                    connection = await asyncpg.connect(self._cluster.primary.server.url(), timeout=2)
                number = next(self._next)
                await connection.execute("INSERT INTO kept VALUES ($1)", number)
                self.acknowledged.add(number)
            except AWAY:
                if connection is not None:
                    connection.terminate()
                connection = None
                await asyncio.sleep(0.002)  # it is away, and nothing tells when it is back
        if connection is not None:
            await connection.close()


async def missing(url: str, writers: Writers) -> set[int]:
    """What was acknowledged and is not there."""
    connection = await asyncpg.connect(url)
    try:
        found = {row[0] for row in await connection.fetch("SELECT n FROM kept")}
    finally:
        await connection.close()
    return writers.acknowledged - found
