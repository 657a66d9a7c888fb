"""A transaction pooler between pool and server: a real PgBouncer, where one is installed."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import column, insert, select, table

from ramet.data import entry, errors, schemas
from ramet.data.address import Address, Pooling
from ramet.data.database import Database
from ramet.data.opening import bind, open_database
from ramet.data.pool import Limits, Pool
from ramet.wire.context import current
from tests.data import pgbouncer
from tests.data.support import Server, pool_of, until, within

pytestmark = pgbouncer.needed
CAN_NAME = pgbouncer.BINARY is not None and pgbouncer.version() >= (1, 21)


@asynccontextmanager
async def pooled(server: Server, *statements: str, servers: int = 2, **limits: int) -> AsyncIterator[Database]:
    module = server.module()
    await schemas.provision(server.admin, [schemas.Owner(module, "secret")], is_pooled=True)
    async with pgbouncer.running(server, [module], servers=servers) as bouncer:
        database = Database(module)
        pool = await open_database(database, bouncer.address(module), limits=Limits(**{"max_connections": 8, **limits}))
        try:
            for statement in statements:
                await database.write().execute(statement)
            yield database
        finally:
            await pool.close(drain_s=1)


def test_a_pooler_is_noticed_and_told_apart_by_what_it_does_with_names(server: Server) -> None:
    async def main() -> None:
        async with pooled(server) as db:
            assert pool_of(db).entry.pooling is (Pooling.NAMED if CAN_NAME else Pooling.UNNAMED)
        async with server.database() as db:
            assert pool_of(db).entry.pooling is Pooling.NONE

    asyncio.run(main())


@pytest.mark.skipif(not CAN_NAME, reason="this PgBouncer is older than 1.21 and has no prepared statements in transaction mode")
def test_a_pooler_that_keeps_names_apart_gets_prepared_statements(server: Server) -> None:
    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")], is_pooled=True)
        async with pgbouncer.running(server, [module], settings="max_prepared_statements = 50") as bouncer:
            database = Database(module)
            pool = await open_database(database, bouncer.address(module), limits=Limits(max_connections=4))
            assert pool.entry.pooling is Pooling.NAMED
            assert {await database.read().fetchval("SELECT $1::int", n) for n in range(20)} == set(range(20))
            await pool.close()

    asyncio.run(main())


def test_an_ignored_startup_parameter_does_not_hide_a_pooler(server: Server) -> None:
    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")], is_pooled=True)
        settings = "ignore_startup_parameters = search_path,default_transaction_read_only"
        async with pgbouncer.running(server, [module], settings=settings) as bouncer:
            database = Database(module)
            pool = await open_database(database, bouncer.address(module), limits=Limits(max_connections=2))
            assert pool.entry.pooling is not Pooling.NONE
            await pool.close()

    asyncio.run(main())


def test_many_clients_through_two_connections_lose_and_mix_up_nothing(server: Server) -> None:
    """Transfers keep their sum; each client sees its own answers; a failed block leaves nothing."""

    async def main() -> None:
        setup = "CREATE TABLE accounts (id int PRIMARY KEY, amount int NOT NULL CHECK (amount >= 0))"
        async with pooled(server, setup, max_connections=30) as db:
            await db.write().execute("INSERT INTO accounts SELECT n, 100 FROM generate_series(0, 9) n")
            chance = random.Random(7)
            refused = 0

            async def client(number: int) -> None:
                nonlocal refused
                for turn in range(20):
                    a, b = chance.sample(range(10), 2)
                    amount = chance.choice([1, 5, 500])
                    try:
                        async with db.write(isolation="read_committed") as tx:
                            await tx.execute("SELECT 1 FROM accounts WHERE id = ANY($1::int[]) ORDER BY id FOR UPDATE", [a, b])
                            await tx.execute("UPDATE accounts SET amount = amount + $2 WHERE id = $1", b, amount)
                            await tx.execute("UPDATE accounts SET amount = amount - $2 WHERE id = $1", a, amount)
                    except errors.CheckViolation:
                        refused += 1
                    assert await db.read().fetchval("SELECT $1::int * 1000 + $2::int", number, turn) == number * 1000 + turn
                    assert await db.read().fetchval("SELECT sum(amount) FROM accounts") == 1000

            async with asyncio.TaskGroup() as group:
                for number in range(30):
                    group.create_task(client(number))
            assert refused > 0
            async with server.superuser() as admin:
                query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
                assert await admin.fetchval(query, db.module) <= 2

    asyncio.run(main())


def test_all_that_a_block_can_do_it_can_do_behind_a_pooler(server: Server) -> None:
    async def main() -> None:
        async with pooled(server, "CREATE TABLE t (x int)", servers=1) as db:
            await db.write().executemany("INSERT INTO t VALUES ($1)", [(1,), (2,)])
            await db.write().execute("INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)")
            async with db.write() as tx:
                await tx.copy_records_to_table("t", records=[(5,)], columns=["x"])
                try:
                    async with tx.transaction():
                        await tx.execute("SELECT 1 / $1::int", 0)
                except errors.StatementRefused as error:
                    assert error.sqlstate == "22012"
                assert [row["x"] async for row in tx.cursor("SELECT x FROM t WHERE x > $1 ORDER BY x", 1, prefetch=2)] == [
                    2,
                    3,
                    4,
                    5,
                ]
            things = table("t", column("x"))
            async with db.session() as session:
                await session.execute(insert(things).values(x=6))
                assert (await session.execute(select(things.c.x).where(things.c.x > 4))).scalars().all() == [5, 6]
            async with db.read(isolation="repeatable_read") as tx:
                assert await tx.fetchval("SELECT count(*) FROM t") == 6

    asyncio.run(main())


def test_a_write_in_a_read_is_refused_behind_a_pooler_too(server: Server) -> None:
    async def main() -> None:
        async with pooled(server, "CREATE TABLE t (x int)") as db:
            with pytest.raises(errors.ReadOnly):
                await db.read().execute("INSERT INTO t VALUES (1)")

    asyncio.run(main())


@pytest.mark.parametrize(
    "statement",
    ["SET statement_timeout = 1", "SELECT pg_advisory_lock(1)", "LISTEN a", "CREATE TEMP TABLE x (y int)", "DISCARD ALL"],
)
def test_what_stays_in_a_session_is_refused_behind_a_pooler(server: Server, statement: str) -> None:
    """The session is the next client's."""

    async def main() -> None:
        async with pooled(server) as db:
            with pytest.raises(errors.StatementRefused, match="behind a pooler"):
                await db.write().execute(statement)
            async with db.write() as tx:
                await tx.execute("SET LOCAL statement_timeout = 1000; SELECT 1")

    asyncio.run(main())


def test_a_commit_behind_a_pooler_tells_its_position(server: Server) -> None:
    """COMMIT and the question for the position go together, and begin in two transactions of the pooler."""

    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")], is_pooled=True)
        async with pgbouncer.running(server, [module]) as bouncer:
            pool = Pool(bouncer.address(module), module=module, limits=Limits(max_connections=4), tracked="main:1")
            await pool.open()
            db = Database(module)
            bind(db, pool)
            with within(20):
                await db.write().execute("CREATE TABLE t (x int)")
                first = current.get().causal.positions["main:1"]
                async with db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES ($1)", 1)
                assert current.get().causal.positions["main:1"] > first
            assert await db.read().fetchval("SELECT count(*) FROM t") == 1
            await pool.close()

    asyncio.run(main())


def test_a_cancelled_statement_frees_the_poolers_connection(server: Server) -> None:
    async def main() -> None:
        async with pooled(server, servers=1, max_connections=2) as db:
            for _ in range(3):
                began = time.monotonic()
                with within(0.1), pytest.raises(errors.StatementDeadline):
                    async with db.write() as tx:
                        await tx.fetchval("SELECT pg_sleep($1)", 20.0)
                assert time.monotonic() - began < 5
                assert await db.read().fetchval("SELECT $1::int", 5) == 5

    asyncio.run(main())


def test_a_deadline_between_preparing_and_running_frees_the_poolers_connection(server: Server) -> None:
    """The pooler waits for the end of what was prepared; other clients would wait with it."""

    async def main() -> None:
        async with pooled(server, servers=1, max_connections=2, min_connections=2) as db:
            pool = pool_of(db)
            connection = pool.take()
            assert connection is not None
            await connection._learn("SELECT 1")
            with within(-1), pytest.raises(errors.StatementDeadline):
                await connection.rows("SELECT 1", (), 0)
            connection.left()
            pool.give(connection)
            await until(lambda: pool.statistics()["mended"] == 1)
            assert await db.read().fetchval("SELECT 1") == 1

    asyncio.run(main())


def test_a_role_without_settings_of_its_own_is_refused(server: Server) -> None:
    """Its reads could write, and it would not find its tables."""

    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")])
        async with pgbouncer.running(server, [module]) as bouncer:
            with pytest.raises(errors.PoolerUnfit, match="default_transaction_read_only off") as caught:
                await open_database(Database(module), bouncer.address(module))
        assert caught.value.hint is not None
        assert "ramet migrate up" in caught.value.hint

    asyncio.run(main())


def test_what_needs_a_session_refuses_a_pooler(server: Server) -> None:
    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")], is_pooled=True)
        async with pgbouncer.running(server, [module]) as bouncer:
            for address in (bouncer.address(module), Address(dsn=bouncer.address(module).dsn)):
                with pytest.raises(errors.PoolerUnfit, match="need sessions of the server itself"):
                    await entry.open_session(address)

    asyncio.run(main())


def test_a_pooled_role_still_migrates_over_a_connection_of_its_own(server: Server) -> None:
    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")], is_pooled=True)
        connection = await entry.open_session(server.address(module))
        await connection.execute("CREATE TABLE t (x int)")
        await connection.close(timeout=5)
        async with server.superuser() as admin:
            assert await admin.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{module}.t")

    asyncio.run(main())
