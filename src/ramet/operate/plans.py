"""The plans of one controller: made from a wish, begun, paused, resumed, undone; one at a time, each with its journal."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from ramet.data.control import ControlSchema, Entry, PlanRow
from ramet.errors import JournalUnreadable, PlanBusy, PlanImpossible
from ramet.model.planning import Plan
from ramet.model.steps import AnyStep
from ramet.model.system import System
from ramet.operate.gates import Gates
from ramet.operate.live import LiveWorld
from ramet.operate.runner import ENDED, WHOLE_PLAN, Runner, State, left_by
from ramet.operate.world import RecordingWorld
from ramet.wire import values

logger = logging.getLogger("ramet.operate")


class PlanJournal:
    """Of one plan: entries are numbered here, so that one written again is the same."""

    def __init__(self, schema: ControlSchema, plan: int, next_entry: int) -> None:
        self._schema = schema
        self._plan = plan
        self._next = next_entry

    async def write(self, step: int, event: str, detail: str) -> None:
        number, self._next = self._next, self._next + 1  # one whose reply was lost may be there, and is not written over
        await self._schema.write(self._plan, number, step, event, detail)

    async def mark(self, state: str, why: str) -> None:
        await self.write(WHOLE_PLAN, state, why)
        await self._schema.mark(self._plan, state, why)


class Plans:
    """lost: called when another controller has taken the lease; this one must not act any more."""

    def __init__(
        self, schema: ControlSchema, world: LiveWorld, gates: Gates, *, report: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
        self._schema = schema
        self._world = world
        self._gates = gates
        self._report = report
        self._lost = lost
        self._beginning = asyncio.Lock()
        self.current: int | None = None
        """The plan that runs, is paused or stuck."""
        self._runner: Runner | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Plans: {f'plan {self.current}, {self._runner!r}' if self._runner else 'none under way'}>"

    @property
    def is_asked(self) -> bool:
        return self._runner is not None and self._runner.is_asked

    @property
    def is_moving(self) -> bool:
        """Whether steps are being taken now."""
        return self._task is not None and not self._task.done()

    def check_free(self) -> None:
        """Raises PlanBusy while a plan is under way."""
        if self.current is not None and self._runner is not None and self._runner.state not in ENDED:
            raise PlanBusy(
                f"plan {self.current} is {self._runner.state}, at step {self._runner.taken + 1} of {len(self._runner.steps)}"
                f"{f': {self._runner.why}' if self._runner.why else ''}",
                hint="ramet apply --resume, or ramet apply --undo",
            )

    async def begin(self, make: Callable[[], Awaitable[Plan]]) -> int:
        """Make a plan of the system as it is now and begin to take it. Returns its number. Raises PlanBusy, PlanImpossible."""
        async with self._beginning:
            self.check_free()
            made = await make()
            if not made.steps:
                raise PlanImpossible("the system is what is wanted already", hint="ramet status")
            plan = await self._schema.add_plan(secrets.token_hex(8), made.title, values.encode_json(made))
            self._go(plan, made.steps, PlanJournal(self._schema, plan, 0))
            return plan

    def _go(
        self,
        plan: int,
        steps: tuple[AnyStep, ...],
        journal: PlanJournal,
        *,
        taken: int = 0,
        state: State = State.RUNNING,
        why: str = "",
    ) -> None:
        self.current = plan
        self._gates.begin(plan)
        self._runner = Runner(steps, self._world, journal, taken=taken, state=state, why=why, report=self._report)
        if state not in {State.PAUSED, State.STUCK}:
            self._task = asyncio.create_task(self._run(self._runner), name=f"plan {plan}")

    async def _run(self, runner: Runner) -> None:
        try:
            state = await runner.run()
        except PlanBusy as error:
            logger.critical("lease.lost", extra={"reason": str(error)})
            self._lost()
            return
        except Exception as error:  # nobody awaits this task: the journal cannot be written, or a mistake of ours
            logger.exception("plan.stopped", extra={"plan": self.current})
            runner.died(f"it stopped: {error}")
            self._report(f"plan {self.current}: {runner.state}: {runner.why}; ramet apply --resume, or --undo")
            return
        self._report(f"plan {self.current}: {state}{f': {runner.why}' if runner.why else ''}")

    async def take_up(self) -> None:
        """Go on with what an earlier controller left: forward where it went forward, back where it went back."""
        rows = await self._schema.plans(limit=1)
        if not rows or rows[0].state in ENDED:
            return
        row = rows[0]
        try:
            made = values.decode_json_as(row.body, Plan)
        except values.DECODE_ERRORS as error:
            raise JournalUnreadable(
                f"plan {row.id}, {row.title}, cannot be read: {error}", hint="finish it with the version of Ramet that made it"
            ) from error
        entries = await self._schema.entries(row.id)
        taken, state, why = left_by(State(row.state), row.why, [(each.step, each.event, each.detail) for each in entries])
        journal = PlanJournal(self._schema, row.id, max((each.entry for each in entries), default=-1) + 1)
        self._report(f"taking up plan {row.id}, {row.title}: {row.state}, {taken} of {len(made.steps)} steps taken")
        self._go(row.id, made.steps, journal, taken=taken, state=state, why=why)

    async def forget(self, why: str) -> None:
        """Nothing of a plan that is under way is left to be taken: the whole system was stopped."""
        for row in await self._schema.plans(limit=1):
            if row.state not in ENDED:
                await self._schema.mark(row.id, State.UNDONE, why)

    # What a person may ask of the plan that is under way

    def _under_way(self) -> Runner:
        if self._runner is None or self._runner.state in ENDED:
            raise PlanImpossible("no plan is under way", hint="ramet history")
        return self._runner

    async def pause(self) -> None:
        """After the step in hand."""
        runner = self._under_way()
        if self.is_moving:
            runner.ask(State.PAUSED)

    async def undo(self) -> None:
        """Take back what was taken, after the step in hand. Written down when this returns, unless a step is in hand."""
        runner = self._under_way()
        if self.is_moving:
            if runner.state is State.RUNNING:
                runner.ask(State.UNDOING)
            return
        await runner.undo()
        self._task = asyncio.create_task(self._run(runner), name=f"undo {self.current}")

    async def resume(self) -> None:
        """Written down when this returns."""
        runner = self._under_way()
        if not self.is_moving:
            await runner.resume()
            self._task = asyncio.create_task(self._run(runner), name=f"plan {self.current}")

    async def wait(self) -> None:
        """Until the plan that is under way is over, or waits for a person."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def rest(self) -> None:
        """Pause what runs, and return when the step in hand is over."""
        if self.is_moving and self._runner is not None:
            self._runner.ask(State.PAUSED)
            assert self._task is not None
            await asyncio.wait([self._task])

    # Looking

    async def history(self, limit: int = 50) -> list[PlanRow]:
        return await self._schema.plans(limit)

    async def find(self, plan: int) -> PlanRow | None:
        return await self._schema.plan(plan)

    async def entries(self, plan: int) -> list[Entry]:
        return await self._schema.entries(plan)

    def now(self, row: PlanRow) -> tuple[str, str]:
        """State and reason of a plan: of the one that is under way as it is, which its row may lag behind."""
        if self._runner is not None and row.id == self.current:
            return self._runner.state, self._runner.why
        return row.state, row.why


async def rehearse(system: System, plan: Plan) -> list[str]:
    """What `apply` would do, from the same steps on a recording world."""
    world = RecordingWorld(system)

    class Nowhere:
        async def write(self, step: int, event: str, detail: str) -> None: ...
        async def mark(self, state: str, why: str) -> None: ...

    await Runner(plan.steps, world, Nowhere()).run()
    return world.done
