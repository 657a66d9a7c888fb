"""Plans as values: where they end, that they can be undone, and that nobody is without an owner on the way."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.errors import PlanImpossible
from ramet.model.facts import Facts
from ramet.model.planning import Plan, plan
from ramet.model.release import Part
from ramet.model.steps import AnyStep, Drop, HandOver, Host, Migrate, Shift, Start, Stop, Watch, end_of, states
from ramet.model.system import Deployed, System, initial, problems
from ramet.model.wanted import Strategy, Wanted
from tests.model.planned import FACTS, MODULES, SCHEDULED, release, same_shares, systems, wishes

RELEASED = {"web": Deployed("web", "1", MODULES, 2)}


def seed(count: int = 1) -> System:
    return initial("seed", [Deployed("main", "1", MODULES, count)], SCHEDULED)


def wanted(*services: Deployed, **options) -> Wanted:
    return Wanted(topology="then", services={each.service: each for each in services}, **options)


def kinds(steps: tuple[AnyStep, ...]) -> list[str]:
    return [type(step).__name__ for step in steps]


@given(st.data())
def test_a_plan_ends_in_what_is_wanted(data: st.DataObject) -> None:
    """In the services, the number of instances, what each hosts, and where all of the traffic goes."""
    running = data.draw(systems())
    wish = data.draw(wishes(running))
    end = end_of(running, plan(running, wish, FACTS).steps)
    assert {name: (each.version, set(each.modules), each.instances) for name, each in end.services.items()} == {
        name: (each.version, set(each.modules), each.instances) for name, each in wish.services.items()
    }
    assert same_shares(end.shares, {module: {each.place: 100} for each in wish.services.values() for module in each.modules})
    assert end.topology == wish.topology or not plan(running, wish, FACTS).steps


@given(st.data())
def test_undone_step_by_step_it_gives_back_the_first_system(data: st.DataObject) -> None:
    """From any step on, not only from the last."""
    running = data.draw(systems())
    steps = plan(running, data.draw(wishes(running)), FACTS).steps
    taken = data.draw(st.integers(0, len(steps)))
    state = end_of(running, steps[:taken])
    for step in reversed(steps[:taken]):
        state = step.before(state)
    assert same_shares(state.shares, running.shares)
    assert msgspec.structs.replace(state, shares={}) == msgspec.structs.replace(running, shares={})


@given(st.data())
def test_no_state_on_the_way_leaves_a_module_without_a_ready_owner(data: st.DataObject) -> None:
    """There and back: all shares go to places that host the module, and what has one owner has one, that hosts it."""
    running = data.draw(systems())
    steps = plan(running, data.draw(wishes(running)), FACTS).steps
    for state in states(running, steps):
        assert problems(state, MODULES) == []
    state = end_of(running, steps)
    for step in reversed(steps):
        state = step.before(state)
        assert problems(state, MODULES) == []


@given(st.data())
def test_a_step_taken_twice_is_as_good_as_once(data: st.DataObject) -> None:
    """A controller that died in the middle of a step takes it again."""
    running = data.draw(systems())
    steps = plan(running, data.draw(wishes(running)), FACTS).steps
    for before, step in zip(states(running, steps), steps, strict=False):
        assert step.after(step.after(before)) == step.after(before)


@given(st.data())
def test_a_plan_survives_the_journal(data: st.DataObject) -> None:
    """As JSON, by the type of each step."""
    running = data.draw(systems())
    made = plan(running, data.draw(wishes(running)), FACTS)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


def test_what_is_wanted_already_needs_no_step() -> None:
    """So `apply` twice does something once. Another name is something, since ranges go by it."""
    same = wanted(Deployed("main", "1", MODULES, 1))
    assert plan(seed(), msgspec.structs.replace(same, topology=seed().topology), FACTS).steps == ()
    assert [step.describe() for step in plan(seed(), same, FACTS).steps] == ["call the system `then`"]


def test_the_steps_of_an_extraction_in_their_order() -> None:
    """As DESIGN section 5 has them."""
    rest = tuple(module for module in MODULES if module != "feed")
    made = plan(seed(), wanted(Deployed("main", "1", rest, 1), Deployed("feed", "1", ("feed",), 2)), FACTS)
    assert kinds(made.steps) == ["Start", "Compare", *["Shift", "Watch"] * 4, "HandOver", "Drop", "Settle"]
    shares = [step.new["feed"] for step in made.steps if isinstance(step, Shift)]
    assert [each["feed@1"] for each in shares] == [5, 25, 50, 100]
    handed = next(step for step in made.steps if isinstance(step, HandOver))
    assert (handed.old, handed.new) == ({"feed": "main-1"}, {"feed": "feed-1"})
    assert next(step for step in made.steps if isinstance(step, Drop)).instances == ("main-1",)


def test_absorbing_hosts_before_it_shifts_and_stops_at_the_end() -> None:
    """The way back of an extraction."""
    rest = tuple(module for module in MODULES if module != "feed")
    running = initial("grown", [Deployed("main", "1", rest, 2), Deployed("feed", "1", ("feed",), 2)], SCHEDULED)
    made = plan(running, wanted(Deployed("main", "1", MODULES, 2)), FACTS)
    assert kinds(made.steps) == ["Host", "Compare", *["Shift", "Watch"] * 4, "HandOver", "Stop", "Settle"]
    assert next(step for step in made.steps if isinstance(step, Host)).instances == ("main-1", "main-2")


def test_scaling_starts_or_stops_and_moves_no_traffic_of_another_service() -> None:
    """The last ones end, and the owner of schedules is not among what is left without one."""
    assert kinds(plan(seed(1), wanted(Deployed("main", "1", MODULES, 3)), FACTS).steps) == ["Start", "Settle"]
    made = plan(seed(3), wanted(Deployed("main", "1", MODULES, 1)), FACTS)
    assert kinds(made.steps) == ["Stop", "Settle"]
    assert [step.instances for step in made.steps if isinstance(step, Stop)] == [("main-2", "main-3")]


def test_new_instances_have_names_that_nobody_has() -> None:
    """Old and new run side by side during a roll."""
    rolled = wanted(Deployed("main", "2", MODULES, 2), strategy=Strategy.CANARY)
    made = plan(seed(2), rolled, FACTS)
    assert [step.instances for step in made.steps if isinstance(step, Start)] == [("main-3", "main-4")]


@pytest.mark.parametrize("strategy", Strategy)
def test_a_roll_with_migrations_begins_with_them_and_says_that_they_stay(strategy: Strategy) -> None:
    """They are the one thing that is not undone."""
    made = plan(seed(2), wanted(Deployed("main", "2", MODULES, 2), strategy=strategy, missing={"feed": ("0002",)}), FACTS)
    assert isinstance(made.steps[0], Migrate)
    assert [step for step in made.steps if step.is_irreversible] == [made.steps[0]]


def test_a_canary_holds_at_every_gate_where_both_versions_have_traffic() -> None:
    """And blue/green keeps the old version for its 30 s."""
    canary = plan(seed(), wanted(Deployed("main", "2", MODULES, 1), strategy=Strategy.CANARY), FACTS)
    assert [step.holds for step in canary.steps if isinstance(step, Watch)] == [True, True, True, False]
    blue = plan(seed(), wanted(Deployed("main", "2", MODULES, 1), strategy=Strategy.BLUE_GREEN), FACTS)
    assert [(step.seconds, step.old) for step in blue.steps if isinstance(step, Watch)] == [(30.0, ())]


@pytest.mark.parametrize(
    ("wish", "facts", "said"),
    [
        pytest.param(
            [Deployed("main", "1", MODULES, 0)], FACTS, "would have 0 instances, and is the only owner of accounts", id="no owner"
        ),
        pytest.param([Deployed("main", "1", MODULES[1:], 1)], FACTS, "no service hosts accounts", id="no host"),
        pytest.param(
            [Deployed("main", "1", MODULES, 1), Deployed("b", "1", ("feed",), 1)], FACTS, "feed is in main and b", id="two hosts"
        ),
        pytest.param([Deployed("main", "1", (*MODULES, "ghost"), 1)], FACTS, "ghost is no module of shop 1", id="no module"),
        pytest.param(
            [Deployed("main", "1", MODULES[:-1], 1), Deployed("search", "1", ("search",), 1)],
            msgspec.structs.replace(FACTS, inseparable=(("search", "feed"),)),
            "share state or a database role and must stay in one service: search in search, feed in main",
            id="inseparable",
        ),
        pytest.param(
            [Deployed("main", "1", MODULES, 9)],
            msgspec.structs.replace(FACTS, max_connections=97),
            "it needs 180 database connections at its height, the server has 97",
            id="connections",
        ),
        pytest.param(
            [Deployed("main", "1", MODULES, 4)],
            msgspec.structs.replace(FACTS, instance_bytes=2**30, free_bytes=2**31),
            "it needs 3072 MB more at its height, 2048 MB are free",
            id="memory",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(wish: list[Deployed], facts: Facts, said: str) -> None:
    """Before anything moves."""
    with pytest.raises(PlanImpossible, match=said.replace("(", r"\(")):
        plan(seed(), wanted(*wish), facts)


def test_every_reason_is_told_and_not_only_the_first() -> None:
    """One round for the person who mends it."""
    with pytest.raises(PlanImpossible) as refused:
        plan(seed(), wanted(Deployed("main", "1", (*MODULES[1:], "ghost"), 0)), FACTS)
    assert all(part in str(refused.value) for part in ("no service hosts accounts", "ghost", "0 instances"))


def descriptor(*parameters: str) -> dict:
    shape = {"kind": "str"}
    taken = [{"name": name, "type": shape, "required": True} for name in parameters]
    return {"call": "accounts.find", "parameters": taken, "result": shape, "streams": False, "failures": {}}


def test_a_change_that_breaks_a_deployed_caller_is_refused_with_both_signatures_and_the_way() -> None:
    """In both directions: while weights are between 0 and 100, either version calls the other."""
    old = release("1", accounts=Part(calls={"find": descriptor("name")}), feed=Part(uses=("accounts",)))
    new = release("2", accounts=Part(calls={"find": descriptor("name", "tenant")}), feed=Part(uses=("accounts",)))
    with pytest.raises(PlanImpossible) as refused:
        plan(seed(), wanted(Deployed("main", "2", MODULES, 1)), Facts(releases={"1": old, "2": new}, pool_size=4, start_s=1.5))
    text = str(refused.value)
    assert "`feed@1` calls accounts.find: tenant: the callee requires it" in text
    assert "caller: accounts.find(name: str) -> str" in text
    assert "callee: accounts.find(name: str, tenant: str) -> str" in text
    assert "make the change additive" in text


def test_shares_only_grow_towards_the_new_place() -> None:
    """An abort must only ever take traffic away from what is new; the ladder only gives."""
    made = plan(seed(2), wanted(Deployed("main", "2", MODULES, 2), strategy=Strategy.CANARY), FACTS)
    ladder = [step.new["feed"].get("main@2", 0) for step in made.steps if isinstance(step, Shift)]
    assert all(one < other for one, other in pairwise([0, *ladder]))
