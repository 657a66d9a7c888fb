"""The growth story: what is done to Conduit while the load goes on, and what of it may fail."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from demo import versions
from demo.fleet import Conduit, DemoFailed

Act = Callable[[Conduit], Awaitable[None]]


@dataclass(frozen=True)
class Chapter:
    """may_fail: requests that may fail in it, as a share of its own; 0 for none. fails_for_s: how long after its beginning; None
    for all of it."""

    name: str
    act: Act
    may_fail: float = 0.0
    fails_for_s: float | None = None


def _plan(*arguments: str) -> Act:
    async def act(conduit: Conduit) -> None:
        await conduit.plan(*arguments)

    return act


async def _kill(conduit: Conduit) -> None:
    """SIGKILL to one of two instances, and wait until its successor is ready."""
    before = conduit.instance("main-2")
    os.kill(before["pid"], signal.SIGKILL)
    until = time.monotonic() + 20
    while (now := await asyncio.to_thread(conduit.instance, "main-2")) is None or now["pid"] == before["pid"]:
        if time.monotonic() > until:
            raise DemoFailed("main-2 did not come back within 20 s")
        await asyncio.sleep(0.1)


async def _good(conduit: Conduit) -> None:
    await conduit.plan("roll", "--canary", "--path", str(versions.good(conduit.beside("good"))))


async def _broken(conduit: Conduit) -> None:
    """It must be caught, and undone."""
    await conduit.plan("roll", "--canary", "--path", str(versions.broken(conduit.beside("broken"))), ends="undone")


STORY = (
    Chapter("scale main to 2", _plan("scale", "main", "2")),
    Chapter("extract feed", _plan("extract", "feed")),
    Chapter("extract social", _plan("extract", "social")),
    # Requests that the killed instance had in hand and that may have run are told so; all else goes on.
    Chapter("kill -9 one of two", _kill, may_fail=0.02, fails_for_s=1.0),
    Chapter("roll --canary, good", _good),
    Chapter("roll --canary, broken", _broken, may_fail=0.01),
    Chapter("extract social --database", _plan("extract", "social", "--database")),
    Chapter("absorb social", _plan("absorb", "social")),
    Chapter("absorb feed", _plan("absorb", "feed")),
    Chapter("scale main to 1", _plan("scale", "main", "1")),
)
