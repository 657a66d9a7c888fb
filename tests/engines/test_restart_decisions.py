import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.engines.restarts import GiveUp, Restart, RestartPolicy, decide_restart

POLICY = RestartPolicy(first_delay_s=0.1, factor=2, max_delay_s=30, jitter=0.2, healthy_after_s=60)


@pytest.mark.parametrize(
    ("failures", "ran_s", "delay_s", "counted"),
    [
        pytest.param(0, 0.0, 0.1, 1, id="the first failure waits the first delay"),
        pytest.param(1, 1.0, 0.2, 2, id="the second twice as long"),
        pytest.param(9, 59.0, 30.0, 10, id="the tenth no longer than the longest"),
        pytest.param(9, 60.0, 0.1, 1, id="a healthy run makes earlier failures forgotten"),
        pytest.param(5000, 0.0, 30.0, 5001, id="thousands of failures do not overflow"),
    ],
)
def test_the_delay_doubles_and_is_forgotten_after_a_healthy_run(
    failures: int, ran_s: float, delay_s: float, counted: int
) -> None:
    """A process that fails at once must not be started a thousand times a second; one that fails once a day is back at once."""
    decision = decide_restart(POLICY, failures=failures, ran_s=ran_s, chance=0.5)
    assert isinstance(decision, Restart)
    assert (decision.delay_s, decision.failures) == (pytest.approx(delay_s), counted)


def test_it_gives_up_after_the_failures_that_it_was_given() -> None:
    """Where a person or a plan waits for the outcome, trying for ever is no answer."""
    policy = RestartPolicy(give_up_after=3)
    assert isinstance(decide_restart(policy, failures=2, ran_s=0, chance=0.5), Restart)
    assert decide_restart(policy, failures=3, ran_s=0, chance=0.5) == GiveUp(4)


@given(failures=st.integers(0, 10_000), ran_s=st.floats(0, 1e6), chance=st.floats(0, 1))
def test_the_delay_stays_within_its_bounds(failures: int, ran_s: float, chance: float) -> None:
    """Whatever the history and the chance: never below the first delay, never above the longest, but for the jitter."""
    decision = decide_restart(POLICY, failures=failures, ran_s=ran_s, chance=chance)
    assert isinstance(decision, Restart)
    assert 0.1 * 0.8 <= decision.delay_s <= 30 * 1.2 + 1e-9
