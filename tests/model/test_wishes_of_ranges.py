"""What a person asks for, and what the file says of it: ranges, groups, shards and replicas."""

import msgspec
import pytest

from ramet.errors import PlanImpossible
from ramet.model.planning import plan
from ramet.model.release import Part
from ramet.model.system import Deployed, initial
from ramet.model.topology import parse
from ramet.model.wishes import Wish, limits_of, wanted_of
from tests.model.planned import FACTS, MODULES, SCHEDULED, release

TOML = f"""
[app]
name = "shop"
modules = {[f"shop.{name}" for name in MODULES]}

[topology.seed.services]
main = {{ modules = ["*"], instances = "2..4" }}

[topology.grown.services]
web = {{ modules = ["*"], instances = "2..4" }}
feed = {{ modules = ["feed"], instances = 2 }}

[topology.wide.services]
main = {{ modules = ["*"], instances = "2..4" }}

[topology.wide.databases]
"""
TOPOLOGIES = parse(TOML).topologies


def running(instances: int, topology: str = "seed"):
    return initial(topology, [Deployed("main", "1", MODULES, instances)], SCHEDULED)


def test_a_number_within_the_range_is_honoured_and_its_title_says_why() -> None:
    """The controller asks in the same way as a person, who gives no reason."""
    wanted = wanted_of(Wish(scale="main", instances=3, why="cpu 0.84"), running(2), TOPOLOGIES, "1")
    assert plan(running(2), wanted, FACTS).title == "scale main 2 -> 3: cpu 0.84"
    wanted = wanted_of(Wish(scale="main", instances=4), running(2), TOPOLOGIES, "1")
    assert plan(running(2), wanted, FACTS).title == "scale main 2 -> 4"


@pytest.mark.parametrize("instances", [0, 1, 5])
def test_a_number_outside_the_range_is_refused_with_the_range(instances: int) -> None:
    """It would be undone within a minute. Also for a service of a topology that was made from another."""
    for topology in ("seed", "seed+feed", "seed-feed"):
        with pytest.raises(PlanImpossible, match=f"main is to have 2 to 4 instances, not {instances}") as caught:
            wanted_of(Wish(scale="main", instances=instances), running(2, topology), TOPOLOGIES, "1")
        assert 'instances = "2..4"' in (caught.value.hint or "")


def test_the_ranges_are_those_of_the_topology_that_runs() -> None:
    """Or of the one that it was made from; what nobody wrote down has none."""
    assert set(limits_of("grown", TOPOLOGIES)) == {"web"}
    assert set(limits_of("grown+orders", TOPOLOGIES)) == {"web"}
    assert limits_of("growns", TOPOLOGIES) == {}
    assert limits_of("gone", TOPOLOGIES) == {}


@pytest.mark.parametrize(("now", "then"), [(1, 2), (3, 3), (9, 4)])
def test_another_topology_keeps_the_number_that_was_found_by_measuring(now: int, then: int) -> None:
    """Where it is within the range there."""
    wanted = wanted_of(Wish(topology="seed"), running(now), TOPOLOGIES, "1")
    assert wanted.services["main"].instances == then


@pytest.mark.parametrize(
    ("databases", "said"),
    [
        ("feed = {shards = 2}", "the database of feed cannot have 2 shards, since its rows have no key; declare it with module."),
        ("search = {shards = 1}", "search has no database that could have shards"),
    ],
)
def test_shards_and_replicas_are_refused_with_the_reason(databases: str, said: str) -> None:
    """None of them would be there after the plan."""
    parts = {"articles": Part(has_database=True, key="id", schedules=("tick",)), "search": Part()}
    facts = msgspec.structs.replace(FACTS, releases={"1": release("1", **parts)})
    wanted = wanted_of(Wish(topology="wide"), running(2), parse(TOML + databases).topologies, "1")
    with pytest.raises(PlanImpossible, match=said.replace("(", r"\(")):
        plan(running(2), wanted, facts)


def test_one_shard_and_no_replica_is_what_there_is() -> None:
    """A file may say it. Where only the name differs the name is taken, since ranges go by it."""
    wanted = wanted_of(Wish(topology="wide"), running(2), parse(TOML + "feed = {shards = 1}").topologies, "1")
    assert [step.describe() for step in plan(running(2), wanted, FACTS).steps] == ["call the system `wide`"]
