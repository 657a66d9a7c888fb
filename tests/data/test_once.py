"""A `once` call has its effect at most once: at the same time, one after the other, and with a process killed at each point
of it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ramet.data import errors
from ramet.data.claims import current_claim
from ramet.data.database import Database
from ramet.data.once import DurableLedger
from ramet.data.transactions import Transaction
from tests.data.once_worker import POINTS
from tests.data.support import Outcomes, Server, within

TABLES = "CREATE TABLE effects (x int); CREATE TABLE t (x int UNIQUE)"


@asynccontextmanager
async def ledger_of(server: Server, **limits: Any) -> AsyncIterator[tuple[Database, DurableLedger]]:
    async with server.database(TABLES, **limits) as db:
        yield db, DurableLedger(db, Outcomes())


async def effects(db: Database) -> int:
    return await db.read().fetchval("SELECT count(*) FROM effects")


def test_a_repetition_gets_the_first_result_and_has_no_effect(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):
            runs = 0

            async def work() -> str:
                nonlocal runs
                runs += 1
                async with db.write() as tx:
                    await tx.execute("INSERT INTO effects VALUES (1)")
                return f"run {runs}"

            assert await ledger.once("m.f", "k", work) == "run 1"
            assert await ledger.once("m.f", "k", work) == "run 1"
            assert await ledger.once("m.f", "other key", work) == "run 2"
            assert await ledger.once("m.other", "k", work) == "run 3"
            assert (runs, await effects(db)) == (3, 3)
            assert current_claim.get() is None

    asyncio.run(main())


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("instances", [1, 4])
def test_of_many_at_the_same_time_one_has_the_effect_and_all_its_result(server: Server, instances: int, single: bool) -> None:
    """In one instance they are joined; between instances the ledger's primary key decides."""

    async def main() -> None:
        async with ledger_of(server, max_connections=12) as (db, _):
            ledgers = [DurableLedger(db, Outcomes()) for _ in range(instances)]

            async def work(number: int) -> str:
                if single:
                    await db.write().execute("INSERT INTO effects VALUES ($1)", number)
                else:
                    async with db.write() as tx:
                        await tx.execute("INSERT INTO effects VALUES ($1)", number)
                        await asyncio.sleep(0.01)
                return f"run {number}"

            with within(5):
                results = await asyncio.gather(*(ledgers[n % instances].once("m.f", "k", lambda n=n: work(n)) for n in range(12)))
            assert len(set(results)) == 1
            assert await effects(db) == 1

    asyncio.run(main())


def test_a_call_that_was_undone_runs_again(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):

            async def work(fail: bool) -> str:
                async with db.write() as tx:
                    await tx.execute("INSERT INTO effects VALUES (1)")
                    if fail:
                        raise ZeroDivisionError
                return "done"

            with pytest.raises(ZeroDivisionError):
                await ledger.once("m.f", "k", lambda: work(True))
            assert await ledger.once("m.f", "k", lambda: work(False)) == "done"
            assert await effects(db) == 1

    asyncio.run(main())


def test_a_failure_after_the_effect_is_the_outcome(server: Server) -> None:
    """Running again would repeat the effect; answering success would be a lie."""

    async def main() -> None:
        async with ledger_of(server) as (db, ledger):

            async def work() -> str:
                async with db.write() as tx:
                    await tx.execute("INSERT INTO effects VALUES (1)")
                    tx.result("what it was going to say")
                raise ZeroDivisionError("after all")

            with pytest.raises(ZeroDivisionError):
                await ledger.once("m.f", "k", work)
            with pytest.raises(LookupError, match="ZeroDivisionError: after all"):
                await ledger.once("m.f", "k", work)
            assert await effects(db) == 1

    asyncio.run(main())


def test_a_call_that_writes_nothing_leaves_no_key(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):

            async def work() -> str:
                async with db.write():
                    pass
                return await db.read().fetchval("SELECT 'read'")

            assert await ledger.once("m.f", "k", work) == "read"
            assert await db.read().fetchval("SELECT count(*) FROM ramet_once") == 0

    asyncio.run(main())


def test_a_result_given_to_the_block_is_stored_with_its_commit(server: Server) -> None:
    """No statement follows the COMMIT, so no crash can come between the effect and its result."""

    async def main() -> None:
        recorder_summaries: list[str] = []
        async with ledger_of(server) as (db, ledger):

            async def work() -> str:
                async with db.write() as tx:
                    await tx.execute("INSERT INTO effects VALUES (1)")
                    return tx.result("done")

            assert await ledger.once("m.f", "k", work) == "done"
            pool: Any = db.opened.pool
            recorder_summaries += [record.series.labels["summary"] for record in pool.recorder.records()]
            assert recorder_summaries[-1] == "COMMIT"
            assert await ledger.once("m.f", "k", work) == "done"
            async with db.write() as tx:
                assert tx.result("outside of a call") == "outside of a call"

    asyncio.run(main())


def test_a_repeated_block_claims_its_key_again(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):
            attempts = 0

            async def twice(tx: Transaction) -> str:
                nonlocal attempts
                attempts += 1
                await tx.execute("INSERT INTO effects VALUES (1)")
                if attempts == 1:
                    await tx.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")
                return "done"

            assert await ledger.once("m.f", "k", lambda: db.run(twice)) == "done"
            assert (attempts, await effects(db)) == (2, 1)

    asyncio.run(main())


def test_a_second_block_follows_the_first_under_one_key(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):

            async def work() -> str:
                for _ in range(2):
                    async with db.write() as tx:
                        await tx.execute("INSERT INTO effects VALUES (1)")
                await db.write().execute("INSERT INTO effects VALUES (1)")
                return "done"

            for _ in range(2):
                assert await ledger.once("m.f", "k", work) == "done"
            assert await effects(db) == 3

    asyncio.run(main())


def test_two_blocks_at_once_in_one_call_are_refused(server: Server) -> None:
    """Only one of them could carry the key, and it might be the one that is undone."""

    async def main() -> None:
        async with ledger_of(server) as (db, ledger):

            async def work() -> str:
                async with db.write() as tx:
                    await tx.execute("INSERT INTO effects VALUES (1)")
                    await asyncio.create_task(db.write().execute("INSERT INTO effects VALUES (2)"))
                return "done"

            with pytest.raises(errors.BlockMisuse, match="two write blocks"):
                await ledger.once("m.f", "k", work)
            assert await effects(db) == 0

    asyncio.run(main())


def test_code_that_catches_every_exception_does_not_catch_the_replay(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, _):
            instances = [DurableLedger(db, Outcomes()) for _ in range(2)]
            both = asyncio.Barrier(2)

            async def work() -> str:
                await both.wait()  # both have looked and found nothing
                try:
                    async with db.write() as tx:
                        await tx.execute("INSERT INTO effects VALUES (1)")
                except Exception:
                    return "swallowed"
                return "done"

            assert await asyncio.gather(*(each.once("m.f", "k", work) for each in instances)) == ["done", "done"]
            assert await effects(db) == 1

    asyncio.run(main())


def test_a_unique_violation_of_the_users_own_is_his(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):
            await db.write().execute("INSERT INTO t VALUES (1)")

            async def work() -> str:
                await db.write().execute("INSERT INTO t VALUES (1)")
                return "done"

            with pytest.raises(errors.UniqueViolation) as caught:
                await ledger.once("m.f", "k", work)
            assert caught.value.constraint == "t_x_key"

    asyncio.run(main())


def test_an_outcome_that_cannot_be_stored_is_answered_all_the_same(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):

            async def work() -> str:
                await db.write().execute("INSERT INTO effects VALUES (1)")
                await db.write().execute("ALTER TABLE ramet_once RENAME TO elsewhere")
                return "done"

            assert await ledger.once("m.f", "k", work) == "done"
            assert [record.message for record in caplog.records] == ["once.outcome_not_stored"]

    asyncio.run(main())


def test_old_outcomes_are_forgotten(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, ledger):

            async def work() -> str:
                await db.write().execute("INSERT INTO effects VALUES (1)")
                return "done"

            await ledger.once("m.f", "k", work)
            assert await ledger.purge() == 0
            assert await ledger.purge(older_than_s=0) == 1
            assert await ledger.once("m.f", "k", work) == "done"
            assert await effects(db) == 2

    asyncio.run(main())


EXPECTED = {
    "before": "done",
    "claimed": "done",
    "written": "done",
    "committed": errors.OutcomeUnknown,
    "committed with result": "done",
    "none": "done",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_anywhere_leaves_one_effect_and_an_honest_answer(server: Server, point: str) -> None:
    """kill -9. Only between the commit and the storing of the result is the result lost, and that is said."""

    async def main() -> None:
        async with ledger_of(server) as (db, ledger):
            command = [sys.executable, "-m", "tests.data.once_worker", str(server.folder), db.module, "k", point]
            worker = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=30)
            assert worker.returncode == (0 if point == "none" else -9), worker.stderr.decode()

            async def work() -> str:
                await db.write().execute("INSERT INTO effects VALUES (2)")
                return "done"

            expected = EXPECTED[point]
            with within(10):
                if isinstance(expected, str):
                    assert await ledger.once("m.work", "k", work) == expected
                else:
                    with pytest.raises(expected, match="its outcome was not stored") as caught:
                        await ledger.once("m.work", "k", work)
                    assert caught.value.may_have_run
            assert await effects(db) == 1

    asyncio.run(main())


def test_a_repetition_waits_for_the_run_that_is_about_to_store_its_outcome(server: Server) -> None:
    async def main() -> None:
        async with ledger_of(server) as (db, first):
            second = DurableLedger(db, Outcomes())
            committed, go_on = asyncio.Event(), asyncio.Event()

            async def work() -> str:
                await db.write().execute("INSERT INTO effects VALUES (1)")
                committed.set()
                await go_on.wait()
                return "done"

            running = asyncio.create_task(first.once("m.f", "k", work))
            await committed.wait()
            repeated = asyncio.create_task(second.once("m.f", "k", work))
            await asyncio.sleep(0.03)
            assert not repeated.done()
            go_on.set()
            assert await asyncio.gather(running, repeated) == ["done", "done"]
            assert await effects(db) == 1

    asyncio.run(main())
