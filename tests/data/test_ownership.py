"""The fence around what has one owner, in a real PostgreSQL: who may take, begin and write."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from ramet.data import errors, ownership
from ramet.data.claims import current_claim
from ramet.data.database import Database
from ramet.data.once import DurableLedger
from ramet.data.ownership import Fence
from tests.data.support import Outcomes, Server, pool_of, until, within

EFFECTS = "CREATE TABLE effects (x int)"


@asynccontextmanager
async def fences_of(server: Server, *, longest_s: float = 5.0) -> AsyncIterator[tuple[Database, Fence, Fence]]:
    """A module's database, and the fences of two instances, each with a pool of its own as in two processes."""
    async with server.database(EFFECTS) as db, server.opened(db.module) as other:
        first = Fence(db, db.module, "a", longest_s=longest_s)
        yield db, first, Fence(other, db.module, "b", longest_s=longest_s)


async def effects(db: Database) -> int:
    return await db.read().fetchval("SELECT count(*) FROM effects")


# Taking

STEPS = {
    "the first takes what nobody has": ([("a", 1)], True),
    "its own epoch again: it was started anew, or could not know": ([("a", 1), ("a", 1)], True),
    "a newer epoch": ([("a", 1), ("b", 2)], True),
    "epochs may be left out": ([("a", 1), ("b", 7)], True),
    "the same epoch by another instance": ([("a", 1), ("b", 1)], False),
    "an older epoch": ([("a", 2), ("b", 1)], False),
    "an older epoch of its own": ([("a", 1), ("a", 3), ("a", 2)], False),
    "the old owner, when there is a new one": ([("a", 1), ("b", 2), ("a", 1)], False),
}


@pytest.mark.parametrize("claim", STEPS)
def test_an_epoch_is_taken_once_and_only_upwards(server: Server, claim: str) -> None:
    """All steps but the last succeed."""
    steps, is_taken = STEPS[claim]

    async def main() -> None:
        async with fences_of(server) as (_, first, second):
            fences = {"a": first, "b": second}
            for instance, epoch in steps[:-1]:
                await fences[instance].take(epoch)
            instance, epoch = steps[-1]
            if is_taken:
                assert await fences[instance].take(epoch) == {}
            else:
                with pytest.raises(errors.OwnershipOver, match=f"{instance} does not own .*epoch {epoch} is over"):
                    await fences[instance].take(epoch)

    asyncio.run(main())


def test_a_reserved_epoch_is_new_and_ends_all_before_it(server: Server) -> None:
    """A fleet reserves before it names an owner, so two fleets never name two with one epoch."""

    async def main() -> None:
        async with fences_of(server) as (db, first, second):
            address = server.address(db.module)
            assert await ownership.reserve(address) == 1
            await first.take(1)
            assert await ownership.reserve(address) == 2
            with pytest.raises(errors.OwnershipOver):
                await first.begin("sweep", 1)
            with pytest.raises(errors.OwnershipOver):
                await first.take(1)
            await second.take(2)
            reserved = await asyncio.gather(*(ownership.reserve(address) for _ in range(8)))
            assert sorted(reserved) == list(range(3, 11))

    asyncio.run(main())


# Runs


def test_a_run_of_one_owner_keeps_the_next_owner_s_waiting(server: Server) -> None:
    """And no other schedule of the module."""

    async def main() -> None:
        async with fences_of(server) as (_, first, second):
            await first.take(1)
            assert await first.begin("sweep", 1)
            assert await second.take(2) == {"sweep": pytest.approx(0, abs=2)}
            assert not await second.begin("sweep", 2)
            assert await second.begin("count", 2)
            await second.end("count")
            await first.end("sweep")
            assert await second.begin("sweep", 2)
            await second.end("sweep")
            with pytest.raises(errors.OwnershipOver):
                await first.begin("sweep", 1)
            assert await second.begin("sweep", 2)  # the refusal left no lock behind
            await second.end("sweep")

    asyncio.run(main())


def test_the_age_of_a_run_is_known_to_whoever_takes_over(server: Server) -> None:
    """So a schedule of a day runs once a day, however often its owner changes or is started anew."""

    async def main() -> None:
        async with fences_of(server) as (db, first, second):
            await first.take(1)
            assert await first.begin("sweep", 1)
            await first.end("sweep")
            await db.write().execute("UPDATE ramet_schedules SET began = began - interval '1 hour'")
            assert await second.take(2) == {"sweep": pytest.approx(3600, abs=5)}

    asyncio.run(main())


def test_all_runs_of_an_instance_share_one_connection_and_leave_it_clean(server: Server) -> None:
    """It is the pool's, and given back with the last."""

    async def main() -> None:
        async with fences_of(server) as (db, first, _):
            await first.take(1)
            for name in ("p", "q", "r", "s", "t"):  # one more than the pool has connections
                assert await first.begin(name, 1)
            assert await db.read().fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == 5
            for name in ("p", "q", "r", "s", "t"):
                await first.end(name)
            await until(lambda: pool_of(db).statistics()["busy"] == 0)
            async with db.read(isolation="repeatable_read") as tx:
                assert await tx.fetchval("SELECT current_setting('idle_session_timeout')") == "0"

    asyncio.run(main())


def test_a_run_whose_session_was_lost_ends_all_the_same(server: Server) -> None:
    """The server restarts under it, or its connection is cut; the next run takes another session."""

    async def main() -> None:
        async with fences_of(server) as (_db, first, _):
            await first.take(1)
            assert await first.begin("sweep", 1)
            async with server.superuser() as connection:
                await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            await first.end("sweep")
            assert await first.begin("sweep", 1)
            await first.end("sweep")

    asyncio.run(main())


# What stops an owner that does not know that it is over


async def by_sqlalchemy(db: Database) -> None:
    async with db.session() as session:
        await session.execute(text("INSERT INTO effects VALUES (1)"))


def test_a_late_write_of_an_old_owner_is_refused(server: Server) -> None:
    """In a block, as a single statement, in a `once` call that the run makes, by SQLAlchemy; reads go on."""

    async def main() -> None:
        async with fences_of(server) as (db, first, second):
            ledger = DurableLedger(db, Outcomes())

            async def write() -> str:
                await db.write().execute("INSERT INTO effects VALUES (1)")
                return "done"

            await first.take(1)
            with within(5), first.writes(1):
                await write()
                await ledger.once("m.f", "k1", write)
                async with db.write() as tx:
                    assert tx.result("no once call") == "no once call"
                    await tx.execute("INSERT INTO effects VALUES (1)")
                await second.take(2)
                for late in (write, lambda: ledger.once("m.f", "k2", write), lambda: by_sqlalchemy(db)):
                    with pytest.raises(errors.OwnershipOver, match="epoch 1 under which a owned the schedules is over"):
                        await late()
                with pytest.raises(errors.OwnershipOver):
                    async with db.write() as tx:
                        await tx.execute("INSERT INTO effects VALUES (1)")
                assert await effects(db) == 3
            assert current_claim.get() is None
            await write()
            assert await effects(db) == 4

    asyncio.run(main())


def test_a_write_in_hand_commits_before_the_next_owner_or_not_at_all(server: Server) -> None:
    """The next owner waits for the block."""

    async def main() -> None:
        async with fences_of(server) as (db, first, second):
            await first.take(1)
            with first.writes(1):
                async with db.write() as tx:
                    await tx.execute("INSERT INTO effects VALUES (1)")
                    taking = asyncio.create_task(second.take(2))
                    await until(lambda: _waits_for_a_lock(server))
                    assert not taking.done()
            assert await taking == {}
            assert await effects(db) == 1

    asyncio.run(main())


async def _waits_for_a_lock(server: Server) -> bool:
    async with server.superuser() as connection:
        return await connection.fetchval("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def test_an_owner_that_stopped_in_a_run_keeps_the_next_waiting_for_no_longer_than_a_run_may_take(server: Server) -> None:
    """The server itself ends its session, and its open block. Nobody has to reach it for that."""

    async def main() -> None:
        async with fences_of(server, longest_s=0.1) as (db, first, second):
            await first.take(1)
            assert await first.begin("sweep", 1)
            began = time.monotonic()
            with pytest.raises(errors.DatabaseUnavailable), first.writes(1):
                async with db.write() as tx:
                    await tx.execute("INSERT INTO effects VALUES (1)")
                    await until(lambda: _is_taken(second), seconds=5)  # nothing is asked of the first meanwhile
                    await until(lambda: second.begin("sweep", 2))
                    assert 0.5 < time.monotonic() - began < 0.1 + ownership.GRACE_S + 2
                    await tx.execute("INSERT INTO effects VALUES (2)")
            assert await effects(db) == 0
            await second.end("sweep")

    asyncio.run(main())


async def _is_taken(fence: Fence) -> bool:
    try:
        await fence.take(2)
    except errors.StatementDeadline:
        return False
    return True
