"""From counters that only grow to what came since: restarts, silence, slow limits, known errors."""

import pytest

from ramet.model.control import Counters, Served
from ramet.model.gates.samples import Side
from ramet.model.release import Part, Release
from ramet.module import Module
from ramet.observe import names
from ramet.operate.sampling import COLD_BUCKETS, ENOUGH, Reader, SlowLimits, changed_calls, known_errors, slow_limits

CALLS = names.CALL_BOUNDS_S
NONE = SlowLimits()


def served(requests: int, *, slow: int = 0, **errors: int) -> Served:
    """All in the first bucket but the slow ones, which are in the last."""
    buckets = [requests - slow, *[0] * (len(CALLS) - 1), slow]
    return Served(requests, errors, buckets, [0] * (len(names.HTTP_BOUNDS_S) + 1))


def counters(requests: int, *, started: float = 1.0, slow: int = 0, **errors: int) -> Counters:
    return Counters(started, {"feed": served(requests, slow=slow, **errors), "other": served(999)})


def read(reader: Reader, *readings: Counters | None, limits: SlowLimits = NONE) -> Side:
    """The last of these readings, after the ones before; None for one that did not answer."""
    side = Side()
    for reading in readings:
        side = reader.read({"feed-1": reading} if reading else {}, ["feed-1"], limits)
    return side


def begun(reading: Counters) -> Reader:
    reader = Reader(["feed"])
    reader.begin({"feed-1": reading})
    return reader


def test_a_reading_counts_what_came_since_the_one_before() -> None:
    """Of the gate's modules alone, with what was raised."""
    side = read(begun(counters(100, KeyError=2)), counters(130, KeyError=5))
    assert side == Side(30, 3, 0, {"KeyError": 3})


def test_an_instance_that_started_again_begins_at_zero() -> None:
    """Its counters went back; nothing is negative, and nothing is lost."""
    side = read(begun(counters(100, KeyError=2)), counters(7, started=2.0, KeyError=1))
    assert side == Side(7, 1, 0, {"KeyError": 1})


def test_one_that_did_not_answer_is_counted_when_it_does() -> None:
    """Nothing of the time between is lost."""
    assert read(begun(counters(100)), None) == Side()
    assert read(begun(counters(100)), None, counters(150)).requests == 50


def test_what_an_instance_did_before_it_was_first_read_is_not_this_gates() -> None:
    """It did not answer when the gate began; its whole life would be taken for one second."""
    reader = begun(counters(100))
    late = {"feed-2": counters(1_000_000, KeyError=5)}
    assert reader.read(late, ["feed-2"], NONE) == Side()
    later = {"feed-2": counters(1_000_010, KeyError=6)}
    assert reader.read(later, ["feed-2"], NONE) == Side(10, 1, 0, {"KeyError": 1})


def test_slow_are_those_above_the_limit() -> None:
    """Never more than there were requests, as errors are."""
    limits = SlowLimits(calls_s=CALLS[0])
    assert read(begun(counters(100, slow=1)), counters(130, slow=5), limits=limits).slow == 4
    assert read(begun(counters(100, slow=1)), counters(130, slow=5)).slow == 0, "nothing is slow without a limit"
    assert read(begun(counters(100)), counters(101, KeyError=3)).errors == 1


@pytest.mark.parametrize(
    ("requests", "slow", "limit_s", "why"),
    [
        (ENOUGH - 1, 0, None, "too few to take a p95 from"),
        (ENOUGH, 0, CALLS[COLD_BUCKETS], "all in the first bucket"),
        (ENOUGH, 1, CALLS[COLD_BUCKETS], "one of twenty is above the p95"),
        (ENOUGH, 2, None, "the p95 is above the last bound: it has none"),
    ],
)
def test_the_limit_is_well_over_the_p95_of_the_old_side(requests: int, slow: int, limit_s: float | None, why: str) -> None:
    """As a bound of the histogram, over all that it has served, by all its instances together."""
    assert slow_limits([counters(requests, slow=slow)], ["feed"], None).calls_s == limit_s, why
    half = [counters(requests // 2), counters(requests - requests // 2, slow=slow)]
    assert slow_limits(half, ["feed"], None).calls_s == limit_s


def test_a_promise_to_users_is_the_limit_where_there_is_one() -> None:
    """Whatever the old side did."""
    assert slow_limits([counters(ENOUGH)], ["feed"], 0.25) == SlowLimits(0.25, 0.25)


def test_what_the_old_side_ever_raised_is_known() -> None:
    """Of the gate's modules, over all instances."""
    assert known_errors([counters(9, KeyError=2), counters(9, KeyError=1, OSError=4)], ["feed"]) == {"KeyError": 3, "OSError": 4}
    assert known_errors([counters(9, KeyError=2)], ["nothing"]) == {}


def test_a_contract_that_was_changed_since_the_plan_is_named() -> None:
    """The files of a version were edited while its plan ran: callers were compared with what is there no more."""
    module = Module("orders")

    @module.expose
    async def find(sku: str) -> int:
        return 1

    @module.expose
    async def count() -> int:
        return 1

    release = Release(
        app="shop",
        version="2",
        file="",
        python="",
        modules={"orders": Part(calls={name: call.contract.descriptor for name, call in module.calls.items()})},
    )
    told = {call.contract.qualified: call.contract.hash for call in module.calls.values()}
    assert changed_calls(release, ["orders"], told) == []
    assert changed_calls(release, ["orders"], {**told, "orders.find": "0" * 16}) == ["orders.find"]
