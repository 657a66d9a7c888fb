"""One process with a schedule that notes when each run begins and ends: `python -m tests.data.schedule_worker FOLDER MODULE
INSTANCE DEADLINE_S`.

It is told tables on stdin, a line each: OWNER EPOCH. It says `took EPOCH`, and `held` when another owner's run keeps it waiting.
"""

import asyncio
import sys
from pathlib import Path

from ramet.data.opening import open_database
from ramet.data.ownership import Fence
from ramet.data.pool import Limits
from ramet.model.routing import Owner, RoutingTable
from ramet.module import Module
from ramet.observe.record import Recorder
from ramet.process.schedules import Schedules
from tests.data.support import Server
from tests.process.schedule_support import inside

RUN_S = 0.3


class TellingFence(Fence):
    async def begin(self, schedule: str, epoch: int) -> bool:
        is_begun = await super().begin(schedule, epoch)
        if not is_begun:
            print("held", flush=True)  # noqa: T201  (the parent reads it)
        return is_begun


async def main(folder: str, name: str, instance: str, deadline_s: str) -> None:
    module = Module(name)
    db = module.database()
    await open_database(db, Server(Path(folder)).address(name), limits=Limits(max_connections=3))

    @module.every(0.1, deadline=float(deadline_s))
    async def note() -> None:
        await db.write().execute("INSERT INTO notes (instance, what) VALUES ($1, 'begins')", instance)
        await asyncio.sleep(RUN_S)
        await db.write().execute("INSERT INTO notes (instance, what) VALUES ($1, 'ends')", instance)

    fence = TellingFence(db, name, instance, longest_s=float(deadline_s))
    schedules = Schedules([module], instance, inside=inside, recorder=Recorder(), fences={name: fence})
    while line := await asyncio.to_thread(sys.stdin.readline):
        owner, epoch = line.split()
        await schedules.take(RoutingTable(int(epoch), {}, owners={name: Owner(owner, int(epoch))}))
        print("took", epoch, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
