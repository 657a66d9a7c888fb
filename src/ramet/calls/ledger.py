"""What keeps a `once` call from running twice with one key.

A module with a database stores the key with its own write (the data part's ledger, which outlives the instance). This one holds
keys in memory: it joins repetitions that reach the same instance, and says that it is not durable, so that no caller repeats such
a call at another one.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ramet.wire.context import Context

MOST_KEYS = 10_000
KEPT_S = 120.0
"""How long a finished call answers its repetitions. Far longer than any deadline under which a caller would repeat it."""

monotonic = time.monotonic


def key_of(context: Context) -> str:
    """The key under which the next `once` call is made: the one that `ramet.calling(key=...)` asks for, else a new one."""
    wanted = context.wanted
    return uuid.uuid4().hex if wanted is None or wanted.key is None else wanted.key


class Ledger(Protocol):
    """Runs `work` unless its key has run; then the outcome of that run is the outcome of this one."""

    is_durable: bool

    async def once(self, call: str, key: str, work: Callable[[], Awaitable[Any]]) -> Any: ...


class MemoryLedger:
    is_durable = False

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str], tuple[float, asyncio.Task[Any]]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<MemoryLedger of {len(self._runs)} keys>"

    async def once(self, call: str, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        self._forget(monotonic())
        run = self._runs.get((call, key))
        if run is None:
            # A task of its own: the one who asked first may leave, those who joined still wait.
            run = self._runs[call, key] = (monotonic(), asyncio.ensure_future(_as_task(work)))
        return await asyncio.shield(run[1])

    def _forget(self, now: float) -> None:
        while self._runs:
            name, (started, task) = next(iter(self._runs.items()))
            if not task.done() or (now - started < KEPT_S and len(self._runs) < MOST_KEYS):
                return
            del self._runs[name]


async def _as_task(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()
