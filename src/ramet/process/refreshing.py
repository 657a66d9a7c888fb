"""What keeps a materialised result up, on the one instance that owns its module's schedules: it looks, and refreshes what is due.

looking ──something changed──> refreshing ──all taken──> a pause; more left──> at once
 └──nothing did: after a longer pause, up to 1 s              └──it failed: after 1 s, then 2 s, up to 30 s

The notes stay in the database until a refresh has committed, so nothing is kept here but what is told of it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from ramet.data import materialized
from ramet.data.errors import OwnershipOver
from ramet.data.materialized import MAX_CHANGES, MaterializedResult
from ramet.data.queries import Opened
from ramet.model.control import ResultStatus
from ramet.model.materialized import MIN_PAUSE_S, pause_s, retry_pause_s
from ramet.observe import logs, names
from ramet.observe.record import Recorder
from ramet.process.runs import Fence, wait_until
from ramet.wire.context import current

logger = logging.getLogger("ramet.process")


class Refresher:
    """Of one place that holds a part of a result. inside: makes the context of the module's code, see `Calls.inside`. Counts go
    on from one ownership to the next."""

    def __init__(
        self,
        result: MaterializedResult,
        place: Opened,
        *,
        inside: Callable[[str], AbstractContextManager[None]],
        recorder: Recorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.declared = result.declared
        self._place = place
        self._inside = inside
        self._recorder = recorder
        self._series = recorder.series(names.JOB, module=self.declared.module, schedule=self.declared.name)
        self._clock = clock
        self._seen = (0.0, clock())
        """How far behind it was, and when that was seen."""
        self._pause = MIN_PAUSE_S
        self._is_told = False
        self._last_error = ""

    def __repr__(self) -> str:
        name = f"{self.declared.module}.{self.declared.name}"
        return f"<Refresher of {name}: {self._series.count} refreshes, {self.stale_s:.3g} s behind>"

    @property
    def stale_s(self) -> float:
        """As last seen, and where it was behind then and was not seen since, with the time since."""
        stale_s, at = self._seen
        return stale_s + self._clock() - at if stale_s else 0.0

    def status(self, epoch: int) -> ResultStatus:
        return ResultStatus(
            module=self.declared.module,
            name=self.declared.name,
            epoch=epoch,
            refreshes=self._series.count,
            failed=self._series.errors,
            stale_s=self.stale_s,
            max_stale_s=self.declared.max_stale_s,
            last_error=self._last_error,
        )

    async def beat(self, fence: Fence, epoch: int, stop: asyncio.Event) -> None:
        """Keep it up until `stop`; a refresh in hand is finished first. Raises OwnershipOver."""
        failures = 0
        due = self._clock()
        while await wait_until(due, stop, self._clock):
            try:
                with self._inside(self.declared.module), fence.writes(epoch):
                    await self._step()
                failures = 0
            except OwnershipOver:
                raise
            except Exception as error:  # noqa: BLE001  (whatever it is, it is told, and tried again)
                failures += 1
                self._pause = retry_pause_s(failures)
                self._last_error = type(error).__qualname__
                told = {"result": self.declared.name, "reason": str(error), "again_in_s": self._pause}
                logger.warning("refresh.failed", extra=told)
            self._tell_if_stale()
            due = self._clock() + self._pause

    async def _step(self) -> None:
        """Look, and refresh what is due; then `_pause` is what to wait until the next."""
        context = current.get()
        left_s = self.declared.deadline_s
        current.set(context.derive(deadline=time.monotonic() + left_s, budget_s=left_s))
        is_whole, started, taken = not self.declared.key, self._clock(), None
        try:
            seen = await materialized.look(self._place, self.declared)
            self._seen = (seen.stale_s, self._clock())
            if seen.stale_s or seen.is_due:
                taken = await self._refresh(is_due=seen.is_due)
        finally:
            current.set(context)
        if taken is None:
            self._pause = pause_s(self._pause, took_s=None, is_whole=is_whole)
        elif taken >= MAX_CHANGES and not is_whole:
            self._pause = 0.0
        else:
            self._seen = (0.0, self._clock())
            self._pause = pause_s(self._pause, took_s=self._clock() - started, is_whole=is_whole)

    async def _refresh(self, *, is_due: bool) -> int:
        context = current.get()
        started = self._clock()
        error = ""
        try:
            if is_due:
                await materialized.begin_anew(self._place, self.declared)
                logger.info("refresh.anew", extra={"result": self.declared.name})
            taken = await materialized.refresh_once(self._place, self.declared)
            self._last_error = ""
        except BaseException as raised:
            error = type(raised).__qualname__
            raise
        finally:
            self._recorder.finish(self._series, context.trace_id, context.span_id, b"", started, self._clock(), error)
        logs.canonical(
            "refresh",
            level=logging.DEBUG,
            error=None,
            result=self.declared.name,
            changes=taken,
            duration_ms=round((self._clock() - started) * 1e3, 3),
        )
        return taken

    def _tell_if_stale(self) -> None:
        """Once when it falls behind what was promised, and once when it is back."""
        limit_s, stale_s = self.declared.max_stale_s, self.stale_s
        if limit_s is None or (stale_s > limit_s) is self._is_told:
            return
        self._is_told = not self._is_told
        told = {"result": self.declared.name, "stale_s": round(stale_s, 3), "max_stale_s": limit_s}
        if self._is_told:
            logger.warning("result.stale", extra=told)
        else:
            logger.info("result.fresh", extra=told)
