"""Gates in simulated rollouts: how often a healthy change is blamed, and how soon a bad one.

Seeds are fixed, so each test gives the same result each time. How many alarms are allowed follows from the number of runs.
"""

import math
import random
import statistics

import pytest

from ramet.model.gates.policy import Policy
from ramet.model.gates.samples import Sample, Side
from tests.model.rollouts import binomial, blamed_after_minutes, failed_at_s, poisson

RUNS = 300


def most(runs: int, share: float = 0.05, doubt: float = 0.01) -> int:
    """The most alarms in so many runs with which their true share is below `share`, but for this doubt (an exact binomial bound)."""
    chance, alarms = 0.0, -1
    while True:
        chance += math.comb(runs, alarms + 1) * share ** (alarms + 1) * (1 - share) ** (runs - alarms - 1)
        if chance > doubt:
            return alarms
        alarms += 1


def test_the_bound_is_the_binomial_one() -> None:
    """With 10 alarms in 400 runs a share of 5 % is refuted at 1 %, with 11 it is not."""
    assert most(400) == 10
    assert most(90) == 0


@pytest.mark.parametrize(
    ("rps", "weight", "error_rate", "slow", "ratio", "tick_s"),
    [
        pytest.param(0.5, 0.10, 0.005, 0.0, 1.0, 60, id="hardly any traffic"),
        pytest.param(2, 0.10, 0.005, 0.0, 1.0, 60, id="little traffic"),
        pytest.param(2, 0.50, 0.005, 0.05, 1.0, 60, id="half of it, and slow requests"),
        pytest.param(20, 0.05, 0.001, 0.01, 1.0, 60, id="rare errors"),
        pytest.param(20, 0.90, 0.02, 0.0, 1.0, 60, id="nearly all of it"),
        pytest.param(5, 0.25, 0.30, 0.2, 1.0, 60, id="both sides broken"),
        pytest.param(20, 0.50, 0.01, 0.0, 1.25, 60, id="worse by just the tolerance"),
        pytest.param(2, 0.50, 0.02, 0.02, 1.0, 15, id="ticks of a quarter of a minute"),
    ],
)
def test_a_healthy_change_is_blamed_in_at_most_5_percent_of_rollouts(
    rps: float, weight: float, error_rate: float, slow: float, ratio: float, tick_s: float
) -> None:
    """A against A for 20 minutes, looked at after every tick. Held to the bound that so many runs can prove."""
    rates = (error_rate * ratio, error_rate)
    found = blamed_after_minutes(
        RUNS, Policy(bake_s=1200), rps=rps, weight=lambda _: weight, errors=lambda _: rates, slow=slow, tick_s=tick_s
    )
    assert len(found) <= most(RUNS)


@pytest.mark.parametrize(
    ("rps", "weight", "error_rate", "ratio", "tick_s", "found_share", "median_minutes"),
    [
        pytest.param(0.5, 0.10, 0.005, 20, 60, 0.785, 9, id="30 requests a minute, x20"),
        pytest.param(0.5, 0.10, 0.005, 100, 60, 1.0, 2, id="30 requests a minute, x100"),
        pytest.param(2, 0.10, 0.005, 20, 60, 0.999, 3, id="120 requests a minute, x20"),
        pytest.param(2, 0.10, 0.005, 20, 5, 0.999, 3, id="the same in ticks of five seconds"),
        pytest.param(2, 0.10, 0.005, 5, 60, 0.344, 11, id="120 requests a minute, x5"),
        pytest.param(20, 0.10, 0.001, 5, 60, 0.665, 10, id="1,200 requests a minute, x5"),
        pytest.param(2, 0.50, 0.005, 5, 60, 0.730, 10, id="120 requests a minute, half on the new side, x5"),
    ],
)
def test_more_errors_are_found_as_often_and_as_soon_as_the_table_of_the_design_says(
    rps: float, weight: float, error_rate: float, ratio: float, tick_s: float, found_share: float, median_minutes: float
) -> None:
    """Share of rollouts found within 20 minutes (to 5 points), and the median minute (to one). alpha is split, as by default."""
    runs, rates = 500 if tick_s == 60 else 100, (error_rate * ratio, error_rate)
    found = blamed_after_minutes(
        runs, Policy(bake_s=1200), rps=rps, weight=lambda _: weight, errors=lambda _: rates, tick_s=tick_s
    )
    assert len(found) / runs >= found_share - 0.05
    assert statistics.median(found) <= median_minutes + 1


@pytest.mark.parametrize(
    ("begin_s", "tick_s", "is_raising"),
    [(240, 60, False), (540, 60, False), (540, 15, False), (840, 60, True), (960, 15, True)],
)
def test_an_incident_that_hits_both_sides_does_not_blame_the_new_one(begin_s: float, tick_s: float, is_raising: bool) -> None:
    """5 requests a second, weights 5, 10, 25, 50 %, and for six minutes across a weight's change 15 % of requests fail anywhere,
    with exceptions of a type that was not seen before, if they raise."""
    weights = (0.05, 0.10, 0.25, 0.50)

    def errors(at_s: float) -> tuple[float, float]:
        rate = 0.15 if begin_s <= at_s < begin_s + 360 else 0.005
        return rate, rate

    found = blamed_after_minutes(
        RUNS,
        Policy(bake_s=300),
        rps=5,
        weight=lambda at_s: weights[min(int(at_s // 300), 3)],
        errors=errors,
        is_raising=is_raising,
        tick_s=tick_s,
    )
    assert len(found) <= most(RUNS)


def retried(chance: random.Random, attempts: int, *, minutes: int = 20) -> list[Sample]:
    """Healthy on both sides at 10 %, but whoever fails tries again at once, on the same side, and fails as often as is allowed."""
    samples = []
    for minute in range(minutes):
        sides = []
        for share in (0.1, 0.9):
            work = poisson(chance, 240 * share)
            failing = binomial(chance, work, 0.01)
            sides.append(Side(work + failing * (attempts - 1), failing * attempts))
        samples.append(Sample(since_s=60 * minute, at_s=60 * (minute + 1), weight=0.1, new=sides[0], old=sides[1]))
    return samples


def test_callers_that_retry_are_not_taken_for_many_when_the_policy_knows_of_them() -> None:
    """Without `attempts` the errors of one caller count as so many, and healthy changes are blamed too often: the test's limit."""
    blamed = {
        told: sum(
            failed_at_s(Policy(bake_s=1200, attempts=told), iter(retried(random.Random(seed), 5))) is not None
            for seed in range(RUNS)
        )
        for told in (1, 5)
    }
    assert blamed[1] > 0.05 * RUNS
    assert blamed[5] <= most(RUNS)
