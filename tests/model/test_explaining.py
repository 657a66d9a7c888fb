"""A plan in words."""

import inspect

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ramet.model import steps
from ramet.model.explaining import _RISKS, told
from ramet.model.planning import plan
from ramet.model.steps import Start, Watch
from ramet.model.system import Deployed, initial
from ramet.model.wanted import Wanted
from tests.model.planned import FACTS, MODULES, SCHEDULED, systems, wishes

SEED = initial("seed", [Deployed("main", "1", MODULES, 1)], SCHEDULED)
SCALED = Wanted(topology="seed", services={"main": Deployed("main", "1", MODULES, 3)})


@given(st.data())
def test_every_step_is_told_with_reason_risk_and_way_back(data: st.DataObject) -> None:
    """In the order in which they are taken; the whole takes as long as its parts."""
    running = data.draw(systems())
    made = plan(running, data.draw(wishes(running)), FACTS)
    found = told(made, FACTS, ["an action"])
    assert [line.what for line in found.lines] == [step.describe() for step in made.steps]
    assert all(line.why and line.risk and line.undo and line.takes_s > 0 for line in found.lines)
    assert found.takes_s == sum(line.takes_s for line in found.lines)
    assert (found.title, found.actions) == (made.title, ["an action"])


def test_no_kind_of_step_is_without_its_risk() -> None:
    """A new one is told from its first day."""
    kinds = {
        name
        for name, each in vars(steps).items()
        if inspect.isclass(each) and issubclass(each, steps.Step) and each is not steps.Step
    }
    assert kinds == set(_RISKS)


def test_the_times_are_those_that_were_measured() -> None:
    """A start as the last ones took, a gate as long as it watches."""
    facts = msgspec.structs.replace(FACTS, start_s=7.0)
    made = plan(SEED, SCALED, facts)
    found = told(made, facts, [])
    assert [line.takes_s for line, step in zip(found.lines, made.steps, strict=True) if isinstance(step, Start)] == [7.0]
    rolled = plan(SEED, Wanted(topology="seed", services={"main": Deployed("main", "2", MODULES, 1)}), FACTS)
    gates = {
        line.takes_s: step.seconds
        for line, step in zip(told(rolled, FACTS, []).lines, rolled.steps, strict=True)
        if isinstance(step, Watch)
    }
    assert gates == {2.0: 2.0}


def test_what_it_needs_is_told_against_what_there_is() -> None:
    """Each part only where it is known."""
    assert told(plan(SEED, SCALED, FACTS), FACTS, []).needs == (
        "3 instances and 60 database connections at its height, 2 ports for new instances, any that are free"
    )
    facts = msgspec.structs.replace(FACTS, max_connections=97, instance_bytes=2**20 * 50, free_bytes=2**30)
    assert told(plan(SEED, SCALED, facts), facts, []).needs == (
        "3 instances and 60 of 97 database connections at its height, 2 ports for new instances, any that are free,"
        " 100 MB of memory more than now (1024 MB are free)"
    )
