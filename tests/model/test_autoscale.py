"""The number of instances that is wanted: within its limits, in small steps, settled under a steady load, still on missing data."""

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramet.model.autoscale import AVERAGE_S, ENOUGH, GROWTH, Decision, Limits, Measured, Target, Watched, decide

TARGET = Target(window_s=30.0, cooldown_s=5.0)
LIMITS = Limits(1, 10, TARGET)
PLAN_S = 3
"""A plan takes so long, in which nothing is measured."""

quick = settings(deadline=None, max_examples=150)


def measured(at_s: float, instances: int, cpu: float = 0.0, **others: float) -> Measured:
    return Measured(at_s=at_s, instances=instances, cpu=cpu, **others)


def after(samples: list[Measured], limits: Limits = LIMITS, watched: Watched | None = None) -> tuple[Watched, Decision]:
    """What is decided at the last of them."""
    watched, decision = watched or Watched(), Decision(0, "")
    for each in samples:
        watched, decision = decide(watched, each, limits)
    return watched, decision


def steady(instances: int, cpu: float, *, begin: int = 0, seconds: int = ENOUGH, **others: float) -> list[Measured]:
    return [measured(begin + second, instances, cpu, **others) for second in range(seconds)]


GROWING = [
    # instances, what is measured, wanted, why
    pytest.param(2, {"cpu": 0.84}, 3, "cpu 0.84 of a core per instance, target 0.6", id="by cpu"),
    pytest.param(2, {"in_flight": 70.0}, 3, "70.0 in flight per instance, target 50", id="by work in hand"),
    pytest.param(2, {"queue_wait_s": 0.03}, 3, "queue wait 30ms, target 20ms", id="by waiting"),
    pytest.param(2, {"cpu": 0.7, "in_flight": 99.0}, 4, "99.0 in flight", id="the metric that wants the most"),
    pytest.param(2, {"cpu": 6.0}, 4, "cpu 6.00", id="no more than twice as many at once"),
    pytest.param(2, {"cpu": 0.65}, 2, "within 10%", id="within the tolerance"),
    pytest.param(10, {"cpu": 0.9}, 10, "it has its most, 10", id="no more than its most"),
    pytest.param(1, {"cpu": 0.0}, 1, "enough", id="no fewer than its least"),
]


@pytest.mark.parametrize(("instances", "metrics", "wanted", "why"), GROWING)
def test_it_grows_by_the_formula_and_says_why(instances: int, metrics: dict[str, float], wanted: int, why: str) -> None:
    """ceil(instances * metric / target); the reason has the numbers that it came from."""
    _, decision = after([measured(second, instances, **metrics) for second in range(ENOUGH)])
    assert decision.wanted == wanted
    assert why in decision.why


def test_a_single_measurement_decides_nothing() -> None:
    """A mean of too few is said to be one."""
    for count in range(1, ENOUGH):
        _, decision = after(steady(2, 3.0, seconds=count))
        assert decision == Decision(2, f"nothing is decided, since there are {count} of {ENOUGH} measurements")


def test_a_spike_is_averaged_away() -> None:
    """One second at full power among nine at the target moves nothing."""
    _, decision = after([*steady(2, 0.6, seconds=9), measured(9, 2, 1.0)])
    assert decision.wanted == 2


def test_it_shrinks_after_a_whole_window_one_at_a_time() -> None:
    """Not a second sooner, counted from the first mean on; then the cool-down, then the next."""
    count, shrunk = 4, []
    watched = Watched()
    for second in range(60):
        watched, decision = decide(watched, measured(second, count, 0.01), LIMITS)
        if decision.wanted != count:
            count = decision.wanted
            shrunk.append((second, count))
            assert "no more than 1 were wanted for 30 s" in decision.why
    first = ENOUGH - 1 + int(TARGET.window_s)
    assert shrunk[0] == (first, 3)
    assert [number for _, number in shrunk] == [3, 2, 1]
    assert all(later - sooner >= TARGET.cooldown_s for (sooner, _), (later, _) in itertools.pairwise(shrunk))


def test_a_rush_within_the_window_keeps_what_is_there() -> None:
    """The highest number that was wanted counts, so whoever comes back finds it."""
    watched, decision = after([*steady(4, 0.1, seconds=20), *steady(4, 0.6, begin=20, seconds=10)])
    assert decision.wanted == 4
    watched, decision = after(steady(4, 0.1, begin=30, seconds=20), watched=watched)
    assert decision.wanted == 4
    assert "4 were wanted within the last 30 s" in decision.why


def test_a_gap_in_the_measurements_begins_the_window_anew() -> None:
    """What was wanted meanwhile is not known."""
    watched, _ = after(steady(4, 0.1, seconds=30))
    begin = 30 + round(2 * AVERAGE_S)
    watched, decision = after(steady(4, 0.1, begin=begin, seconds=10), watched=watched)
    assert decision.wanted == 4
    assert "fewer only after 30 s" in decision.why


def test_after_a_change_it_rests() -> None:
    """Also after one that a person made; and one that was begun and failed counts too."""
    watched, _ = after(steady(2, 0.6))
    watched, decision = after(steady(3, 2.0, begin=5, seconds=5), watched=watched)
    assert decision.wanted == 3
    assert "it changed 4 s ago, and rests for 5 s" in decision.why
    watched, decision = decide(watched, measured(10, 3, 2.0), LIMITS)
    assert decision.wanted == 6
    _, decision = decide(watched.changed(10), measured(11, 3, 2.0), LIMITS)
    assert decision.wanted == 3


def test_a_range_that_was_changed_is_reached_step_by_step() -> None:
    """Somebody wrote another one into the file."""
    _, decision = after(steady(6, 0.6), Limits(1, 3, TARGET))
    assert decision == Decision(5, "its range is 1 to 3 instances")
    _, decision = after(steady(1, 0.6), Limits(4, 8, TARGET))
    assert decision == Decision(2, "its range is 4 to 8 instances")


def test_what_is_missing_is_said() -> None:
    """And says why, however good the measurements before it."""
    watched, _ = after(steady(2, 0.6))
    _, decision = decide(watched, Measured(at_s=5, instances=2, missing="web-2 does not answer"), LIMITS)
    assert decision == Decision(2, "nothing is decided, since web-2 does not answer")


numbers = st.floats(0, 1e6)
samples = st.builds(
    measured,
    st.just(0.0),
    st.just(0),
    cpu=numbers,
    in_flight=numbers,
    queue_wait_s=numbers,
    missing=st.sampled_from(["", "", "x"]),
)


@quick
@given(st.lists(st.tuples(samples, st.integers(1, 40)), max_size=30), st.integers(1, 5), st.integers(1, 20), st.integers(1, 20))
def test_whatever_is_measured_each_step_is_small_and_within_the_limits(
    stretches: list[tuple[Measured, int]], least: int, more: int, start: int
) -> None:
    """Each sample holds for a while, so that means form. Missing data moves nothing; fewer only after a window."""
    limits = Limits(least, least + more, TARGET)
    watched, count, now = Watched(), start, 0.0
    for sample, seconds in stretches:
        for _ in range(seconds):
            now += 1.0
            one = Measured(
                at_s=now,
                instances=count,
                cpu=sample.cpu,
                in_flight=sample.in_flight,
                queue_wait_s=sample.queue_wait_s,
                missing=sample.missing,
            )
            watched, decision = decide(watched, one, limits)
            assert decision.why
            assert count - 1 <= decision.wanted <= GROWTH * count
            assert not one.missing or decision.wanted == count
            if limits.least <= count <= limits.most:
                assert limits.least <= decision.wanted <= limits.most
                assert decision.wanted >= count or now > limits.target.window_s
            count = decision.wanted


def simulated(load: float, start: int, noise: float, seed: int, seconds: int, lost: float = 0.0) -> Iterator[int]:
    """The number of instances, second by second. load: in cores, shared evenly. noise: how far a measurement may be off. lost:
    share of measurements that fail."""
    chance = random.Random(seed)
    watched, count, busy = Watched(), start, 0
    for second in range(seconds):
        yield count
        if busy:
            busy -= 1
            continue
        if chance.random() < lost:
            now = Measured(at_s=second, instances=count, missing="it was lost")
        else:
            now = measured(second, count, load / count * chance.uniform(1 - noise, 1 + noise))
        watched, decision = decide(watched, now, LIMITS)
        if decision.wanted != count:
            count, busy = decision.wanted, PLAN_S
            watched = watched.changed(second)


@quick
@given(st.floats(0, 8), st.integers(1, 10), st.floats(0, 0.045), st.integers(), st.sampled_from([0.0, 0.1]))
def test_under_a_steady_load_it_settles_where_the_target_is_kept(
    load: float, start: int, noise: float, seed: int, lost: float
) -> None:
    """Up first, then down, then never again, with noise of 4.5 % and one measurement in ten lost. Where it settles each instance
    has its target or less, give or take the tolerance and the noise, and with fewer it would not. From 4.8 % on the mean of an
    unlucky minute may leave the tolerance of 10 %, since (1 + n) / (1 - n) is over it: hypothesis found a seed at 15 %."""
    counts = list(simulated(load, start, noise, seed, 500, lost))
    steps = [later - sooner for sooner, later in itertools.pairwise(counts) if later != sooner]
    assert all(not sooner < 0 < later for sooner, later in itertools.pairwise(steps))
    assert len(set(counts[-100:])) == 1
    settled, cores = counts[-1], load / TARGET.cpu
    assert settled == LIMITS.most or cores / settled <= 1.1 * (1 + noise)
    assert settled <= max(LIMITS.least, cores * (1 + noise) + 1, cores / 0.9 + 1)
