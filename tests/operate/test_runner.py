"""The runner of plans on a world in memory: its journal, its way back, and its death at every write."""

import asyncio

import msgspec
import pytest

from ramet.errors import PlanBusy, StepFailed
from ramet.model.planning import Plan, plan
from ramet.model.steps import Host, Shift, end_of
from ramet.model.system import Deployed, System, initial
from ramet.model.wanted import Strategy, Wanted
from ramet.operate.errors import GateFailed, GateHeld
from ramet.operate.runner import State, taken_by
from tests.model.planned import FACTS, MODULES, SCHEDULED
from tests.operate.journals import Died, FakeWorld, Paper, begun, taken_up

REST = tuple(module for module in MODULES if module != "feed")
SEED = initial("seed", [Deployed("main", "1", MODULES, 2)], SCHEDULED)
GROWN = initial("grown", [Deployed("main", "1", REST, 2), Deployed("feed", "1", ("feed",), 1)], SCHEDULED)


def made_of(running: System, *services: Deployed, **options) -> Plan:
    return plan(running, Wanted(topology="then", services={each.service: each for each in services}, **options), FACTS)


EXTRACT = made_of(SEED, Deployed("main", "1", REST, 2), Deployed("feed", "1", ("feed",), 1))
PLANS = {
    "extract": (SEED, EXTRACT),
    "absorb": (GROWN, made_of(GROWN, Deployed("main", "1", MODULES, 2))),
    "scale": (SEED, made_of(SEED, Deployed("main", "1", MODULES, 3))),
    "roll": (SEED, made_of(SEED, Deployed("main", "2", MODULES, 2), missing={"feed": ("0002",)})),
    "canary": (SEED, made_of(SEED, Deployed("main", "2", MODULES, 2), strategy=Strategy.CANARY)),
}
BAD = StepFailed("it broke")


def same(one: System, other: System) -> bool:
    def bare(system: System) -> System:
        shares = {module: {place: share for place, share in each.items() if share} for module, each in system.shares.items()}
        return msgspec.structs.replace(system, shares=shares)

    return bare(one) == bare(other)


def test_each_step_is_written_down_before_it_is_begun_and_after_it_is_done() -> None:
    """The order on which taking up relies."""
    world, paper = FakeWorld(SEED), Paper()
    assert asyncio.run(begun(EXTRACT, world, paper).run()) is State.DONE
    numbers = range(1, len(EXTRACT.steps) + 1)
    assert paper.events == [f"{event} {number}" for number in numbers for event in ("begun", "done")]
    assert paper.details[:2] == [EXTRACT.steps[0].describe(), ""]
    assert "pass" in paper.details, "what a gate found is in the journal"
    assert same(world.system, end_of(SEED, EXTRACT.steps))


def test_a_failed_step_is_taken_back_and_all_before_it_in_reverse() -> None:
    """It may be half done, so it is taken back too."""
    world, paper = FakeWorld(SEED, fails={"compare": BAD}), Paper()
    assert asyncio.run(begun(EXTRACT, world, paper).run()) is State.UNDONE
    assert paper.events == ["begun 1", "done 1", "begun 2", "failed 2", "undoing 2", "undone 2", "undoing 1", "undone 1"]
    assert (paper.state, paper.why) == ("undone", f"step 2 ({EXTRACT.steps[1].describe()}): it broke")
    assert world.system == SEED
    assert world.ready == {"main-1", "main-2"}, "what it started is stopped"


@pytest.mark.parametrize("error", [GateFailed("worse"), OSError("disk"), KeyError("a mistake of ours")])
def test_whatever_a_step_raises_undoes_the_plan_with_its_words(error: Exception) -> None:
    """A mistake in our own code too: the system is not left in the middle."""
    world, paper = FakeWorld(SEED, fails={"watch": error}), Paper()
    assert asyncio.run(begun(EXTRACT, world, paper).run()) is State.UNDONE
    assert same(world.system, SEED)
    assert str(error).split(" [")[0] in paper.why


def test_a_gate_that_cannot_tell_pauses_and_resume_asks_it_again() -> None:
    """Nothing is undone: a person decides."""
    world, paper = FakeWorld(SEED, fails={"watch": GateHeld("too few requests")}), Paper()
    runner = begun(EXTRACT, world, paper)
    assert asyncio.run(runner.run()) is State.PAUSED
    assert paper.events[-2:] == ["begun 4", "held 4"]
    assert (paper.state, paper.why) == ("paused", "too few requests")
    del world.fails["watch"]
    assert asyncio.run(runner.run()) is State.DONE
    assert paper.events.count("begun 4") == 2


@pytest.mark.parametrize(("asked", "ends", "system"), [(State.PAUSED, State.PAUSED, None), (State.UNDOING, State.UNDONE, SEED)])
def test_what_a_person_asks_is_done_after_the_step_in_hand(asked: State, ends: State, system: System | None) -> None:
    """The step in hand is whole; the next is not begun."""
    world, paper = FakeWorld(SEED), Paper()
    runner = begun(EXTRACT, world, paper)

    async def compare(*_: object) -> None:
        runner.ask(asked)
        assert runner.is_asked

    world.compare = compare
    assert asyncio.run(runner.run()) is ends
    assert "done 2" in paper.events
    assert "begun 3" not in paper.events
    if system is not None:
        assert world.system == system
    else:
        assert (runner.taken, paper.why) == (2, "you asked for it")
        assert asyncio.run(taken_up(EXTRACT.steps, world, paper).run()) is State.DONE


@pytest.mark.parametrize(("asked", "ends"), [(State.PAUSED, State.PAUSED), (State.UNDOING, State.UNDONE)])
def test_a_gate_that_is_broken_off_has_not_passed(asked: State, ends: State) -> None:
    """A pause in the middle of it must not be a way around it: it is asked again, from its beginning."""
    world, paper = FakeWorld(SEED), Paper()
    runner = begun(EXTRACT, world, paper)

    async def watch(*_: object) -> str:
        runner.ask(asked)
        raise GateHeld("before the gate was over")

    world.watch = watch
    assert asyncio.run(runner.run()) is ends
    assert "held 4" in paper.events
    assert "done 4" not in paper.events
    del world.watch
    assert asyncio.run(runner.run()) is (State.DONE if ends is State.PAUSED else State.UNDONE)
    assert paper.events.count("begun 4") == (2 if ends is State.PAUSED else 1)


def test_a_pause_that_was_asked_for_does_not_outlive_a_failure() -> None:
    """The plan goes back, which is more than a pause; and the next one is not paused by it."""
    world, paper = FakeWorld(SEED), Paper()
    runner = begun(EXTRACT, world, paper)

    async def compare(*_: object) -> None:
        runner.ask(State.PAUSED)
        raise BAD

    world.compare = compare
    assert asyncio.run(runner.run()) is State.UNDONE
    assert not runner.is_asked


def test_a_step_that_cannot_be_taken_back_stops_the_plan_where_it_is() -> None:
    """Stuck, with both reasons; undo goes on from there once it can."""
    world, paper = FakeWorld(SEED, fails={"compare": BAD, "stop": OSError("no such process")}), Paper()
    assert asyncio.run(begun(EXTRACT, world, paper).run()) is State.STUCK
    assert paper.events[-1] == "undoing 1"
    assert paper.why.startswith("step 1 cannot be taken back: OSError: no such process; before: step 2 (")
    world.fails.clear()
    runner = taken_up(EXTRACT.steps, world, paper)
    runner.state = State.UNDOING  # as `ramet apply --undo` does
    assert asyncio.run(runner.run()) is State.UNDONE
    assert world.system == SEED


@pytest.mark.parametrize("is_same_controller", [True, False])
def test_resumed_when_stuck_it_takes_the_half_undone_step_again(is_same_controller: bool) -> None:
    """Else the next steps would build on one that is not there: shares for a place that no longer hosts the module."""
    running, made = PLANS["absorb"]
    assert isinstance(made.steps[0], Host)
    world, paper = FakeWorld(running, fails={"compare": BAD, "drop": StepFailed("a stream is open")}), Paper()
    runner = begun(made, world, paper)
    assert asyncio.run(runner.run()) is State.STUCK
    assert paper.events[-1] == "undoing 1"
    world.fails.clear()
    resumed = runner if is_same_controller else taken_up(made.steps, world, paper)
    assert asyncio.run(resumed.run()) is State.DONE
    assert same(world.system, end_of(running, made.steps))


@pytest.mark.parametrize("verb", ["start", "reach", "compare", "watch"])
def test_a_controller_that_lost_its_lease_does_nothing_more(verb: str) -> None:
    """Not even take back: another one has the say."""
    world, paper = FakeWorld(SEED, fails={verb: PlanBusy("taken by another")}), Paper()
    with pytest.raises(PlanBusy):
        asyncio.run(begun(EXTRACT, world, paper).run())
    assert paper.events[-1].startswith("begun")
    assert world.done[-1] == verb
    assert paper.state == "running"


@pytest.mark.parametrize("late", [False, True], ids=["not on disk", "reply lost"])
def test_a_death_after_a_stuck_plan_was_resumed_skips_no_step(late: bool) -> None:
    """Before the first step is begun again it goes back, after that forward; never from a step that is half undone."""
    running, made = PLANS["absorb"]
    for lives in range(1000):
        world, paper = FakeWorld(running, fails={"compare": BAD, "drop": BAD}), Paper()
        assert asyncio.run(begun(made, world, paper).run()) is State.STUCK
        world.fails.clear()
        paper.lives, paper.late = lives, late
        try:
            asyncio.run(taken_up(made.steps, world, paper).run())
        except Died:
            paper.lives = None
            resumed = taken_up(made.steps, world, paper)
            asyncio.run(resumed.run())
        assert same(world.system, end_of(running, made.steps) if paper.state == "done" else running), lives
        assert paper.state in {"done", "undone"}
        if paper.lives is not None:
            return


def lived_through(name: str, lives: int, *, late: bool, fails: str = "") -> tuple[bool, FakeWorld, Paper]:
    """One death at the write of this number, then a new controller; and whether there was a death at all."""
    running, made = PLANS[name]
    world = FakeWorld(running, fails={fails: BAD} if fails else {})
    paper = Paper(lives=lives, late=late)
    died = False
    try:
        asyncio.run(begun(made, world, paper).run())
    except Died:
        died = True
    paper.lives = None
    if died:
        asyncio.run(taken_up(made.steps, world, paper).run())
    return died, world, paper


@pytest.mark.parametrize("late", [False, True], ids=["not on disk", "reply lost"])
@pytest.mark.parametrize("name", PLANS)
def test_a_death_at_any_write_changes_nothing_of_the_end(name: str, late: bool) -> None:
    """At every one of them, until there is none left to die at."""
    running, made = PLANS[name]
    for lives in range(1000):
        died, world, paper = lived_through(name, lives, late=late)
        assert paper.state == "done", lives
        assert same(world.system, end_of(running, made.steps)), lives
        assert world.ready == {each.instance for each in world.system.instances}, lives
        if not died:
            assert lives > 2 * len(made.steps)
            return


@pytest.mark.parametrize("late", [False, True], ids=["not on disk", "reply lost"])
@pytest.mark.parametrize(("name", "fails"), [("extract", "compare"), ("absorb", "watch"), ("roll", "watch"), ("canary", "watch")])
def test_a_death_on_the_way_back_changes_nothing_of_the_end(name: str, fails: str, late: bool) -> None:
    """Nor is the reason lost: whoever looks later finds why it was undone."""
    running, _ = PLANS[name]
    for lives in range(1000):
        died, world, paper = lived_through(name, lives, late=late, fails=fails)
        assert paper.state == "undone", lives
        assert same(world.system, running), lives
        assert world.ready == {each.instance for each in running.instances}, lives
        assert "it broke" in paper.why, lives
        if not died:
            return


@pytest.mark.parametrize(
    ("entries", "taken", "why"),
    [
        ([], 0, "nothing was begun"),
        ([(0, "begun")], 0, "begun is not done: it is taken again"),
        ([(0, "begun"), (0, "done"), (1, "begun")], 1, "one is done"),
        ([(0, "begun"), (0, "done"), (1, "begun"), (1, "failed")], 2, "a failed step is taken back too"),
        ([(0, "begun"), (0, "done"), (0, "undoing")], 1, "it is not back yet"),
        ([(0, "begun"), (0, "done"), (0, "undoing"), (0, "undone")], 0, "it is back"),
        ([(0, "begun"), (0, "done"), (0, "undoing"), (0, "begun")], 0, "it was stuck, and is taken again"),
    ],
)
def test_what_counts_as_taken(entries: list[tuple[int, str]], taken: int, why: str) -> None:
    """By the journal alone."""
    assert taken_by(entries) == taken, why


def test_no_shift_goes_to_an_instance_that_has_not_started() -> None:
    """`FakeWorld` refuses such a state, in every test of this file; here it is shown to."""
    world = FakeWorld(SEED)
    shift = next(step for step in EXTRACT.steps if isinstance(step, Shift))
    with pytest.raises(AssertionError, match=r"5 % of feed go to feed@1, where no instance hosts it"):
        asyncio.run(world.reach(shift.after(SEED)))
