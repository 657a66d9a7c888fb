"""One process that owns a module's materialised result, and kills itself before a statement: `python -m
tests.data.refresh_worker FOLDER MODULE EPOCH STATEMENTS`.

It counts what its refreshers send, commits too, from taking the ownership on. It says `over` and ends where it had nothing left to
do before that.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ramet.data.connection import Connection
from ramet.data.ownership import Fence
from ramet.model.routing import Owner, RoutingTable
from ramet.observe.record import Recorder
from ramet.process.schedules import Schedules
from tests.data.materialized_support import module_named, opened
from tests.data.support import Server, until
from tests.process.schedule_support import inside


class Countdown:
    """spared: the task that only looks on."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.spared = asyncio.current_task()

    def tick(self) -> None:
        if asyncio.current_task() is self.spared:
            return
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def count(name: str, countdown: Countdown) -> None:
    real = getattr(Connection, name)

    def counted(self: Connection, *args: Any) -> Any:
        countdown.tick()
        return real(self, *args)

    setattr(Connection, name, counted)


async def main(folder: str, name: str, epoch: str, statements: str) -> None:
    module = module_named(name)
    del module.results["top_articles"]
    countdown = Countdown(int(statements))
    async with opened(Server(Path(folder)), module):
        assert module.db is not None
        for each in ("rows", "status", "commit"):
            count(each, countdown)
        db = module.db
        fence = Fence(db, name, "a", longest_s=30)
        schedules = Schedules([module], "a", inside=inside, recorder=Recorder(), fences={name: fence})
        await schedules.take(RoutingTable(int(epoch), {}, owners={name: Owner("a", int(epoch))}))

        async def is_over() -> bool:
            known = await db.read().fetchval("SELECT count(*) FROM ramet_materialized")
            return known == 1 and not await module.results["article_stats"].staleness()

        await until(is_over, seconds=20)
        print("over", flush=True)  # noqa: T201  (the parent reads it)
        await schedules.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
