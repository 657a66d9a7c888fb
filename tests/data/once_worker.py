"""One process that runs a `once` call and dies at a given point of it: `python -m tests.data.once_worker FOLDER MODULE KEY
POINT`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from ramet.data.database import Database
from ramet.data.once import DurableLedger
from ramet.data.opening import open_database
from ramet.data.pool import Limits
from tests.data.support import Outcomes, Server, within

POINTS = ["before", "claimed", "written", "committed", "committed with result", "none"]


async def main(folder: str, module: str, key: str, point: str) -> None:
    server = Server(Path(folder))
    db = Database(module)
    await open_database(db, server.address(module), limits=Limits(max_connections=2))
    ledger = DurableLedger(db, Outcomes())
    with within(0.3 if point == "committed" else 10):  # the repetition waits for this long, and one second
        await ledger.once("m.work", key, lambda: work(db, point))
    print("done")  # noqa: T201  (the parent reads it)


async def work(db: Database, point: str) -> Any:
    die_at(point, "before")
    async with db.write() as tx:
        await tx.execute("SELECT 1")
        die_at(point, "claimed")
        await tx.execute("INSERT INTO effects VALUES (1)")
        die_at(point, "written")
        if point == "committed with result":
            tx.result("done")
    die_at(point, "committed")
    die_at(point, "committed with result")
    return "done"


def die_at(point: str, here: str) -> None:
    if point == here:
        os.kill(os.getpid(), 9)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
