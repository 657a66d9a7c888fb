"""The sequential test by itself: what it expects of chance, and how many errors it takes."""

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.model.gates.evidence import STEPS, Counts, Evidence, log_factor, weigh
from tests.wire.generated import quick

NEEDED = [
    # errors of the old side so far, then those of the new side that it takes at a weight of 5, 10, 25 and 50 %
    (0, [2, 2, 3, 6]),
    (2, [3, 4, 7, 15]),
    (5, [4, 5, 10, 23]),
    (10, [5, 7, 15, 35]),
]
"""The decision table of the design, for an alpha of 5 % on one metric."""
WEIGHTS = (0.05, 0.10, 0.25, 0.50)


def weighed(*windows: tuple[int, int, int, int], tolerance: float = 1.25, pass_ratio: float = 5, attempts: int = 1) -> Evidence:
    """Of windows of (requests, bad ones) of the new and the old side."""
    evidence = Evidence()
    for n_new, k_new, n_old, k_old in windows:
        new, old = Counts(n_new, k_new), Counts(n_old, k_old)
        evidence = weigh(evidence, new, old, tolerance=tolerance, pass_ratio=pass_ratio, attempts=attempts)
    return evidence


def chances(trials: int, share: float) -> list[float]:
    """Of 0 to `trials` successes."""
    return [math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(trials + 1)]


@pytest.mark.parametrize(("old_errors", "needed"), NEEDED)
def test_the_errors_that_it_takes_are_those_of_the_decision_table(old_errors: int, needed: list[int]) -> None:
    """One less does not do."""
    for weight, errors in zip(WEIGHTS, needed, strict=True):
        requests = round(10_000 * weight)
        assert weighed((requests, errors, 10_000 - requests, old_errors)).log_e_worse >= math.log(1 / 0.05)
        assert weighed((requests, errors - 1, 10_000 - requests, old_errors)).log_e_worse < math.log(1 / 0.05)


@quick
@given(
    n_new=st.integers(1, 10**6),
    n_old=st.integers(1, 10**6),
    p=st.floats(0, 1),
    tolerance=st.floats(1, 20),
    times=st.floats(0, 1),
    step=st.sampled_from(STEPS),
)
def test_the_expected_factor_of_a_window_is_at_most_one_while_nothing_is_wrong(
    n_new: int, n_old: int, p: float, tolerance: float, times: float, step: float
) -> None:
    """The supermartingale, in closed form: any traffic, any error rate p, any ratio followed, and a new side up to the tolerance."""
    p_new = min(times * tolerance * p, 1.0)
    theta = n_new / (n_new + n_old)
    ratio = tolerance * step
    one_new = math.expm1(log_factor(theta, 1, 0, ratio=ratio, null=tolerance))
    one_old = math.expm1(log_factor(theta, 0, 1, ratio=ratio, null=tolerance))
    assert n_new * math.log1p(p_new * one_new) + n_old * math.log1p(p * one_old) <= 1e-6


@quick
@given(
    n_new=st.integers(1, 10**6),
    n_old=st.integers(1, 10**6),
    p=st.floats(0, 1),
    pass_ratio=st.floats(1.001, 1000),
    more=st.floats(1, 100),
)
def test_the_expected_factor_for_an_early_pass_is_at_most_one_while_the_new_side_is_that_bad(
    n_new: int, n_old: int, p: float, pass_ratio: float, more: float
) -> None:
    """The mirrored test: the new side is pass_ratio times as bad, or worse."""
    p_old = p / (pass_ratio * more)
    theta = n_new / (n_new + n_old)
    one_new = math.expm1(log_factor(theta, 1, 0, ratio=1, null=pass_ratio))
    one_old = math.expm1(log_factor(theta, 0, 1, ratio=1, null=pass_ratio))
    assert n_new * math.log1p(p * one_new) + n_old * math.log1p(p_old * one_old) <= 1e-6


@quick
@given(n_new=st.integers(1, 9), n_old=st.integers(1, 9), p=st.floats(0, 0.8), attempts=st.integers(1, 4), data=st.data())
def test_the_expected_e_value_of_every_outcome_of_a_window_is_at_most_one(
    n_new: int, n_old: int, p: float, attempts: int, data: st.DataObject
) -> None:
    """The mean over all forty ratios, by going through every outcome; with what was there before as a start."""
    tolerance = data.draw(st.floats(1, 10))
    p_new = min(p * tolerance * data.draw(st.floats(0, 1)), 1.0)
    before = [(50, data.draw(st.integers(0, 50)), 70, data.draw(st.integers(0, 70)))]
    expected, rules = 0.0, {"tolerance": tolerance, "attempts": attempts}
    start = weighed(*before, **rules).log_e_worse
    for (k_new, chance_new), (k_old, chance_old) in product(enumerate(chances(n_new, p_new)), enumerate(chances(n_old, p))):
        after = weighed(*before, (n_new, k_new, n_old, k_old), **rules)
        expected += chance_new * chance_old * math.exp(after.log_e_worse - start)
    assert expected <= 1 + 1e-9


@quick
@given(
    sizes=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    theta=st.floats(1e-6, 1 - 1e-6),
    step=st.sampled_from(STEPS),
    p=st.floats(0, 1),
)
def test_work_that_fails_several_times_weighs_no_more_than_one_failure(
    sizes: list[float], theta: float, step: float, p: float
) -> None:
    """Groups of 1 to `attempts` bad requests, of any mixture of sizes: divided by `attempts` the expectation stays at most 1."""
    attempts = len(sizes)
    total = sum(sizes) or 1.0
    shares = [size / total for size in sizes] if sum(sizes) else [1.0] + [0.0] * (attempts - 1)

    def group(one: float) -> float:
        return sum(share * math.expm1(one * size / attempts) for size, share in enumerate(shares, 1))

    one_new = group(log_factor(theta, 1, 0, ratio=1.25 * step, null=1.25))
    one_old = group(log_factor(theta, 0, 1, ratio=1.25 * step, null=1.25))
    # The rate of groups on the new side at its worst, 1.25 times that of the old one.
    assert p * (1.25 * theta * one_new + (1 - theta) * one_old) <= 1e-9


def test_a_window_without_a_bad_request_says_nothing() -> None:
    """Silence is no evidence for either side; it is counted as compared."""
    evidence = weighed((100, 0, 900, 0))
    assert (evidence.log_e_worse, evidence.log_e_fine) == (0, 0)
    assert (evidence.new, evidence.old) == (Counts(100, 0), Counts(900, 0))


def test_nine_errors_of_the_old_side_alone_are_enough_for_an_early_pass_at_10_percent() -> None:
    """As in the design; eight are not."""
    assert weighed((1000, 0, 9000, 9)).log_e_fine >= math.log(20)
    assert weighed((1000, 0, 9000, 8)).log_e_fine < math.log(20)


def test_windows_add_up_in_any_order_and_a_new_weight_only_changes_what_a_window_says() -> None:
    """Evidence carries over weights."""
    windows = [(50, 3, 950, 1), (250, 2, 750, 4), (500, 9, 500, 5)]
    assert weighed(*windows).log_e_worse == pytest.approx(weighed(*reversed(windows)).log_e_worse)


def test_numbers_that_outgrow_a_float_stay_finite() -> None:
    """A fleet that is down for an hour: the logarithm is kept, not the number."""
    evidence = weighed((10**15, 10**15, 10**15, 0))
    assert 1e14 < evidence.log_e_worse < 1e16
    assert evidence.log_e_fine < -1e14
