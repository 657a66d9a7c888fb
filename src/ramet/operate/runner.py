"""Taking a plan: one step after another, written down before it is begun and after it is done; back where one fails.

    running ──last step──> done
       │  └──pause asked, or a gate holds──> paused ──resume──> running
       │                                       └──────undo──────┐
       └──a step fails, or undo is asked──> undoing ──────────> undone
                                               └──a step cannot be taken back──> stuck ──resume or undo──> ...

It knows nothing of any step. A controller that dies at any point leaves a journal from which `resume` goes on: the step that was
begun last is taken again, which does no harm.
"""

import enum
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ramet.errors import PlanBusy, RametError
from ramet.model.data_steps import AddServer, AddShard, Clean, Copy, DropShard, RemoveServer, Switch, Verify
from ramet.model.replica_steps import AddReplica, FailOver, RemoveReplica, Synchronous
from ramet.model.steps import (
    AnyStep,
    Compare,
    Drop,
    HandOver,
    Host,
    Migrate,
    Settle,
    Shift,
    Start,
    Stop,
    Watch,
)
from ramet.operate.errors import GateHeld
from ramet.operate.steps import (
    add_replica,
    add_server,
    add_shard,
    clean,
    compare,
    copy,
    drop,
    drop_shard,
    fail_over,
    hand_over,
    host,
    migrate,
    remove_replica,
    remove_server,
    settle,
    shift,
    start,
    stop,
    switch,
    synchronous,
    verify,
    watch,
)
from ramet.operate.world import World

logger = logging.getLogger("ramet.operate")

_TAKEN: dict[type, Any] = {
    Start: start,
    Stop: stop,
    Host: host,
    Drop: drop,
    Shift: shift,
    HandOver: hand_over,
    Compare: compare,
    Watch: watch,
    Migrate: migrate,
    Settle: settle,
    AddServer: add_server,
    RemoveServer: remove_server,
    AddShard: add_shard,
    DropShard: drop_shard,
    Copy: copy,
    Verify: verify,
    Switch: switch,
    Clean: clean,
    AddReplica: add_replica,
    RemoveReplica: remove_replica,
    FailOver: fail_over,
    Synchronous: synchronous,
}

WHOLE_PLAN = -1
"""Number of the step in entries that concern the plan as a whole."""


class Event(enum.StrEnum):
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"
    UNDOING = "undoing"
    UNDONE = "undone"


class State(enum.StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    UNDOING = "undoing"
    DONE = "done"
    UNDONE = "undone"
    STUCK = "stuck"


BACKWARD = frozenset({Event.FAILED, Event.UNDOING, Event.UNDONE})
"""After one of these the plan goes back."""
ENDED = frozenset({State.DONE, State.UNDONE})


class Journal(Protocol):
    """Of one plan. Both return when it is on disk."""

    async def write(self, step: int, event: str, detail: str) -> None: ...
    async def mark(self, state: str, why: str) -> None: ...


class Runner:
    """One plan. taken: how many of its steps are done, by the journal. state, why: as it was left; RUNNING for a new one."""

    def __init__(
        self,
        steps: Sequence[AnyStep],
        world: World,
        journal: Journal,
        *,
        taken: int = 0,
        state: State = State.RUNNING,
        why: str = "",
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.steps = steps
        self.taken = taken
        self.state = state
        self.why = why
        self._world = world
        self._journal = journal
        self._report = report
        self._wants: State | None = None

    def __repr__(self) -> str:
        return f"<Runner: {self.state}, {self.taken} of {len(self.steps)} steps taken{f', {self.why}' if self.why else ''}>"

    def ask(self, state: State) -> None:
        """PAUSED or UNDOING: after the step in hand. A gate in hand ends at its next look."""
        self._wants = state

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for the step in hand to end."""
        return self._wants is not None

    async def resume(self) -> None:
        """A plan that waits shall go on: written down, so that it does whatever becomes of this controller. Then `run` it."""
        if self.state is State.STUCK:
            self.taken -= 1  # the step that could not be taken back is neither there nor gone: it is taken again
        await self._mark(State.RUNNING, "")

    async def undo(self) -> None:
        """A plan that waits shall go back: written down, as `resume`. Then `run` it."""
        await self._mark(State.UNDOING, "you asked for it")

    async def run(self) -> State:
        """Go on until the plan is over or waits for a person. Raises what the journal raises: then nothing more is done."""
        self._wants = None
        if self.state in {State.PAUSED, State.STUCK}:
            await self.resume()
        if self.state is State.RUNNING:
            await self._forward()
        if self.state is State.UNDOING:
            await self._backward()
        return self.state

    def died(self, why: str) -> None:
        """`run` has raised: it waits for a person, where it is. A step that failed or is half undone is not passed over."""
        self.state, self.why = (State.STUCK if self.state is State.UNDOING else State.PAUSED), why

    async def _forward(self) -> None:
        while self.taken < len(self.steps):
            if self._wants is not None:
                wanted, self._wants = self._wants, None
                await self._mark(wanted, "you asked for it")
                return
            number, step = self.taken, self.steps[self.taken]
            await self._journal.write(number, Event.BEGUN, step.describe())
            self._report(step.describe())
            try:
                said: str | None = await _TAKEN[type(step)].apply(step, self._world)
            except GateHeld as held:  # it has not said yes, so it is asked again when the plan goes on
                wanted, self._wants = self._wants, None
                await self._journal.write(number, Event.HELD, held.message)
                await self._mark(wanted or State.PAUSED, held.message)
                return
            except PlanBusy:
                raise  # another controller has taken over; it has the say
            except Exception as error:  # noqa: BLE001  (whatever went wrong, what was done is undone and the reason told)
                await self._failed(number, error)
                return
            await self._journal.write(number, Event.DONE, said or "")
            self.taken = number + 1
        if self._wants is State.UNDOING:
            await self._mark(State.UNDOING, "you asked for it")
        else:
            await self._mark(State.DONE, "")

    async def _failed(self, number: int, error: Exception) -> None:
        why = f"step {number + 1} ({self.steps[number].describe()}): {_words(error)}"
        logger.warning("plan.failed", extra={"step": number, "reason": why}, exc_info=not isinstance(error, RametError))
        self.state, self.why = State.UNDOING, why  # from here on, whatever becomes of the journal
        self.taken = number + 1  # it may be half done, so it is taken back too
        self._wants = None  # whoever asked for a pause gets more than that
        await self._journal.write(number, Event.FAILED, _words(error))
        await self._mark(State.UNDOING, why)

    async def _backward(self) -> None:
        while self.taken:
            if self._wants is State.PAUSED:
                self._wants = None
                await self._mark(State.PAUSED, "you asked for it, on the way back")
                return
            number, step = self.taken - 1, self.steps[self.taken - 1]
            await self._journal.write(number, Event.UNDOING, step.describe())
            self._report(f"take back: {step.describe()}")
            try:
                await _TAKEN[type(step)].undo(step, self._world)
            except PlanBusy:
                raise
            except Exception as error:  # it stays where it is, whole, and a person decides
                logger.exception("plan.stuck", extra={"step": number})
                await self._mark(State.STUCK, f"step {number + 1} cannot be taken back: {_words(error)}; before: {self.why}")
                return
            await self._journal.write(number, Event.UNDONE, "")
            self.taken = number
        await self._mark(State.UNDONE, self.why)

    async def _mark(self, state: State, why: str) -> None:
        """An end is one once it is written down; the rest is so at once."""
        if state not in ENDED:
            self.state, self.why = state, why
        await self._journal.mark(state, why)
        self.state, self.why = state, why


def _words(error: Exception) -> str:
    return error.message if isinstance(error, RametError) else f"{type(error).__name__}: {error}"


def taken_by(entries: Sequence[tuple[int, str]]) -> int:
    """How many steps are to be counted as taken, from (step, event) in order. A step that was begun and not done counts as not
    taken when the plan goes forward, and as taken when it goes back (its FAILED or UNDOING entry is there then)."""
    taken = 0
    for step, event in entries:
        if event in {Event.DONE, Event.FAILED, Event.UNDOING}:
            taken = step + 1
        elif event in {Event.BEGUN, Event.UNDONE}:
            taken = step
    return taken


def left_by(state: State, why: str, entries: Sequence[tuple[int, str, str]]) -> tuple[int, State, str]:
    """(taken, state, why) with which to go on, from the state and reason that were marked, and (step, event, detail) in order."""
    steps = [each for each in entries if each[0] != WHOLE_PLAN]
    taken = taken_by([(step, event) for step, event, _ in steps])
    if state is State.RUNNING and steps and steps[-1][1] in BACKWARD:  # it died between the step's failure and the plan's
        _, event, detail = steps[-1]
        return taken, State.UNDOING, f"step {taken}: {detail}" if event == Event.FAILED else why
    if state is State.PAUSED and steps and steps[-1][1] == Event.UNDOING:  # a step is half undone: it is not passed over
        return taken, State.UNDOING, why
    return taken, state, why
