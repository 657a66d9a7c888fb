"""The schedules of the modules that an instance hosts, and what keeps their materialised results up: each runs on one instance
only, its owner. Below, a schedule is either.

Theory of operation. Every routing table names an owner for each module, with the epoch of the ownership. This instance begins
when the newest table that it took names it, and stops when one does not:

    others' ──named──> taking ──the fence has the epoch──> owner ──not named──> ending ──the run in hand is over──> others'
                         └──the fence has a newer one──> over: nothing begins here until another table names it

`take` returns when nothing runs here any more that the table gives to others, so whoever pushes tables knows when the next owner
can be named: first nobody (an empty instance), then, when the old owner has answered, the new one, each with a higher epoch. A
run in hand has until its own deadline.

A table is not proof: an instance that was stopped or cut off goes on with its old one. What holds it back is the fence in the
module's database (`ramet.data.ownership`). A module without a database has none: there an owner that was stopped in the middle
of a run, and is woken after another one was named, finishes that run beside the new owner's.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

from ramet.calls.workers import CLEAN
from ramet.data.errors import OwnershipOver
from ramet.model.control import ResultStatus, ScheduleStatus
from ramet.model.routing import Owner, RoutingTable
from ramet.model.schedule import RETRY_S
from ramet.module import Module
from ramet.observe import names
from ramet.observe.record import Recorder
from ramet.process.refreshing import Refresher
from ramet.process.runs import UNKNOWN, Fence, NoFence, Runs, wait_until

logger = logging.getLogger("ramet.process")


class Ownership:
    """Of one module, at one epoch. is_confirmed: the fence has said so. stop: begin nothing more."""

    def __init__(self, module: str, epoch: int) -> None:
        self.module = module
        self.epoch = epoch
        self.is_confirmed = False
        self.stop = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        state = "ending" if self.stop.is_set() else "owner" if self.is_confirmed else "taking"
        return f"<Ownership of {self.module} at epoch {self.epoch}: {state}>"


class Schedules:
    """modules: hosted here. instance: our name. inside: `Calls.inside`. fences: module -> its own, where it has a database."""

    def __init__(
        self,
        modules: Iterable[Module],
        instance: str,
        *,
        inside: Callable[[str], AbstractContextManager[None]],
        recorder: Recorder,
        fences: Mapping[str, Fence],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instance = instance
        self._inside = inside
        self._recorder = recorder
        self._clock = clock
        self._fences: dict[str, Fence] = {}
        self._runs: dict[str, list[Runs]] = {}
        self._refreshers: dict[str, list[Refresher]] = {}
        self._owners: Mapping[str, Owner] = {}
        self._owned: dict[str, Ownership] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        """Of all ownerships that have not ended, with their modules."""
        self._ending: set[asyncio.Task[None]] = set()
        for module in modules:
            self.host(module, fences.get(module.name))
        recorder.gauge(names.SCHEDULE_OWNER, self._read_owners)
        recorder.gauge(names.STALENESS, self._read_staleness)

    def __repr__(self) -> str:
        return f"<Schedules of {self._instance}: {', '.join(map(repr, self._owned.values())) or 'none owned'}>"

    def host(self, module: Module, fence: Fence | None) -> None:
        """One more module; its schedules run here if the newest table says so. fence: None without a database."""
        if module.schedules or module.results:
            self._fences[module.name] = fence or NoFence()
            self._runs[module.name] = [
                Runs(schedule, module.name, inside=self._inside, recorder=self._recorder, clock=self._clock)
                for schedule in module.schedules.values()
            ]
            self._refreshers[module.name] = [
                Refresher(result, inside=self._inside, recorder=self._recorder, clock=self._clock)
                for result in module.results.values()
            ]
            self._apply(module.name)

    async def drop(self, module: str, within_s: float) -> bool:
        """False, and hosted as before, where a run was still in hand at the end of the time."""
        held = self._owned.get(module)
        if held is not None:
            self._end(held)
        tasks = self._tasks_of(module)
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        if self._tasks_of(module):  # still in hand, or given to us again by a table that came meanwhile
            self._apply(module)
            return False
        for kept in (self._runs, self._refreshers, self._fences):
            kept.pop(module, None)
        return True

    async def take(self, table: RoutingTable) -> None:
        """Own what the table says. Returns when all that it gives to others has ended here; cancelled, it goes on by itself."""
        self._owners = table.owners
        for module in self._fences:
            self._apply(module)
        await self.wait_settled()

    def _apply(self, module: str) -> None:
        owner = self._owners.get(module)
        epoch = owner.epoch if owner is not None and owner.instance == self._instance else None
        held = self._owned.get(module)
        if held is not None and held.epoch != epoch:
            self._end(held)
        if epoch is not None and (held is None or held.epoch != epoch):
            self._begin(Ownership(module, epoch))

    async def wait_settled(self) -> None:
        """Until everything that is to end has ended."""
        if self._ending:
            await asyncio.wait(self._ending)

    async def close(self, *, within_s: float = 0.0) -> None:
        """Begin nothing more; cancel what still runs after `within_s` seconds."""
        for held in list(self._owned.values()):
            self._end(held)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def statistics(self) -> list[ScheduleStatus]:
        """Of the schedules that are owned here."""
        return [each.status(held.epoch) for held in self._owned.values() if held.is_confirmed for each in self._runs[held.module]]

    def results(self) -> list[ResultStatus]:
        """Of the materialised results that are kept up here."""
        return [each.status(epoch) for each, epoch in self._kept()]

    def _kept(self) -> Iterator[tuple[Refresher, int]]:
        for held in self._owned.values():
            if held.is_confirmed:
                for each in self._refreshers[held.module]:
                    yield each, held.epoch

    def _read_owners(self) -> Iterator[tuple[dict[str, str], float]]:
        for module in self._fences:
            held = self._owned.get(module)
            yield {"module": module}, float(held is not None and held.is_confirmed)

    def _read_staleness(self) -> Iterator[tuple[dict[str, str], float]]:
        for each, _ in self._kept():
            yield {"module": each.declared.module, "result": each.declared.name}, each.stale_s

    def _tasks_of(self, module: str) -> list["asyncio.Task[None]"]:
        return [task for task, name in self._tasks.items() if name == module]

    def _begin(self, ownership: Ownership) -> None:
        module = ownership.module
        # Outside of all work: what pushes the table is a call, with a deadline of its own.
        task = CLEAN.run(asyncio.create_task, self._own(ownership, self._tasks_of(module)), name=f"schedules of {module}")
        ownership.task = task
        self._owned[module] = ownership
        self._tasks[task] = module
        task.add_done_callback(self._ended)

    def _end(self, held: Ownership) -> None:
        held.stop.set()
        del self._owned[held.module]
        if held.task is not None and not held.task.done():
            self._ending.add(held.task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._tasks[task]
        self._ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("schedules.failed", extra={"task": task.get_name()}, exc_info=error)

    async def _own(self, ownership: Ownership, before: Sequence["asyncio.Task[None]"]) -> None:
        """before: earlier ownerships of the module that are still ending."""
        if before:
            await asyncio.wait(before)
        fence = self._fences[ownership.module]
        try:
            ages = await self._taken(fence, ownership)
            ownership.is_confirmed = ages is not None
            if ages is not None:
                logger.info("schedules.owned", extra={"owned": ownership.module, "epoch": ownership.epoch})
                async with asyncio.TaskGroup() as group:
                    for each in self._runs[ownership.module]:
                        age_s = ages.get(each.schedule.name)
                        group.create_task(self._beat(each.beat(fence, ownership.epoch, age_s, ownership.stop), ownership))
                    for each in self._refreshers[ownership.module]:
                        group.create_task(self._beat(each.beat(fence, ownership.epoch, ownership.stop), ownership))
        except OwnershipOver as error:
            logger.warning("schedules.over", extra={"owned": ownership.module, "reason": error.message})
        finally:
            ownership.is_confirmed = False

    async def _taken(self, fence: Fence, ownership: Ownership) -> Mapping[str, float] | None:
        """The ages of its schedules, or None where it is to stop before the database has answered."""
        while not ownership.stop.is_set():
            try:
                return await fence.take(ownership.epoch)
            except UNKNOWN as error:
                logger.warning("schedules.cannot_take", extra={"owned": ownership.module, "reason": str(error)})
                await wait_until(self._clock() + RETRY_S, ownership.stop, self._clock)
        return None

    @staticmethod
    async def _beat(beating: Awaitable[None], ownership: Ownership) -> None:
        try:
            await beating
        except OwnershipOver as error:
            if not ownership.stop.is_set():
                ownership.stop.set()  # the module's other schedules begin nothing more either
                logger.warning("schedules.over", extra={"owned": ownership.module, "reason": error.message})
            ownership.is_confirmed = False
