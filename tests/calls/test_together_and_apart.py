"""The property behind the rest: for generated signatures and values, a call together and the same call apart end alike."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ramet
from ramet import Failure, Module
from tests.calls.placing import placed, run
from tests.wire.generated import typed_values

PLACEMENTS = ("together", "together, production", "unix")


def spoil(value: Any) -> None:
    """Change whatever can be changed, as a careless callee does."""
    if isinstance(value, list | set | dict | bytearray):
        for inner in list(value.values() if isinstance(value, dict) else value) if not isinstance(value, bytearray) else ():
            spoil(inner)
        value.clear()
    elif isinstance(value, tuple):
        for inner in value:
            spoil(inner)
    else:
        names = getattr(value, "__struct_fields__", None) or getattr(value, "__dataclass_fields__", ())
        for name in list(names):
            spoil(getattr(value, name, None))


def modules(first: Any, second: Any) -> tuple[Module, Module, Any]:
    callee, caller = Module("callee"), Module("caller", uses=["callee"])

    class Refused(Failure):
        __annotations__ = {"why": second}

    async def echo(one: Any, two: Any, *, refuse: bool = False) -> Any:
        kept_one, kept_two = copy.deepcopy(one), copy.deepcopy(two)
        spoil(one)
        spoil(two)
        if refuse:
            raise Refused(kept_two)
        return kept_one

    echo.__annotations__ = {"one": first, "two": second, "refuse": bool, "return": first}
    return callee, caller, callee.expose(raises=[Refused])(echo)


async def outcome(call: Any, one: Any, two: Any, *, refuse: bool) -> tuple[str, Any]:
    try:
        return "result", await call(one, two, refuse=refuse)
    except Failure as failure:
        return type(failure).__name__, failure.payload
    except ramet.CallError as error:
        return type(error).__name__, error.may_have_run


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(typed_values(), typed_values(), st.booleans())
def test_results_failures_and_arguments_are_the_same_in_every_placement(one: Any, two: Any, refuse: bool) -> None:
    """Equal results, equal failures, equally untouched arguments."""
    (first, one_value), (second, two_value) = one, two

    async def main() -> None:
        outcomes = []
        for placement in PLACEMENTS:
            callee, caller, echo = modules(first, second)
            async with placed([callee, caller], placement, caller="caller", callee="callee"):
                mine_one, mine_two = copy.deepcopy(one_value), copy.deepcopy(two_value)
                outcomes.append(await outcome(echo, mine_one, mine_two, refuse=refuse))
                assert (mine_one, mine_two) == (one_value, two_value), placement
        kind, content = outcomes[0]
        for placement, (other_kind, other) in zip(PLACEMENTS, outcomes, strict=True):
            assert other_kind == kind, (placement, outcomes)
            same = other == content or getattr(other, "why", None) == getattr(content, "why", 0)
            assert same, (placement, outcomes)

    run(main())


def test_the_causal_token_comes_back_with_the_answer() -> None:
    """What the callee wrote is known to its caller afterwards, and to whom the caller calls next."""
    callee, caller = Module("callee"), Module("caller", uses=["callee"])
    seen: list[dict[str, int]] = []

    @callee.expose
    async def write(position: int) -> None:
        causal = ramet.context().causal
        seen.append(dict(causal.positions))
        causal.note("callee/0", position)

    async def main() -> None:
        for placement in PLACEMENTS:
            seen.clear()
            async with placed([callee, caller], placement, caller="caller", callee="callee"):
                await write(5)
                await write(3)
                await write(9)
                assert seen == [{}, {"callee/0": 5}, {"callee/0": 5}], placement
                assert ramet.context().causal.positions == {"callee/0": 9}, placement

    run(main())
