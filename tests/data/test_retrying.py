"""Blocks that are run again."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data import errors, retrying
from ramet.data.transactions import Transaction
from tests.data.support import Server, within


@given(attempt=st.integers(1, 60), chance=st.floats(0, 1))
def test_a_pause_is_random_and_bounded(attempt: int, chance: float) -> None:
    assert 0 <= retrying.pause_s(attempt, chance) <= retrying.LONGEST_PAUSE_S


def test_a_serialization_failure_is_run_again_until_it_commits(server: Server) -> None:
    """Two tasks read the same row before either counts it up: one of them has to read again, or a count is lost."""

    async def main() -> None:
        async with server.database("CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)") as db:
            both_have_read = asyncio.Barrier(2)
            attempts = 0

            async def count(tx: Transaction) -> int:
                nonlocal attempts
                attempts += 1
                n = await tx.fetchval("SELECT n FROM counter")
                if attempts <= 2:
                    await both_have_read.wait()
                await tx.execute("UPDATE counter SET n = $1", n + 1)
                return n + 1

            results = await asyncio.gather(*(db.run(count, isolation="serializable") for _ in range(2)))
            assert sorted(results) == [1, 2]
            assert await db.read().fetchval("SELECT n FROM counter") == 2
            assert attempts == 3

    asyncio.run(main())


def test_a_deadlock_is_run_again(server: Server) -> None:
    async def main() -> None:
        async with server.database("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)") as db:
            met = asyncio.Barrier(2)
            first = [True, True]

            async def work(index: int, ids: tuple[int, int], tx: Transaction) -> None:
                await tx.execute("UPDATE t SET n = n + 1 WHERE id = $1", ids[0])
                if first[index]:
                    first[index] = False
                    await met.wait()
                await tx.execute("UPDATE t SET n = n + 1 WHERE id = $1", ids[1])

            await asyncio.gather(db.run(lambda tx: work(0, (1, 2), tx)), db.run(lambda tx: work(1, (2, 1), tx)))
            assert [row["n"] for row in await db.read().fetch("SELECT n FROM t")] == [2, 2]

    asyncio.run(main())


def test_a_block_is_not_repeated_unless_it_is_said_to_be_repeatable(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            with pytest.raises(errors.TransactionConflict) as caught:
                async with db.write() as tx:
                    await tx.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")
            assert caught.value.sqlstate == "40001"

    asyncio.run(main())


def test_repeating_ends_with_the_deadline_and_with_the_patience(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            attempts = 0

            async def conflict(tx: Transaction) -> None:
                nonlocal attempts
                attempts += 1
                await tx.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$")

            with within(0.05), pytest.raises((errors.TransactionConflict, errors.StatementDeadline)):
                await db.run(conflict)
            attempts = 0
            pauses: list[float] = []

            async def sleep(seconds: float) -> None:
                pauses.append(seconds)

            with pytest.raises(errors.TransactionConflict):
                await retrying.run(db.write, conflict, sleep=sleep, chance=lambda: 1.0)
            assert attempts == retrying.MAX_ATTEMPTS
            assert pauses == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]

    started = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - started < 5


def test_other_errors_are_raised_at_once(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            attempts = 0

            async def fail(tx: Transaction) -> None:
                nonlocal attempts
                attempts += 1
                await tx.execute("SELECT 1 / 0")

            with pytest.raises(errors.StatementRefused, match="division by zero"):
                await db.run(fail)
            assert attempts == 1

    asyncio.run(main())
