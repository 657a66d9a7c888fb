"""The runs of one schedule: begun when they are due, each a unit of work with its record, its log line and its deadline.

due ──the fence says yes──> running ──returns, raises, or is late──> the next beat of the grid
 └──another owner's run is in hand: again after 100 ms; the database does not answer: again after 1 s
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from ramet.data.errors import DatabaseError, StatementDeadline
from ramet.errors import DeadlineExceeded
from ramet.model.control import ScheduleStatus
from ramet.model.schedule import HELD_S, RETRY_S, Schedule, first_due_s, next_due_s
from ramet.observe import logs, names
from ramet.observe.record import Recorder
from ramet.wire.context import current

logger = logging.getLogger("ramet.process")

UNKNOWN = (DatabaseError, StatementDeadline)
"""What a fence raises while it cannot tell."""


class Fence(Protocol):
    """What the module's database knows of the owner, see `ramet.data.ownership`. Raises OwnershipOver, and those of UNKNOWN."""

    async def take(self, epoch: int) -> Mapping[str, float]: ...
    async def begin(self, schedule: str, epoch: int) -> bool: ...
    async def end(self, schedule: str) -> None: ...
    def writes(self, epoch: int) -> AbstractContextManager[None]: ...


class NoFence:
    """Of a module without a database: nothing but the routing table says who owns its schedules."""

    async def take(self, epoch: int) -> Mapping[str, float]:  # noqa: ARG002  (here and below: as a Fence has it)
        return {}

    async def begin(self, schedule: str, epoch: int) -> bool:  # noqa: ARG002
        return True

    async def end(self, schedule: str) -> None: ...

    @contextmanager
    def writes(self, epoch: int) -> Generator[None]:  # noqa: ARG002
        yield


class Runs:
    """inside: makes the context of the module's code, see `Calls.inside`. Counts go on from one ownership to the next."""

    def __init__(
        self,
        schedule: Schedule,
        module: str,
        *,
        inside: Callable[[str], AbstractContextManager[None]],
        recorder: Recorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.schedule = schedule
        self.module = module
        self._inside = inside
        self._recorder = recorder
        self._series = recorder.series(names.JOB, module=module, schedule=schedule.name)
        self._missed = recorder.counter(names.BEATS_MISSED, module=module, schedule=schedule.name)
        self._clock = clock
        self._last_run_at = 0.0
        self._last_error = ""
        self.is_running = False

    def __repr__(self) -> str:
        state = "running" if self.is_running else f"last error {self._last_error}" if self._last_error else "waiting"
        return f"<Runs of {self.module}.{self.schedule.name} every {self.schedule.period_s:g} s: {self._series.count}, {state}>"

    def status(self, epoch: int) -> ScheduleStatus:
        return ScheduleStatus(
            module=self.module,
            name=self.schedule.name,
            epoch=epoch,
            runs=self._series.count,
            failed=self._series.errors,
            last_run_at=self._last_run_at,
            last_error=self._last_error,
        )

    async def beat(self, fence: Fence, epoch: int, age_s: float | None, stop: asyncio.Event) -> None:
        """Run it when it is due, until `stop`; a run in hand is finished first.

        age_s: since the last run began, None where there was none. Raises OwnershipOver.
        """
        due = first_due_s(self._clock(), self.schedule.period_s, age_s)
        while await wait_until(due, stop, self._clock):
            again_s = await self._run_if_free(fence, epoch)
            if again_s is not None:
                due = self._clock() + again_s
                continue
            due, missed = next_due_s(due, self.schedule.period_s, self._clock())
            self._missed.value += missed

    async def _run_if_free(self, fence: Fence, epoch: int) -> float | None:
        """None after a run; else in how many seconds to try again."""
        deadline = self._clock() + self.schedule.deadline_s  # from before the epoch is read: a stopped process has none left
        with self._inside(self.module):
            try:
                if not await fence.begin(self.schedule.name, epoch):
                    return HELD_S
            except UNKNOWN as error:
                self._last_error = type(error).__name__
                logger.warning("run.cannot_begin", extra={"schedule": self.schedule.name, "reason": str(error)})
                return RETRY_S
            try:
                if self._clock() >= deadline:
                    return HELD_S
                with fence.writes(epoch):
                    await self._run(deadline)
            finally:
                await fence.end(self.schedule.name)
        return None

    async def _run(self, deadline: float) -> None:
        context = current.get()
        current.set(context.derive(deadline=deadline, budget_s=self.schedule.deadline_s))
        self._last_run_at = time.time()
        self.is_running = True
        started = self._clock()
        raised: BaseException | None = None
        try:
            await self._within(deadline)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told, and the schedule goes on)
            raised = error
        except BaseException as stopped:
            raised = stopped
            raise
        finally:
            self.is_running = False
            current.set(context)
            self._tell(raised, context.trace_id, context.span_id, started)

    async def _within(self, deadline: float) -> None:
        function = self.schedule.function
        left_s = deadline - self._clock()
        if inspect.iscoroutinefunction(function):
            timer = asyncio.timeout(left_s)
            try:
                async with timer:
                    await function()
            except TimeoutError:
                if timer.expired():
                    raise self._late() from None
                raise
            return
        thread = asyncio.ensure_future(asyncio.to_thread(function))
        await asyncio.wait([thread], timeout=left_s)
        if not thread.done():
            await asyncio.wait([thread])  # it cannot be stopped, and two at once must not be
            raise self._late()
        thread.result()

    def _late(self) -> DeadlineExceeded:
        return DeadlineExceeded("the deadline passed", may_have_run=True, call=f"{self.module}.{self.schedule.name}")

    def _tell(self, raised: BaseException | None, trace_id: bytes, span_id: bytes, started: float) -> None:
        error = type(raised).__qualname__ if raised is not None else ""
        self._last_error = error
        ended = self._clock()
        self._recorder.finish(self._series, trace_id, span_id, b"", started, ended, error)
        told: dict[str, Any] = {"error_type": error} if error else {}
        logs.canonical(
            "run",
            level=logging.ERROR if error else logging.INFO,
            error=raised,
            schedule=self.schedule.name,
            duration_ms=round((ended - started) * 1e3, 3),
            **told,
        )


async def wait_until(due: float, stop: asyncio.Event, clock: Callable[[], float]) -> bool:
    """False as soon as `stop` is set."""
    left_s = due - clock()
    if left_s > 0 and not stop.is_set():
        try:
            async with asyncio.timeout(left_s):
                await stop.wait()
        except TimeoutError:
            return True
    return not stop.is_set()
