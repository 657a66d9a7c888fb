"""A slice of rows from one database to another while it is written, on a real server."""

import asyncio
import random
import time
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from ramet.data import errors, moving
from ramet.data.moving import Moving
from ramet.model.hashing import bucket_of
from ramet.model.sharding import Buckets, Key, Slice, reassigned
from tests.data.shard_support import Divided, divided
from tests.data.support import Server

HALF = Buckets(512, 1023)


def silent(_: str) -> None: ...


async def nobody() -> None:
    """Holds no writer."""


async def moved(here: Divided, move: Moving) -> str:
    """Copy, verify, and switch, as a plan does it with one instance."""
    await moving.close_target(move)
    await moving.copy(move, silent)
    await moving.prepare_back(move)
    await moving.verify(move, silent)
    return await here.switch(move)


class Writers:
    """acknowledged: id -> key, of inserts that were committed. worst_s: the longest write."""

    def __init__(self, here: Divided, seed: int) -> None:
        self.here = here
        self.chance = random.Random(seed)
        self.acknowledged: dict[UUID, int] = {}
        self.failed: list[Exception] = []
        self.worst_s = 0.0
        self.is_over = False

    async def write(self) -> None:
        db = self.here.db
        while not self.is_over:
            key, name = self.chance.randrange(2000), uuid4()
            began = time.monotonic()
            try:
                if self.chance.random() < 0.5:
                    await db.write(key).execute("INSERT INTO notes VALUES ($1, $2, 'one')", key, name)
                else:
                    async with db.write(key) as tx:
                        await tx.fetchval("SELECT 1")
                        await tx.execute("INSERT INTO notes VALUES ($1, $2, 'two')", key, name)
                        await tx.execute("UPDATE notes SET text = 'three' WHERE author_id = $1 AND id = $2", key, name)
                self.acknowledged[name] = key
            except errors.DatabaseError as error:
                self.failed.append(error)
            self.worst_s = max(self.worst_s, time.monotonic() - began)

    async def check(self) -> None:
        """Every acknowledged row is there once, where its key is read, and what is read is written."""
        for shard in (0, 1):
            rows = await self.here.rows(shard, "SELECT author_id, id FROM notes")
            own = {UUID(str(name)): key for key, name in rows if self.here.shards.of(key).shard == shard}
            expected = {name: key for name, key in self.acknowledged.items() if self.here.shards.of(key).shard == shard}
            assert own == expected


@asynccontextmanager
async def writing(here: Divided, seed: int, count: int = 8):
    writers = Writers(here, seed)
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(writers.write())
        try:
            yield writers
        finally:
            writers.is_over = True


@pytest.mark.parametrize("of", [HALF, Key("7")], ids=str)
def test_no_acknowledged_write_is_lost_or_doubled_there_and_back(server: Server, of: Slice) -> None:
    """With eight writers, in blocks and in single statements; none of them fails."""

    async def main() -> None:
        async with divided(server) as here:
            async with writing(here, 1) as writers:
                move = here.move(of)
                await moved(here, move)
                await asyncio.sleep(0.2)
                assert await here.rows(1)
                await here.switch(move, back=True)
                await asyncio.sleep(0.1)
                await here.switch(move)
            assert writers.failed == []
            await writers.check()
            await moving.forget(move)
            await moving.delete_rows(move, silent, at_target=False)
            await writers.check()
            assert {key for key, *_ in await here.rows(0)} == {
                key for key in set(writers.acknowledged.values()) if here.shards.of(key).shard == 0
            }

    asyncio.run(main())


def test_a_late_writer_is_refused_by_the_server_and_nothing_is_written(server: Server) -> None:
    """Who has an old map, whether it began before the switch or after."""

    async def main() -> None:
        async with divided(server) as here:
            key = next(key for key in range(100) if bucket_of(key) >= 512)
            move = here.move(HALF)
            await moving.close_target(move)
            await moving.copy(move, silent)
            await moving.prepare_back(move)
            late = here.db.write(key)
            async with late as tx:
                await tx.fetchval("SELECT 1")  # its transaction is open, and it has locked no table
                await moving.switch(move, reassigned(move.map, HALF, 1), nobody)
                with pytest.raises(errors.Moved, match="does not own the row"):
                    async with tx.transaction():
                        await tx.execute("INSERT INTO notes VALUES ($1, $2, 'late')", key, uuid4())
            with pytest.raises(errors.Moved):
                async with here.db.write(key) as tx:
                    await tx.execute("INSERT INTO notes VALUES ($1, $2, 'stale')", key, uuid4())
            assert await here.rows(0) == await here.rows(1) == []
            await moving.forget(move)

    asyncio.run(main())
