"""The load itself: people who act when they are due, while somebody else does something to Conduit and marks when.

async with Load("http://127.0.0.1:8000", rate=80) as load:
    async with load.phase("extract feed"):
        ...
    report = await load.finish()
print(report.table())
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlsplit

from conduit_load import habits, writes
from conduit_load.audit import audit, in_turn
from conduit_load.final import FinalState
from conduit_load.http1 import Client
from conduit_load.memory import Person, World
from conduit_load.session import Session
from ramet.testing import history
from ramet.testing.history import Finding, Kind, Mark, Operation, Outcome, Phase, Promise, Report, Seen
from ramet.testing.history.phases import percentile_ms


@dataclass(frozen=True)
class LoadReport:
    """total: from the first to the last arrival; but its findings are all, of settling and looking after too.

    phases: as they were marked, in order. found: what is wrong, and not known from an earlier load on the same world.
    """

    total: Phase
    phases: tuple[Phase, ...]
    found: Report

    @property
    def is_clean(self) -> bool:
        """Nothing is wrong, and there was load."""
        return self.found.is_clean and self.total.requests > 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "total": self.total.as_dict(),
            "phases": [phase.as_dict() for phase in self.phases],
            "found": [str(finding) for finding in self.found.findings],
        }

    def table(self) -> str:
        return history.table([*self.phases, self.total])


class Load:
    """Load on the API at `url`, open loop: `rate` people a second begin to do something, however slow the answers are.

    world: what is known of this Conduit; None for a new one. Who enters the block lets `people` register, publish and follow each
    other if nobody is known, else looks whether all is there that should be; then the load begins.
    window_s: how long before and after a phase is what the phase is compared with.
    promise: how new reads have to be. Real time is what Conduit gives as long as its reads come from primaries.
    """

    def __init__(
        self,
        url: str,
        *,
        rate: float,
        world: World | None = None,
        people: int = 40,
        seed: int = 1,
        window_s: float = 10.0,
        promise: Promise = Promise.REAL_TIME,
    ) -> None:
        parts = urlsplit(url)
        self.world = world or World(f"{int(time.time()):x}-")
        self._rate = rate
        self._people = people
        self._window_s = window_s
        self._promise = promise
        self._client = Client(parts.hostname or "127.0.0.1", parts.port or 80)
        self._chance = random.Random(seed)  # noqa: S311  (guards nothing)
        self.final: dict[str, Seen] | None = None
        """As it was looked at last; None if it was not."""
        self._first = len(self.world.history)
        self._found: list[Finding] = []
        self._marks: list[Mark] = []
        self._began_s = 0.0
        self._until_s = float("inf")
        self._quiet_s = 0.0
        """Since when no phase is under way."""
        self._arrivals: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Load of {self._rate:g} people a second, {len(self._marks)} phases, {self.world.history!r}>"

    async def __aenter__(self) -> Self:
        try:
            if self.world.people:
                await self._look_after()
            else:
                await self._settle()
        except BaseException:
            self._client.close()
            raise
        self._began_s = self._quiet_s = self._now_s()
        self._arrivals = asyncio.create_task(self._arrive())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        arrivals = self._arrivals
        assert arrivals is not None
        arrivals.cancel()
        await asyncio.wait([arrivals])
        self._client.close()
        failed = None if arrivals.cancelled() else arrivals.exception()
        if failed is not None and kind is None:
            raise failed

    @contextlib.asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[None]:
        """What goes on in the block is the phase. Waits before until there was load without a phase for `window_s` seconds."""
        await self._wait_quiet()
        began_s = self._now_s()
        try:
            yield
        finally:
            self._quiet_s = self._now_s()
            self._marks.append(Mark(name, began_s, self._quiet_s))

    async def finish(self) -> LoadReport:
        """Let the load end, wait for the last answers, look at everything, and judge all that was recorded.

        If there were phases, waits before until the last one has its `window_s` seconds of load after it.
        """
        assert self._arrivals is not None, "the load has not begun: use `async with`"
        if self._marks:
            await self._wait_quiet()
        self._until_s = self._now_s()
        await self._arrivals
        await self._look_after()
        self.world.reported.update(self._found)
        return self._report(Mark("load", self._began_s, self._until_s))

    def statistics(self) -> dict[str, Any]:
        """Until now: requests, failed, p99_ms (None before the first answer). What is lost or stale is known at the end only."""
        recorded = self.world.history.operations[self._first :]
        latencies_s = [each.latency_s for each in recorded if each.latency_s is not None and each.due_s >= self._began_s]
        failed = sum(each.returned_s is not None and each.outcome is not Outcome.OK for each in recorded)
        return {"requests": len(recorded), "failed": failed, "p99_ms": percentile_ms(latencies_s, 99)}

    def _now_s(self) -> float:
        return self.world.history.clock()

    async def _wait_quiet(self) -> None:
        """Raises what ended the load, if anything did."""
        assert self._arrivals is not None, "the load has not begun: use `async with`"
        await asyncio.wait([self._arrivals], timeout=max(0.0, self._quiet_s + self._window_s - self._now_s()))
        if self._arrivals.done():
            self._arrivals.result()

    def _session(self, final: FinalState | None = None, *, due_s: float | None = None) -> Session:
        return Session(self.world, self._client, self._chance, due_s=due_s, final=final)

    async def _settle(self) -> None:
        await in_turn(writes.register(self._session()) for _ in range(self._people))
        everyone = list(self.world.people)
        await in_turn(writes.publish(self._session(), who) for who in everyone for _ in range(2))
        pairs = dict.fromkeys((who, self._chance.choice(everyone)) for who in everyone for _ in range(3))
        await in_turn(writes.follow(self._session(), *pair, wanted=True) for pair in pairs if pair[0] is not pair[1])

    async def _arrive(self) -> None:
        """One person does one thing at a time. Who is due while nobody is free waits, and that is in their latency."""
        free: asyncio.Queue[Person] = asyncio.Queue()
        for person in self.world.people:
            free.put_nowait(person)
        known = len(self.world.people)

        async def one(due_s: float) -> None:
            nonlocal known
            who = await free.get()
            try:
                await habits.act(self._session(due_s=due_s), who)
            finally:
                free.put_nowait(who)
                for person in self.world.people[known:]:
                    free.put_nowait(person)
                known = len(self.world.people)

        due_s = self._began_s
        async with asyncio.TaskGroup() as group:
            while (due_s := due_s + self._chance.expovariate(self._rate)) < self._until_s:
                await asyncio.sleep(due_s - self._now_s())
                group.create_task(one(due_s))

    async def _look_after(self) -> None:
        """Raises what `check` does."""
        self.final = await audit(self.world, self._session)
        report = history.check(self.world.history, self.final, promise=self._promise)
        known = self.world.reported | set(self._found)
        self._found += [finding for finding in report.findings if finding not in known]

    def _report(self, load: Mark) -> LoadReport:
        operations: Sequence[Operation] = self.world.history.operations
        found = Report(len(operations) - self._first, tuple(self._found))
        phases = history.summarize(operations, self._found, self._marks, window_s=self._window_s, load=load)
        (total,) = history.summarize(operations, (), [load], load=load)
        total = replace(total, **{kind.value: found.counts[kind] for kind in Kind})
        return LoadReport(total, tuple(phases), found)
