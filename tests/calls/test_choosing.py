"""Deciding without a socket: balance, health, retries, budget, ledger."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet import errors
from ramet.calls import balance, retry
from ramet.calls.health import FAILURES_TO_OPEN, LONGEST_WAIT_S, Circuit, Health, is_outlier
from ramet.calls.ledger import MemoryLedger


@dataclass(eq=False)
class Fake:
    name: str
    in_flight: int = 0
    latency_s: float = 0.001
    limit: int = 100


def test_the_slow_and_the_busy_are_avoided() -> None:
    """Power of two choices: the worst of all is the better of two only when its slowness is long past."""
    takes = {"fast": 0.001, "fine": 0.001, "slow": 0.1}
    endpoints = [Fake(name, latency_s=takes[name]) for name in takes]
    chance = random.Random(1).random
    picked: Counter[str] = Counter()
    for _ in range(1000):
        chosen = balance.pick(endpoints, chance)
        assert chosen is not None
        picked[chosen.name] += 1
        chosen.latency_s += (takes[chosen.name] - chosen.latency_s) * balance.SMOOTHING
    assert 0 < picked["slow"] < 50
    assert picked["fast"] > 300
    assert picked["fine"] > 300


def test_an_endpoint_that_was_slow_once_is_asked_again() -> None:
    """What is known of it fades while it is passed over; else it would be idle for ever."""
    once_slow, other = Fake("once slow", latency_s=1.0), Fake("other")
    chance = random.Random(1).random
    for calls in range(1, 1000):
        if balance.pick([once_slow, other], chance) is once_slow:
            break
    assert 200 < calls < 500


@given(st.lists(st.builds(Fake, st.text(), st.integers(0, 5), st.floats(1e-6, 10), st.integers(0, 5)), max_size=6), st.randoms())
def test_pick_finds_room_if_there_is_any(endpoints: list[Fake], chance: random.Random) -> None:
    """Never one without room, and never nothing while one has room."""
    picked = balance.pick(endpoints, chance.random)
    if picked is None:
        assert all(each.in_flight >= each.limit for each in endpoints)
    else:
        assert picked.in_flight < picked.limit


def test_five_failures_in_a_row_open_the_circuit() -> None:
    """And a success between them does not let it come to that."""
    health = Health()
    for _ in range(FAILURES_TO_OPEN - 1):
        assert not health.failed()
    health.succeeded()
    for _ in range(FAILURES_TO_OPEN - 1):
        assert not health.failed()
    assert health.failed()
    assert health.circuit is Circuit.OPEN


def test_half_open_closes_on_success_and_reopens_for_longer_on_failure() -> None:
    """The wait doubles up to its limit, and is short again after a success."""
    health = Health()
    health.open()
    waits = []
    for _ in range(8):
        health.probe()
        assert health.failed()
        waits.append(health.wait_s)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S
    health.probe()
    assert health.succeeded()
    assert health.circuit is Circuit.CLOSED
    assert health.wait_s == 1.0


def failing(rate: float, calls: int = 100) -> Health:
    health = Health()
    for number in range(calls):
        health.succeeded(error=float(number % 100 < rate * 100))
    health.error_rate = rate
    return health


@pytest.mark.parametrize(
    ("mine", "peers", "ejected", "outlier", "why"),
    [
        (0.9, [0.0, 0.0, 0.0], 0, True, "far worse than all others"),
        (0.9, [0.8, 0.9, 0.9], 0, False, "all are bad: the request is at fault, not the endpoint"),
        (0.3, [0.0, 0.0, 0.0], 0, False, "not bad enough"),
        (0.9, [0.0, 0.0, 0.0], 2, False, "half are out already"),
        (0.9, [], 0, False, "there is no other"),
    ],
)
def test_an_outlier_is_one_that_its_peers_are_not(mine: float, peers: list[float], ejected: int, outlier: bool, why: str) -> None:
    """Errors count against an endpoint only beside peers that do well."""
    health = failing(mine)
    group = [health, *map(failing, peers)]
    assert is_outlier(health, group, ejected=ejected, max_share=0.5) is outlier, why


LOST = errors.ConnectionLost("x", may_have_run=True)
UNSENT = errors.ConnectionLost("x", may_have_run=False)
SHED = errors.Overloaded("x", may_have_run=False)
BUG = errors.RemoteError("x", type_name="KeyError", trace_id="")


@pytest.mark.parametrize(
    ("error", "repeatable", "tried", "left_s", "again", "why"),
    [
        (LOST, True, 1, 1.0, True, "idempotent"),
        (LOST, False, 1, 1.0, False, "it may have run, and may not run twice"),
        (UNSENT, False, 1, 1.0, True, "it provably did not run"),
        (SHED, False, 1, 1.0, True, "the callee refused before it began"),
        (BUG, True, 1, 1.0, False, "the callee would raise again"),
        (errors.BadArgument("x", may_have_run=False), True, 1, 1.0, False, "the argument is still bad"),
        (LOST, True, 3, 1.0, False, "three attempts are enough"),
        (LOST, True, 1, 0.0, False, "no time is left"),
    ],
)
def test_retry_decision(error: errors.CallError, repeatable: bool, tried: int, left_s: float, again: bool, why: str) -> None:
    """At most once, unless its contract says otherwise."""
    verdict = retry.decide(error, repeatable=repeatable, tried=tried, left_s=left_s)
    assert isinstance(verdict, retry.Again) is again, why


@given(st.lists(st.booleans(), max_size=500))
def test_retries_stay_within_their_share(events: list[bool]) -> None:
    """Never more than the first ten and a tenth of the calls."""
    budget = retry.Budget(0.1)
    calls = retries = 0
    for is_call in events:
        if is_call:
            budget.deposit()
            calls += 1
        elif budget.withdraw():
            retries += 1
        assert retries <= retry.Budget.FIRST + calls * 0.1 + 1e-6


def test_an_idempotent_attempt_leaves_time_for_another() -> None:
    """Half of what is left, while there is another endpoint and another attempt."""
    assert retry.attempt_s(left_s=4, tried=0, endpoints=2) == 2
    assert retry.attempt_s(left_s=4, tried=0, endpoints=1) == 4
    assert retry.attempt_s(left_s=4, tried=2, endpoints=2) == 4


def test_a_failed_run_is_the_outcome_of_its_key() -> None:
    """A repetition gets the same failure, and does not run again."""
    ran = 0

    async def work() -> None:
        nonlocal ran
        ran += 1
        raise ValueError("no")

    async def main() -> None:
        ledger = MemoryLedger()
        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                await ledger.once("m.c", "k", work)

    asyncio.run(main())
    assert ran == 1


def test_the_first_caller_may_leave_without_ending_the_others() -> None:
    """A run belongs to its key, not to who asked first."""

    async def main() -> None:
        ledger = MemoryLedger()
        go = asyncio.Event()

        async def work() -> str:
            await go.wait()
            return "done"

        first = asyncio.create_task(ledger.once("m.c", "k", work))
        second = asyncio.create_task(ledger.once("m.c", "k", work))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        go.set()
        assert await second == "done"

    asyncio.run(main())
