"""The safe sequences on a real server: written as files, run while the versions before and after are at work."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ramet.data import backfilling, driver, errors, migrations, revisions, schemas, sequences, stages
from ramet.data.backfilling import Progress
from ramet.data.revisions import Phase
from tests.data.support import Server, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = '''"""the table"""
from alembic import op
revision = "0001"
down_revision = None
def upgrade() -> None:
    op.execute("""{sql}""")
'''
TABLE = "CREATE TABLE orders (id bigint PRIMARY KEY, total int NOT NULL DEFAULT 7, note text)"


class Changed:
    """A module with the table `orders` and its migrations, on one shard or more (each a schema of its own)."""

    def __init__(self, server: Server, folder: Path, shards: int = 1) -> None:
        self.server = server
        self.folder = folder
        self.names = [server.module() for _ in range(shards)]
        self.shards = [(number, server.address(name)) for number, name in enumerate(self.names)]

    async def make(self, rows: int = 0, sql: str = TABLE) -> None:
        await schemas.provision(self.server.admin, [schemas.Owner(name, "secret") for name in self.names])
        (self.folder / "versions").mkdir()
        (self.folder / "versions/0001.py").write_text(FIRST.format(sql=sql))
        await self.apply("0001")
        for number in range(len(self.shards)):
            await self.run(f"INSERT INTO orders (id, total) SELECT n, n FROM generate_series(1, {rows}) n", shard=number)

    def write(self, parts: Sequence[sequences.Part], message: str = "change") -> list[str]:
        paths = sequences.write(self.folder, message, parts, now=NOW)
        return [path.name.partition("_")[0] for path in paths]

    async def apply(self, last: str, **options: Any) -> None:
        await stages.apply("orders", self.folder, self.shards, last, **options)

    async def run(self, sql: str, *args: Any, shard: int = 0) -> Any:
        async with self.session(shard) as connection:
            return await connection.fetchval(sql, *args)

    @asynccontextmanager
    async def session(self, shard: int = 0) -> AsyncIterator[driver.Driver]:
        address = self.shards[shard][1]
        connection = await driver.connect(address.dsn, timeout_s=5, server_settings=address.session_settings(is_read_only=False))
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @asynccontextmanager
    async def writers(self, *kinds: Callable[[driver.Driver, int], Awaitable[None]]) -> AsyncIterator[list[int]]:
        """Each kind writes as fast as it can, until the block ends; how often each has. A failure is the block's."""
        done = [0] * len(kinds)
        stop = asyncio.Event()

        async def work(index: int) -> None:
            async with self.session() as connection:
                while not stop.is_set():
                    await kinds[index](connection, done[index])
                    done[index] += 1

        async with asyncio.TaskGroup() as group:
            for index in range(len(kinds)):
                group.create_task(work(index))
            try:
                yield done
            finally:
                stop.set()


def writer(column: str, first: int, value: str = "{}") -> Callable[[driver.Driver, int], Awaitable[None]]:
    """A version of the code that knows one of the columns: it inserts, and changes rows of anybody."""
    chance = random.Random(first)

    async def write(connection: driver.Driver, number: int) -> None:
        given = value.format(chance.randrange(10**6))
        if number % 2:
            await connection.execute(f"UPDATE orders SET {column} = {given} WHERE id = {chance.randrange(1, 3000)}")
        else:
            await connection.execute(f"INSERT INTO orders (id, {column}) VALUES ({first + number}, {given})")

    return write


@pytest.fixture
def changed(server: Server, tmp_path: Path) -> Changed:
    return Changed(server, tmp_path)


@pytest.mark.parametrize(
    ("parts", "new", "equal", "given"),
    [
        (sequences.rename("orders", "total", "sum", key=("id",)), "sum", "total = sum", "{}"),
        (
            sequences.column_type("orders", "total", "total_text", "text", using="", back="total_text::int", key=("id",)),
            "total_text",
            "total::text = total_text",
            "'{}'",
        ),
    ],
    ids=["rename", "column type"],
)
def test_two_versions_write_two_columns_that_stay_equal(
    changed: Changed, parts: list[sequences.Part], new: str, equal: str, given: str
) -> None:
    """From the expand to the contract, with writers of both at work all the time; none of them fails."""

    async def main() -> None:
        await changed.make(rows=3000)
        expand, _, carry, contract = changed.write(parts)
        async with changed.writers(writer("total", 10**6)) as old:
            await changed.apply(expand)
            async with changed.writers(writer(new, 2 * 10**6, given)) as fresh:
                await changed.apply(carry)
                await until(lambda: min(old[0], fresh[0]) > 200, seconds=20)
                assert await changed.run(f"SELECT count(*) FROM orders WHERE ({equal}) IS NOT TRUE") == 0
        assert await changed.run(f"SELECT count(*) FROM orders WHERE ({equal}) IS NOT TRUE") == 0
        async with changed.writers(writer(new, 3 * 10**6, given)) as fresh:
            await changed.apply(contract)
            await until(lambda: fresh[0] > 100, seconds=20)
        left = await changed.run(
            "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute"
            " WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped"
        )
        assert left == f"id note {new}"
        assert await changed.run(f"SELECT attnotnull FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = '{new}'")
        assert await changed.run("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orders'::regclass") == 0
        assert await changed.run("SELECT count(*) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype = 'c'") == 0

    asyncio.run(main())
