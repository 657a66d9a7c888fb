"""What a person asks for, and what that means for the services that run."""

import pytest

from ramet.errors import PlanImpossible
from ramet.model.system import Deployed, System, initial
from ramet.model.topology import Service, Topology
from ramet.model.wanted import Strategy, Wanted
from ramet.model.wishes import Wish, wanted_of

SEED = initial("seed", [Deployed("main", "1", ("feed", "front", "orders"), 2)], ())
APART = initial("seed+orders", [Deployed("main", "1", ("feed", "front"), 2), Deployed("orders", "1", ("orders",), 1)], ())
TOPOLOGIES = {"grown": Topology("grown", {"web": Service("web", ("feed", "front", "orders"), 3)})}


def met(wish: Wish, running: System, version: str = "1") -> Wanted:
    return wanted_of(wish, running, TOPOLOGIES, version)


def services(wanted: Wanted) -> dict[str, tuple[str, tuple[str, ...], int]]:
    return {name: (each.version, tuple(sorted(each.modules)), each.instances) for name, each in wanted.services.items()}


MAIN = ("1", ("feed", "front", "orders"), 2)
LESS = ("1", ("feed", "front"), 2)
ALONE = ("1", ("orders",), 1)


@pytest.mark.parametrize(
    ("wish", "running", "name", "expected"),
    [
        (Wish(topology="grown"), SEED, "grown", {"web": ("1", ("feed", "front", "orders"), 3)}),
        (Wish(extract="orders"), SEED, "seed+orders", {"main": LESS, "orders": ALONE}),
        (Wish(extract="orders", service="shop"), SEED, "seed+shop", {"main": LESS, "shop": ALONE}),
        (Wish(absorb="orders"), APART, "seed", {"main": MAIN}),
        (Wish(absorb="orders", into="main"), APART, "seed", {"main": MAIN}),
        (Wish(absorb="main"), APART, "seed+orders-main", {"orders": ("1", ("feed", "front", "orders"), 1)}),
        (Wish(scale="orders", instances=3), APART, "seed+orders", {"main": LESS, "orders": ("1", ("orders",), 3)}),
    ],
)
def test_a_wish_as_services(
    wish: Wish, running: System, name: str, expected: dict[str, tuple[str, tuple[str, ...], int]]
) -> None:
    """An extraction and its absorption have the name of before again."""
    wanted = met(wish, running)
    assert services(wanted) == expected
    assert wanted.topology == name


def test_a_roll_is_the_same_services_of_another_version() -> None:
    """With its strategy, and the migrations that the databases lack."""
    wish = Wish(roll="/next", strategy=Strategy.CANARY)
    wanted = wanted_of(wish, APART, TOPOLOGIES, "2", missing={"orders": ("0002",)}, gate_s=3)
    assert services(wanted) == {"main": ("2", *LESS[1:]), "orders": ("2", *ALONE[1:])}
    assert (wanted.strategy, wanted.missing, wanted.gate_s) == (Strategy.CANARY, {"orders": ("0002",)}, 3)


@pytest.mark.parametrize(
    ("wish", "running", "said", "hint"),
    [
        (Wish(topology="grwon"), SEED, "there is no topology `grwon`", "did you mean `grown`?"),
        (Wish(topology="xyz"), SEED, "there is no topology `xyz`", "known: grown"),
        (Wish(extract="order"), SEED, "there is no module `order`", "did you mean `orders`?"),
        (Wish(extract="main"), SEED, "there is no module `main`", "known: feed, front, orders"),
        (Wish(extract="orders"), APART, "orders is alone in service `orders`", "ramet scale orders 2 gives"),
        (Wish(extract="feed", service="orders"), APART, "there is a service `orders` already", "ramet extract feed --as NAME"),
        (Wish(absorb="ordres"), APART, "there is no service `ordres`", "did you mean `orders`?"),
        (Wish(absorb="main"), SEED, "`main` is the only service", None),
        (Wish(absorb="main", into="main"), APART, "`main` cannot be absorbed into itself", "one of orders"),
        (Wish(absorb="orders", into="mian"), APART, "there is no service `mian`", "did you mean `main`?"),
        (Wish(scale="mian", instances=2), APART, "there is no service `mian`", "did you mean `main`?"),
    ],
)
def test_what_there_is_not_is_refused_with_what_was_meant(wish: Wish, running: System, said: str, hint: str | None) -> None:
    """Before a plan is made."""
    with pytest.raises(PlanImpossible) as refused:
        met(wish, running)
    assert said in refused.value.message
    assert (refused.value.hint or "").startswith(hint or "")
    assert bool(refused.value.hint) == bool(hint)
