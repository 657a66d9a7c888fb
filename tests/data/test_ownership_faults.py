"""An owner that is stopped (SIGSTOP) in the middle of a run, in a process of its own, and another that takes over."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ramet.data.database import Database
from tests.data.support import Server, until

NOTES = "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, instance text, what text)"


class Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def tell(self, owner: str, epoch: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{owner} {epoch}\n".encode())
        await self.process.stdin.drain()

    async def wait_said(self, text: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while (line := await self.process.stdout.readline()) != f"{text}\n".encode():
                assert line, "it ended"

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


@asynccontextmanager
async def two_workers(server: Server, *, deadline_s: float) -> AsyncIterator[tuple[Database, Worker, Worker]]:
    """`a` is the owner, and runs."""
    async with server.database(NOTES) as db:
        workers: list[Worker] = []
        try:
            for name in ("a", "b"):
                command = ["-m", "tests.data.schedule_worker", str(server.folder), db.module, name, str(deadline_s)]
                process = await asyncio.create_subprocess_exec(
                    sys.executable, *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
                workers.append(Worker(process))
                await workers[-1].tell("a", 1)
            for worker in workers:
                await worker.wait_said("took 1")
            yield db, workers[0], workers[1]
        finally:
            for worker in workers:
                worker.process.kill()
                await worker.process.wait()


async def notes(db: Database) -> list[tuple[str, str]]:
    return [tuple(row) for row in await db.read().fetch("SELECT instance, what FROM notes ORDER BY id")]


async def stop_in_a_run(db: Database, worker: Worker) -> int:
    """SIGSTOP between a run's first and second write. Returns how many notes there are."""
    while True:
        await until(lambda: _begins(db), seconds=20)
        worker.send(signal.SIGSTOP)
        found = await notes(db)
        if found[-1] == ("a", "begins"):
            return len(found)
        worker.send(signal.SIGCONT)


async def _begins(db: Database) -> bool:
    return (await notes(db))[-1:] == [("a", "begins")]


def runs_of_b(found: list[tuple[str, str]]) -> None:
    """Whole runs of the new owner, and nothing else."""
    assert {instance for instance, _ in found} == {"b"}
    assert [what for _, what in found] == [("begins", "ends")[index % 2] for index in range(len(found))]


def test_an_old_owner_that_wakes_up_in_its_run_begins_no_other_and_writes_nothing(server: Server) -> None:
    """The new owner's first run waits for it, so at no time are there two."""

    async def main() -> None:
        async with two_workers(server, deadline_s=10) as (db, old, new):
            count = await stop_in_a_run(db, old)
            await new.tell("b", 2)
            await new.wait_said("took 2")
            for _ in range(3):
                await new.wait_said("held")
            assert len(await notes(db)) == count
            old.send(signal.SIGCONT)
            await until(lambda: _has(db, count + 6), seconds=20)
            runs_of_b((await notes(db))[count:])

    asyncio.run(main())


def test_an_old_owner_that_stays_stopped_holds_the_next_up_for_no_longer_than_its_deadline(server: Server) -> None:
    """And when it wakes up after all, in the middle of its run, it finds that its write is refused."""

    async def main() -> None:
        async with two_workers(server, deadline_s=0.5) as (db, old, new):
            count = await stop_in_a_run(db, old)
            await new.tell("b", 2)
            await until(lambda: _has(db, count + 2), seconds=10)  # while the old one is stopped
            old.send(signal.SIGCONT)
            seen = len(await notes(db))
            await until(lambda: _has(db, seen + 4), seconds=20)
            runs_of_b((await notes(db))[count:])

    asyncio.run(main())


@pytest.mark.parametrize("is_woken_first", [False, True])
def test_an_old_owner_that_was_stopped_between_runs_holds_nobody_up(server: Server, is_woken_first: bool) -> None:
    """Woken before or after the new owner's first run, it runs no more."""

    async def main() -> None:
        async with two_workers(server, deadline_s=10) as (db, old, new):
            while True:
                await until(lambda: _has(db, 2), seconds=20)
                old.send(signal.SIGSTOP)
                found = await notes(db)
                locks = await db.read().fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
                if found[-1] == ("a", "ends") and locks == 0:
                    break
                old.send(signal.SIGCONT)
            await new.tell("b", 2)
            await new.wait_said("took 2")
            if is_woken_first:
                old.send(signal.SIGCONT)
            await until(lambda: _has(db, len(found) + 2), seconds=20)
            old.send(signal.SIGCONT)
            await until(lambda: _has(db, len(found) + 6), seconds=20)
            runs_of_b((await notes(db))[len(found) :])

    asyncio.run(main())


async def _has(db: Database, count: int) -> bool:
    return len(await notes(db)) >= count
