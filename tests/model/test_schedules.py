"""What can be a schedule, decided at import."""

import functools
import re

import pytest

from ramet import Module
from ramet.errors import DeclarationError
from ramet.model.schedule import Schedule


async def sweep() -> None: ...


def plain() -> None: ...


async def with_parameter(sku: str) -> None: ...


async def yields():
    yield 1


def test_a_schedule_is_what_was_declared() -> None:
    """The function stays what it was, so that a test can call it."""
    module = Module("shop")
    assert module.every("1m30s", deadline="20s")(sweep) is sweep
    made = module.schedules["sweep"]
    assert isinstance(made, Schedule)
    assert (made.name, made.period_s, made.deadline_s, made.function) == ("sweep", 90.0, 20.0, sweep)
    assert re.fullmatch(rf"{re.escape(__file__)}:\d+", made.where)


@pytest.mark.parametrize("period", ["100ms", 0.1, "0.1", "1d", 3600])
def test_a_period_is_a_duration_of_at_least_a_tenth_of_a_second(period: str | float) -> None:
    """And a run has 5 s, as a call has."""
    module = Module("shop")
    module.every(period)(plain)
    assert module.schedules["plain"].deadline_s == 5.0


REFUSED = {
    "a period that is no duration": ({"period": "soon"}, sweep, "shop.sweep: 'soon' is not a duration"),
    "a period that is too short": ({"period": "99ms"}, sweep, "a period of 0.099 s is under 0.1 s"),
    "a period of nothing": ({"period": 0}, sweep, "a period of 0 s is under 0.1 s"),
    "a negative period": ({"period": -1}, sweep, "is not a duration"),
    "a deadline of nothing": ({"period": 1, "deadline": 0}, sweep, "a deadline must be longer than nothing"),
    "a deadline that is no duration": ({"period": 1, "deadline": "late"}, sweep, "'late' is not a duration"),
    "a parameter": (
        {"period": 1},
        with_parameter,
        r"shop.with_parameter has parameters \(sku\), and nobody who would give them",
    ),
    "a generator": ({"period": 1}, yields, "shop.yields yields, and nobody takes what it yields"),
    "no function": ({"period": 1}, functools.partial(sweep), "which is not a function with a name"),
    "a class": ({"period": 1}, Module, "which is not a function with a name"),
}


@pytest.mark.parametrize("claim", REFUSED)
def test_what_cannot_work_is_refused_where_it_is_written(claim: str) -> None:
    """With its place and what to write in its stead."""
    options, function, message = REFUSED[claim]
    with pytest.raises(DeclarationError, match=message) as caught:
        Module("shop").every(**options)(function)
    assert caught.value.where or caught.value.hint


def test_two_schedules_of_one_name_are_refused() -> None:
    """The second would hide the first."""
    module = Module("shop")
    module.every("1s")(sweep)
    with pytest.raises(DeclarationError, match="module `shop` has two schedules `sweep`") as caught:
        module.every("2s")(sweep)
    assert caught.value.hint == f"the first is at {module.schedules['sweep'].where}"
