"""When a block is worth running again, and how long to wait before."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ramet.data import errors
from ramet.data.transactions import Transaction
from ramet.wire.context import current

T = TypeVar("T")

MAX_ATTEMPTS = 10
"""A guess: a conflict that ten tries do not solve is one of design."""
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.5
MOVED_S = 5.0
"""How long the new map of a key that has moved is waited for, in seconds."""
MOVED_PAUSE_S = 0.005
_CONFLICTS = frozenset({"40001", "40P01", "RM001"})


def is_conflict(error: BaseException) -> bool:
    """Whether the same block may succeed when it is run again: 40001, 40P01, a plan that a migration has outdated, a key that has
    moved. Also
    inside of SQLAlchemy's error."""
    return (
        isinstance(error, (errors.TransactionConflict, errors.Moved))
        or getattr(getattr(error, "orig", None), "sqlstate", None) in _CONFLICTS
    )


def pause_s(attempt: int, chance: float) -> float:
    """Before attempt 2, 3, ...: full jitter over a range that doubles. chance: 0 to 1. Source: AWS, Exponential Backoff And
    Jitter."""
    return chance * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempt - 1))


async def retry_moved(statement: Callable[[], Awaitable[T]]) -> T:
    """A single statement, again and again while a fence refuses it: then it has done nothing. It looks each time where its key
    is. Raises Moved when no new map comes."""
    clock = asyncio.get_running_loop().time
    until = min(clock() + MOVED_S, current.get().deadline)
    while True:
        try:
            return await statement()
        except errors.Moved:
            if clock() + MOVED_PAUSE_S >= until:
                raise
        await asyncio.sleep(MOVED_PAUSE_S)


async def run(
    new_block: Callable[[], Transaction],
    work: Callable[[Transaction], Awaitable[T]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> T:
    """`work` in a new block until it commits. The last conflict is raised when the deadline is nearer than the pause, or
    after MAX_ATTEMPTS."""
    clock = asyncio.get_running_loop().time
    attempt = 1
    moved_until: float | None = None
    while True:
        try:
            async with new_block() as tx:
                return await work(tx)
        except errors.Moved:
            if moved_until is None:
                moved_until = clock() + MOVED_S
            if clock() + MOVED_PAUSE_S >= min(moved_until, current.get().deadline):
                raise
            wait_s = MOVED_PAUSE_S
        except Exception as error:
            attempt += 1
            wait_s = pause_s(attempt - 1, chance())
            if not is_conflict(error) or attempt > MAX_ATTEMPTS or clock() + wait_s >= current.get().deadline:
                raise
        await sleep(wait_s)
