"""The tasks that run calls: kept and used again, because making one costs more than the call around it.

A worker takes calls from the queue one after the other. Before it begins one it makes sure that, if there are more, another
worker will look at the queue after it: should the call wait for something, the others do not wait with it. So calls that never
wait are run by one worker in one turn of the loop, and each call that waits has a worker to itself, as if it had a task of its
own: `asyncio.current_task()`, `asyncio.timeout` and cancellation mean what they mean in any task.

Nothing leaks from one call into the next: cancellation that was asked for is withdrawn when its call is over, and a worker whose
call left a context variable changed is not used again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Generic, TypeVar

from ramet.wire.context import NOTHING, current

W = TypeVar("W")

MAX_IDLE = 256
"""Workers kept. A guess: more calls than that rarely wait at once in one process, and an idle worker is 2 KB."""


class Workers(Generic[W]):
    """run: runs one piece of work to its end, in the task that it is given; never raises."""

    def __init__(self, run: Callable[[W, asyncio.Task[None]], Awaitable[None]]) -> None:
        self._run = run
        self._queue: deque[W] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._is_scheduled = False
        """A worker will look at the queue in a coming turn of the loop."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Workers: {len(self._tasks)}, {len(self._idle)} idle, {len(self._queue)} calls queued>"

    def submit(self, work: W) -> None:
        self._queue.append(work)
        if not self._is_scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._is_scheduled = True
        if self._idle:
            self._idle.pop().set_result(None)
            return
        # Outside of all work: a worker made while a call runs must not inherit that call's context.
        task = CLEAN.run(asyncio.create_task, self._work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        queue = self._queue
        idle = self._idle
        loop = asyncio.get_running_loop()
        clean = copy_context()
        while not self._is_closed:
            self._is_scheduled = False
            while queue:
                work = queue.popleft()
                if queue and not self._is_scheduled:
                    self._schedule()
                await self._run(work, task)
                while task.cancelling():
                    task.uncancel()
                current.set(NOTHING)
                if copy_context() != clean:
                    if queue and not self._is_scheduled:
                        self._schedule()
                    return
            if self._is_closed or len(idle) >= MAX_IDLE:
                return
            waiting: asyncio.Future[None] = loop.create_future()
            idle.append(waiting)
            await waiting

    async def close(self) -> None:
        """End the idle workers. Those that run a call are ended by cancelling that call."""
        self._is_closed = True
        for waiting in self._idle:
            waiting.set_result(None)
        self._idle.clear()
        if self._tasks:
            await asyncio.wait(self._tasks)


CLEAN = copy_context()
CLEAN.run(current.set, NOTHING)
