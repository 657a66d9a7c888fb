"""Connections: who gets one, who waits, what becomes of the flawed."""

import asyncio
import contextlib
from typing import Any

import pytest

from ramet.data import connection as connections
from ramet.data import errors
from ramet.data.address import Address
from ramet.data.connection import Connection
from ramet.data.pool import Limits, Pool, connects_wanted, flaws_of_age
from ramet.errors import ConfigError
from ramet.wire.context import Face, current
from tests.data.support import Server, pool_of, until, within

WANTED = [
    ("one for each that waits", {"waiting": 2, "connecting": 0, "total": 1}, 2),
    ("those under way count", {"waiting": 2, "connecting": 2, "total": 3}, 0),
    ("never more than the limit", {"waiting": 9, "connecting": 0, "total": 3}, 1),
    ("none where none waits", {"waiting": 0, "connecting": 0, "total": 0}, 0),
    ("never less than none", {"waiting": 0, "connecting": 3, "total": 3}, 0),
]


@pytest.mark.parametrize(("why", "state", "wanted"), WANTED, ids=[case[0] for case in WANTED])
def test_as_many_are_opened_as_wait(why: str, state: dict[str, int], wanted: int) -> None:
    assert connects_wanted(**state, limits=Limits(max_connections=4)) == wanted


AGES = [
    ("in use", {"now": 10.0, "used_at": 9.0}, 0),
    ("tried before use", {"now": 50.0, "used_at": 10.0}, connections.STALE),
    ("closed when not needed", {"now": 400.0, "used_at": 10.0}, connections.RETIRED),
    ("kept when it is of the minimum", {"now": 400.0, "used_at": 10.0, "surplus": False}, connections.STALE),
    ("old", {"now": 3601.0, "used_at": 3600.5}, connections.RETIRED),
    ("those opened together end apart", {"now": 3300.0, "used_at": 3299.0, "spread": 1.0}, connections.RETIRED),
]


@pytest.mark.parametrize(("why", "state", "flaw"), AGES, ids=[case[0] for case in AGES])
def test_age_makes_a_flaw(why: str, state: dict[str, Any], flaw: int) -> None:
    assert flaws_of_age(**{"opened_at": 0.0, "spread": 0.0, "surplus": True, **state}, limits=Limits(max_connections=4)) == flaw


def test_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 to 4"):
        Limits(min_connections=5, max_connections=4)


def test_the_connection_used_last_is_used_next(server: Server) -> None:
    """The warmest, and those at the bottom can be closed."""

    async def main() -> None:
        async with server.database(min_connections=2) as db:
            first = await db.read().fetchval("SELECT pg_backend_pid()")
            assert {await db.read().fetchval("SELECT pg_backend_pid()") for _ in range(5)} == {first}

    asyncio.run(main())


def test_a_clean_connection_is_not_reset(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1) as db:
            for _ in range(3):
                async with db.write() as tx:
                    await tx.execute("SET LOCAL statement_timeout = 1000")
            assert pool_of(db).statistics()["mended"] == 0

    asyncio.run(main())


DIRT = [
    ("SET statement_timeout = 1234", "SHOW statement_timeout", "0"),
    ("SELECT set_config('statement_timeout', '77', false)", "SHOW statement_timeout", "0"),
    (
        "SELECT pg_advisory_lock(7)",
        "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        "0",
    ),
    ("LISTEN news", "SELECT count(*)::text FROM pg_listening_channels()", "0"),
    ("CREATE TEMP TABLE leftover (x int)", "SELECT coalesce(to_regclass('leftover')::text, 'none')", "none"),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*)::text FROM pg_cursors WHERE is_holdable", "0"),
    ("PREPARE mine AS SELECT 1", "SELECT count(*)::text FROM pg_prepared_statements WHERE name = 'mine'", "0"),
    ("SET ROLE NONE; SET search_path TO public", "SHOW search_path", "own"),
]


@pytest.mark.parametrize(("dirt", "look", "clean"), DIRT)
def test_what_a_block_leaves_in_the_session_is_gone_for_the_next(server: Server, dirt: str, look: str, clean: str) -> None:
    async def main() -> None:
        async with server.database(max_connections=1) as db:
            for _ in range(2):
                async with db.write() as tx:
                    await tx.execute(dirt)
                found = await db.read().fetchval(look)
                assert found == (f'"{db.module}", extensions' if clean == "own" else clean)
            with pytest.raises(errors.ReadOnly):
                await db.read().execute("CREATE TABLE t (x int)")

    asyncio.run(main())


def test_a_free_connection_goes_to_the_one_who_waited_longest(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1) as db:
            order: list[int] = []

            async def use(number: int) -> None:
                await db.read().fetchval("SELECT 1")
                order.append(number)

            await asyncio.gather(*(use(number) for number in range(20)))
            assert order == list(range(20))
            assert pool_of(db).statistics() | {"opened": 1, "waited": 19, "waiting": 0, "idle": 1} == pool_of(db).statistics()

    asyncio.run(main())


def test_the_pool_grows_to_its_limit_and_no_further(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=3) as db:
            await asyncio.gather(*(db.read().fetchval("SELECT pg_sleep(0.01)") for _ in range(30)))
            assert 2 <= pool_of(db).statistics()["opened"] <= 3

    asyncio.run(main())


def test_who_waits_too_long_is_told_who_holds_them(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1, checkout_s=0.02) as db:
            outer = current.get()
            current.set(outer.derive(face=Face("greedy", frozenset())))
            async with db.write() as tx:
                await tx.execute("SELECT 1")
                current.set(outer)
                with pytest.raises(
                    errors.PoolExhausted, match=r"none was free for 0\.02 s; 1 of 1 are held: greedy for .* after SELECT"
                ):
                    await asyncio.create_task(db.read().fetchval("SELECT 2"))
            assert await db.read().fetchval("SELECT 3") == 3
            assert pool_of(db).statistics()["waiting"] == 0

    asyncio.run(main())


def test_the_queue_is_bounded(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1, max_waiting=2) as db:
            answers = await asyncio.gather(*(db.read().fetchval("SELECT 1") for _ in range(6)), return_exceptions=True)
            refused = [answer for answer in answers if isinstance(answer, errors.PoolExhausted)]
            assert len(refused) == 3
            assert "2 tasks wait already" in str(refused[0])

    asyncio.run(main())


def test_a_deadline_ends_the_wait_for_a_connection(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1) as db, db.write() as tx:
            await tx.execute("SELECT 1")
            with within(0.02), pytest.raises(errors.StatementDeadline, match="while waiting"):
                await asyncio.create_task(db.read().fetchval("SELECT 2"))

    asyncio.run(main())


def test_a_waiter_that_leaves_takes_no_connection_with_it(server: Server) -> None:
    """Also if it is cancelled at the very moment in which it gets one."""

    async def main() -> None:
        async with server.database(max_connections=1) as db:
            pool = pool_of(db)
            held = pool.take()
            assert held is not None
            waiters = [asyncio.create_task(pool.wait_connection()) for _ in range(2)]
            await asyncio.sleep(0)
            pool.give(held)
            waiters[0].cancel()
            assert await waiters[1] is held
            pool.give(held)
            assert pool.statistics()["idle"] == 1
            with contextlib.suppress(asyncio.CancelledError):
                await waiters[0]

    asyncio.run(main())


def test_a_connection_that_the_server_closed_is_replaced(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1) as db, server.superuser() as admin:
            pid = await db.read().fetchval("SELECT pg_backend_pid()")
            await admin.fetchval("SELECT pg_terminate_backend($1)", pid)
            await until(lambda: pool_of(db).statistics()["open"] == 0)
            assert await db.read().fetchval("SELECT pg_backend_pid()") != pid

    asyncio.run(main())


def test_a_connection_that_was_idle_is_tried_before_it_is_given_out(server: Server) -> None:
    """A peer that vanished without a word is found out by the pool and not by a request."""

    async def main() -> None:
        async with server.database(max_connections=1, min_connections=1) as db:
            pool = pool_of(db)
            pid = await db.read().fetchval("SELECT pg_backend_pid()")
            (connection,) = pool.all
            pool.age(connection.used_at + 31)
            assert connection.flaws == connections.STALE
            assert await db.read().fetchval("SELECT pg_backend_pid()") == pid
            assert pool.statistics()["mended"] == 1
            pool.age(connection.used_at + 31)
            connection.driver.terminate()
            assert await db.read().fetchval("SELECT pg_backend_pid()") != pid

    asyncio.run(main())


def test_surplus_connections_are_closed_and_the_minimum_is_kept(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=4, min_connections=1) as db:
            await asyncio.gather(*(db.read().fetchval("SELECT pg_sleep(0.005)") for _ in range(8)))
            pool = pool_of(db)
            assert pool.statistics()["open"] > 1
            pool.age(max(each.used_at for each in pool.all) + 301)
            assert pool.statistics()["open"] == 1

    asyncio.run(main())


def test_closing_waits_for_what_is_under_way_and_refuses_the_rest(server: Server) -> None:
    async def main() -> None:
        async with server.database("CREATE TABLE t (x int)", max_connections=1) as db:
            pool = pool_of(db)

            async def work() -> None:
                async with db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES (1)")
                    await tx.execute("SELECT pg_sleep(0.05)")

            task = asyncio.create_task(work())
            await until(lambda: pool.statistics()["busy"] == 1)
            waiting = asyncio.create_task(db.read().fetchval("SELECT 1"))
            await asyncio.sleep(0)
            await pool.close(drain_s=5)
            await task
            with pytest.raises(errors.DatabaseUnavailable, match="closed"):
                await waiting
            with pytest.raises(errors.DatabaseUnavailable, match="closed"):
                await db.read().fetchval("SELECT 1")
            assert pool.statistics()["open"] == 0
            async with server.opened(db.module) as again:
                assert await again.read().fetchval("SELECT count(*) FROM t") == 1

    asyncio.run(main())


def test_what_does_not_end_in_time_is_cut_off(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1) as db:
            task = asyncio.create_task(db.read().fetchval("SELECT pg_sleep(60)"))
            await until(lambda: pool_of(db).statistics()["busy"] == 1)
            await asyncio.sleep(0.01)
            await pool_of(db).close(drain_s=0.01)
            with pytest.raises(errors.DatabaseUnavailable):
                await task

    asyncio.run(main())


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    async def main() -> None:
        pool = Pool(
            Address(dsn="postgresql://m:geheim@/x?host=/nowhere", schema="m"),
            module="m",
            limits=Limits(max_connections=2, min_connections=0),
        )
        await pool.open()
        with pytest.raises(errors.DatabaseUnavailable, match=r"cannot connect `m` to postgresql://m:\.\.\.@/x") as caught:
            await pool.wait_connection()
        assert "geheim" not in str(caught.value)
        assert "geheim" not in repr(pool.address)
        await pool.close()
        eager = Pool(pool.address, module="m", limits=Limits(max_connections=2))
        with pytest.raises(errors.DatabaseUnavailable):
            await eager.open()

    asyncio.run(main())


def test_a_wrong_password_shows_at_the_start(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            address = server.address(db.module).as_role(db.module, "wrong")
            with pytest.raises(errors.DatabaseUnavailable, match="password authentication failed"):
                await Pool(address, module=db.module).open()

    asyncio.run(main())


def test_statements_kept_prepared_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(connections, "MAX_PREPARED", 3)
        async with server.database(max_connections=1) as db:
            for number in range(10):
                assert await db.read().fetchval(f"SELECT {number}") == number
            (connection,) = pool_of(db).all
            assert isinstance(connection, Connection)
            assert await db.read().fetchval("SELECT count(*) FROM pg_prepared_statements") <= 5
            assert len(connection._prepared) == 3

    asyncio.run(main())


def test_a_pool_says_what_it_is_doing(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=2) as db, db.write() as tx:
            await tx.execute("SELECT 1")
            assert repr(pool_of(db)) == f"<Pool {db.module}: 1 of 2 connections busy, 0 idle, 0 waiting>"

    asyncio.run(main())


def test_a_transaction_that_a_script_left_open_is_ended(server: Server) -> None:
    """What begins a transaction is seen in one statement; in a script it is found out afterwards."""

    async def main() -> None:
        async with server.database("CREATE TABLE t (x int)", max_connections=1) as db:
            for access in (db.read(), db.write()):
                await access.execute("BEGIN READ WRITE; INSERT INTO t VALUES (1)")
                assert await db.read().fetchval("SELECT count(*) FROM t") == 0
            assert pool_of(db).statistics()["mended"] == 2

    asyncio.run(main())
