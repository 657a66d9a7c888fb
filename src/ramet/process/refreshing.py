"""What keeps a materialised result up, on the one instance that owns its module's schedules: at each shard it looks, and
refreshes what is due.

looking ──something changed──> refreshing ──all taken──> a pause; more left──> at once
 └──nothing did: after a longer pause, up to 1 s              └──it failed: after 1 s, then 2 s, up to 30 s

The notes stay in the database until a refresh has committed, so nothing is kept here but what is told of it. Two that refresh
the same, as where an owner does not know yet that it is none, wait for each other and do no harm.
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

SHARDS_S = 1.0
"""How often it is looked whether there are other shards: one that comes has a moment until it has rows."""


class _Seen:
    """Of one shard. stale_s, at: how far behind it was, and when that was seen."""

    def __init__(self, now: float) -> None:
        self.stale_s = 0.0
        self.at = now
        self.pause_s = MIN_PAUSE_S
        self.failures = 0


class Refresher:
    """inside: makes the context of the module's code, see `Calls.inside`. Counts go on from one ownership to the next."""

    def __init__(
        self,
        result: MaterializedResult,
        *,
        inside: Callable[[str], AbstractContextManager[None]],
        recorder: Recorder,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.declared = result.declared
        self._result = result
        self._inside = inside
        self._recorder = recorder
        self._series = recorder.series(names.JOB, module=self.declared.module, schedule=self.declared.name)
        self._clock = clock
        self._seen: dict[int, _Seen] = {}
        self._is_told = False
        self._last_error = ""

    def __repr__(self) -> str:
        name = f"{self.declared.module}.{self.declared.name}"
        return f"<Refresher of {name}: {self._series.count} refreshes, {self.stale_s:.3g} s behind>"

    @property
    def stale_s(self) -> float:
        """Of the shard that is furthest behind: as last seen, and with the time since where it was behind then."""
        now = self._clock()
        return max((each.stale_s + now - each.at for each in self._seen.values() if each.stale_s), default=0.0)

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
        """Keep it up until `stop`; refreshes in hand are finished first. Raises OwnershipOver."""
        self._seen.clear()
        keeping: dict[int, asyncio.Task[None]] = {}
        try:
            while not stop.is_set():
                for shard in [place.shard for place in self._result.places if place.shard not in keeping]:
                    self._seen[shard] = seen = _Seen(self._clock())
                    keeping[shard] = asyncio.create_task(self._keep(shard, seen, fence, epoch, stop))
                await asyncio.wait(keeping.values(), timeout=SHARDS_S, return_when=asyncio.FIRST_COMPLETED)
                for shard in [shard for shard, task in keeping.items() if task.done()]:
                    await keeping.pop(shard)
                    del self._seen[shard]
            await asyncio.gather(*keeping.values())
        finally:
            for task in keeping.values():
                task.cancel()
            await asyncio.gather(*keeping.values(), return_exceptions=True)

    async def _keep(self, shard: int, seen: _Seen, fence: Fence, epoch: int, stop: asyncio.Event) -> None:
        """Until `stop`, or until the shard is gone. A shard may be at another server the next time."""
        due = self._clock()
        while await wait_until(due, stop, self._clock):
            place = next((each for each in self._result.places if each.shard == shard), None)
            if place is None:
                return
            try:
                with self._inside(self.declared.module), fence.writes(epoch):
                    await self._step(place, seen)
                seen.failures = 0
            except OwnershipOver:
                raise
            except Exception as error:  # noqa: BLE001  (whatever it is, it is told, and tried again)
                seen.failures += 1
                seen.pause_s = retry_pause_s(seen.failures)
                self._last_error = type(error).__qualname__
                told = {"result": self.declared.name, "shard": shard, "reason": str(error), "again_in_s": seen.pause_s}
                logger.warning("refresh.failed", extra=told)
            self._tell_if_stale()
            due = self._clock() + seen.pause_s

    async def _step(self, place: Opened, seen: _Seen) -> None:
        """Look, and refresh what is due; then `pause_s` is what to wait until the next."""
        context = current.get()
        left_s = self.declared.deadline_s
        current.set(context.derive(deadline=time.monotonic() + left_s, budget_s=left_s))
        is_whole, started, taken = not self.declared.key, self._clock(), None
        try:
            found = await materialized.look(place, self.declared)
            seen.stale_s, seen.at = found.stale_s, self._clock()
            if found.stale_s or found.is_due:
                taken = await self._refresh(place, is_due=found.is_due)
        finally:
            current.set(context)
        if taken is None:
            seen.pause_s = pause_s(seen.pause_s, took_s=None, is_whole=is_whole)
        elif taken >= MAX_CHANGES and not is_whole:
            seen.pause_s = 0.0
        else:
            seen.stale_s, seen.at = 0.0, self._clock()
            seen.pause_s = pause_s(seen.pause_s, took_s=self._clock() - started, is_whole=is_whole)

    async def _refresh(self, place: Opened, *, is_due: bool) -> int:
        context = current.get()
        started = self._clock()
        error = ""
        try:
            if is_due:
                await materialized.begin_anew(place, self.declared)
                logger.info("refresh.anew", extra={"result": self.declared.name, "shard": place.shard})
            taken = await materialized.refresh_once(place, self.declared)
            self._last_error = ""
        except BaseException as raised:
            error = type(raised).__qualname__
            raise
        finally:
            self._recorder.finish(self._series, context.trace_id, context.span_id, b"", started, self._clock(), error)
        duration_ms = round((self._clock() - started) * 1e3, 3)
        logs.canonical(
            "refresh",
            level=logging.DEBUG,
            result=self.declared.name,
            shard=place.shard,
            changes=taken,
            duration_ms=duration_ms,
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
