"""The refresher, as instances run it: killed between any two of its statements, stopped, and replaced by another owner."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from ramet.data import driver, schemas
from ramet.data.address import Address
from ramet.data.hosts import Role
from ramet.data.opening import open_placed
from ramet.data.ownership import Fence
from ramet.data.pool import Pool
from ramet.data.reads import Read
from ramet.model.control import ResultStatus
from ramet.model.hashing import bucket_of
from ramet.model.routing import Owner, RoutingTable
from ramet.model.sharding import Buckets, DatabaseAt, ShardAt, ShardMap, Span
from ramet.module import Module
from ramet.observe import names
from ramet.observe.record import Recorder
from ramet.process.schedules import Schedules
from tests.data.materialized_support import check_equal, expected, kept, module_named, opened, scripts, shop
from tests.data.support import Server, until
from tests.process.schedule_support import inside


@asynccontextmanager
async def owner(
    module: Module, instance: str = "a", epoch: int = 1, recorder: Recorder | None = None
) -> AsyncIterator[Schedules]:
    """An instance's schedules, whose fence says that it owns them."""
    assert module.db is not None
    fence = Fence(module.db, module.name, instance, longest_s=30)
    schedules = Schedules([module], instance, inside=inside, recorder=recorder or Recorder(), fences={module.name: fence})
    try:
        await schedules.take(table(module, instance, epoch))
        await until(schedules.results)
        yield schedules
    finally:
        await schedules.close()


def table(module: Module, instance: str, epoch: int) -> RoutingTable:
    return RoutingTable(epoch, {}, owners={module.name: Owner(instance, epoch)})


def status_of(schedules: Schedules, result: str) -> ResultStatus:
    return next(each for each in schedules.results() if each.name == result)


async def is_fresh(module: Module) -> bool:
    return not any([await result.staleness() for result in module.results.values()])


async def is_refreshed(module: Module, schedules: Schedules) -> bool:
    return all(each.refreshes for each in schedules.results()) and await is_fresh(module)


def test_the_owner_keeps_results_up_with_what_is_written(server: Server) -> None:
    """From the first fill on; what it tells is what the database says."""

    async def main() -> None:
        recorder = Recorder()
        async with shop(server, "INSERT INTO articles SELECT id, 1, 'x' FROM generate_series(1, 5) AS id") as module:
            assert module.db is not None
            async with owner(module, recorder=recorder) as schedules:
                await until(lambda: is_refreshed(module, schedules))
                await check_equal(module)
                for user in range(20):
                    await module.db.write().execute(
                        "INSERT INTO favorites SELECT id, $1::bigint FROM articles WHERE (id + $1) % 2 = 0", user
                    )
                await until(lambda: is_fresh(module))
                await check_equal(module)
                await until(lambda: not status_of(schedules, "article_stats").stale_s)
                gauge = next(read for metric, read in recorder.gauges if metric is names.STALENESS)
                assert [labels for labels, _ in gauge()] == [
                    {"module": module.name, "result": name} for name in ("article_stats", "top_articles")
                ]
                assert recorder.series(names.JOB, module=module.name, schedule="article_stats").count > 1

    asyncio.run(main())


@pytest.mark.timeout(180)
def test_a_refresher_that_is_killed_between_any_two_statements_loses_nothing(server: Server) -> None:
    """kill -9 before the first, the second, and so on, until it is done before that. After each: a row is what the query says, or
    its key is still noted."""
    chance = random.Random(7)

    async def main() -> None:
        async with shop(server) as module:
            assert module.db is not None
            killed = 0
            while True:
                await module.db.write().execute(
                    f"INSERT INTO articles VALUES ({killed + 1}, 1, 'x');"
                    f"INSERT INTO favorites SELECT id, {killed} FROM articles WHERE id % {chance.randint(1, 3)} = 0;"
                    f"DELETE FROM articles WHERE id = {chance.randint(1, killed + 1)};"
                    # As a new release with another query has it, so that all is computed anew.
                    "DELETE FROM ramet_materialized"
                )
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.data.refresh_worker", str(server.folder), module.name, str(killed + 1), str(killed),
                    stdout=asyncio.subprocess.PIPE,
                )  # fmt: skip
                said, _ = await asyncio.wait_for(process.communicate(), 30)
                if said:
                    break
                assert process.returncode == -signal.SIGKILL
                killed += 1
                await check_noted(module)
            assert killed > 10
            assert await kept(module, "article_stats") == await expected(module, "article_stats") != []

    async def check_noted(module: Module) -> None:
        assert module.db is not None
        noted = {row[0] for row in await module.db.read().fetch("SELECT changed FROM ramet_changes_article_stats")}
        wrong = set(await kept(module, "article_stats")) ^ set(await expected(module, "article_stats"))
        is_due = not await module.db.read().fetchval("SELECT count(*) FROM ramet_materialized")
        assert is_due or {row[0] for row in wrong} <= noted

    asyncio.run(main())


def test_staleness_grows_while_no_refresh_succeeds_and_falls_after(server: Server) -> None:
    """Told by the instance, in its status and as a metric; and once in its log where more was promised."""

    async def main() -> None:
        async with shop(server, max_stale="100ms") as module:
            assert module.db is not None
            async with owner(module) as schedules, server.superuser() as psql:
                await until(lambda: is_refreshed(module, schedules))
                await psql.execute(f"BEGIN; LOCK TABLE {module.name}.article_stats IN SHARE MODE")  # its rows cannot be written
                await module.db.write().execute("INSERT INTO articles VALUES (1, 1, 'x')")
                await until(lambda: status_of(schedules, "article_stats").stale_s > 0.3)
                assert await module.results["article_stats"].staleness() > 0.3
                assert status_of(schedules, "article_stats").max_stale_s == 0.1
                assert status_of(schedules, "top_articles").stale_s == 0
                await psql.execute("ROLLBACK")
                await until(lambda: status_of(schedules, "article_stats").stale_s == 0)
                await check_equal(module)

    asyncio.run(main())


def test_a_refresh_that_fails_is_told_and_tried_again(server: Server) -> None:
    """With the next migration or the next write it may work."""

    async def main() -> None:
        async with shop(server) as module:
            assert module.db is not None
            async with owner(module) as schedules:
                await until(lambda: is_refreshed(module, schedules))
                await module.db.write().execute(
                    "ALTER TABLE article_stats ADD CHECK (title <> 'bad'); INSERT INTO articles VALUES (1, 1, 'bad'), (2, 1, 'x')"
                )
                await until(lambda: status_of(schedules, "article_stats").last_error == "CheckViolation")
                assert await kept(module, "article_stats") == []
                await module.db.write().execute("UPDATE articles SET title = 'good'")
                await until(lambda: is_fresh(module))
                await check_equal(module)
                await until(lambda: status_of(schedules, "article_stats").last_error == "")

    asyncio.run(main())


def test_an_owner_whose_epoch_is_over_refreshes_nothing_more(server: Server) -> None:
    """It has not been told: the database refuses its writes."""

    async def main() -> None:
        async with shop(server) as module:
            assert module.db is not None
            other = Module(module.name)
            other.database()
            async with opened(server, other), owner(module) as old:
                await until(lambda: is_refreshed(module, old))
                before = status_of(old, "article_stats").refreshes
                assert other.db is not None
                await Fence(other.db, module.name, "b", longest_s=30).take(2)
                await module.db.write().execute("INSERT INTO articles VALUES (1, 1, 'x')")
                await until(lambda: old.results() == [])
                assert before
                assert await kept(module, "article_stats") == []
                await old.take(table(module, "a", 3))  # its own again
                await until(lambda: is_fresh(module))
                await check_equal(module)

    asyncio.run(main())


def test_each_shard_has_the_rows_of_its_own_keys(server: Server) -> None:
    """And one that comes later is kept up as well: its rows may have come by replication, which fires the triggers too."""

    async def main() -> None:
        module = module_named(server.module(), key="article_id")
        here, there = (next(key for key in range(100) if bucket_of(key) // 512 == half) for half in (0, 1))
        async with two_databases(server, module) as (placed, tell, superusers):
            db = module.db
            assert db is not None
            async with owner(module) as schedules:
                await db.write(here).execute("INSERT INTO articles VALUES ($1, 1, 'x')", here)
                await until(lambda: is_refreshed(module, schedules))
                assert await status(module) == {(here, "x")}
                await tell(
                    DatabaseAt(
                        epoch=2,
                        shards=placed,
                        map=ShardMap(epoch=1, spans=(Span(Buckets(0, 511), 0), Span(Buckets(512, 1023), 1)), key_type="int8"),
                    )
                )
                await superusers[1].execute(
                    f"SET session_replication_role = replica; INSERT INTO {module.name}.articles VALUES ({there}, 1, 'moved')"
                )
                await until(lambda: has_row(module, 1))
                assert await status(module) == {(here, "x"), (there, "moved")}
                assert await module.results["article_stats"].staleness() == 0

    async def status(module: Module) -> set[tuple[object, ...]]:
        assert module.db is not None
        return {
            tuple(row) for row in await module.db.scatter().fetch("SELECT article_id, title FROM article_stats WHERE {owned}")
        }

    async def has_row(module: Module, shard: int) -> bool:
        assert module.db is not None
        return bool(await Read(module.db.all_opened[shard]).fetchval("SELECT count(*) FROM article_stats"))

    asyncio.run(main())


Tell = Callable[[DatabaseAt], Coroutine[Any, Any, int]]


@asynccontextmanager
async def two_databases(server: Server, module: Module) -> AsyncIterator[tuple[tuple[ShardAt, ...], Tell, list[driver.Driver]]]:
    """All in the first to begin with. With what tells another map, and a superuser in each."""
    assert module.db is not None
    async with AsyncExitStack() as stack:
        superusers: list[driver.Driver] = []
        shards: list[ShardAt] = []
        async with server.superuser() as admin:
            for number in range(2):
                name = f"{module.name}_{number}"
                await admin.execute(f"CREATE DATABASE {name}")
                address = Address(dsn=server.admin.dsn.replace("/postgres", f"/{name}"))
                await schemas.provision(address, [schemas.Owner(module.name, "secret")])
                superusers.append(await driver.connect(address.dsn, timeout_s=5, server_settings={}))
                stack.push_async_callback(superusers[-1].close)
                await superusers[-1].execute(f"SET ROLE {module.name}; SET search_path TO {module.name}")
                for script in scripts(module):
                    await superusers[-1].execute(script)
                await superusers[-1].execute("RESET ROLE")
                dsn = server.address(module.name).dsn.replace("/postgres", f"/{name}")
                shards.append(ShardAt(shard=number, url=dsn))

        def make(url: str, tracked: str, role: Role) -> Pool:
            return Pool(Address(dsn=url, schema=module.name), module=module.name, tracked=tracked, role=role)

        opened = await open_placed(module.db, DatabaseAt(epoch=1, shards=(shards[0],), map=ShardMap(key_type="int8")), make=make)
        stack.push_async_callback(opened.close)
        yield tuple(shards), opened.apply, superusers
