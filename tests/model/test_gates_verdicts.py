"""What a gate says of samples: each kind of verdict, what it takes, and what may not be said."""

import doctest
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.errors import RecordingError
from ramet.model.gates import gate
from ramet.model.gates.endings import times_needed
from ramet.model.gates.policy import Policy
from ramet.model.gates.samples import Sample, Side, Signal
from ramet.model.gates.verdicts import Verdict
from tests.wire.generated import quick


def minutes(*sides: tuple[Side, Side], weight: float = 0.1, begin_s: float = 0.0) -> list[Sample]:
    """One sample a minute."""
    return [
        Sample(since_s=begin_s + 60 * i, at_s=begin_s + 60 * (i + 1), weight=weight, new=new, old=old)
        for i, (new, old) in enumerate(sides)
    ]


def said(samples: list[Sample], **policy) -> Verdict:
    return gate.judge(Policy(**policy), samples)


def alike(count: int, **sample) -> list[Sample]:
    """Healthy traffic of 20 and 180 requests a minute."""
    return minutes(*[(Side(20), Side(180))] * count, **sample)


def test_the_example_of_the_module_runs() -> None:
    """It is the first that a caller reads."""
    assert doctest.testmod(gate) == (0, 6)


@pytest.mark.parametrize(
    ("samples", "kind", "reason"),
    [
        pytest.param([], "no_data", "nothing was sampled", id="no sample"),
        pytest.param(
            minutes(*[(Side(), Side(200))] * 10), "no_data", "the new side had no requests in 600 s", id="nothing on the new side"
        ),
        pytest.param(
            minutes(*[(Side(20), Side())] * 10, weight=1),
            "no_data",
            "there is no old side to compare with; in 600 s the new one had 200 requests, 0 errors, 0 slow, and no hard signal",
            id="no old side",
        ),
        pytest.param(
            minutes(*[(Side(200), Side()), (Side(), Side(200))] * 5),
            "no_data",
            "the two sides never had requests in the same 60 s",
            id="by turns",
        ),
        pytest.param(
            minutes(*[(Side(9), Side(91))] * 10),
            "inconclusive",
            "90 requests of the new side could be compared in 600 s, a pass needs 100",
            id="few on the new side",
        ),
        pytest.param(
            minutes(*[(Side(91), Side(9))] * 10, weight=0.9),
            "inconclusive",
            "90 requests of the old side could be compared in 600 s, a pass needs 100",
            id="few on the old side",
        ),
        pytest.param(alike(3), "undecided", "180 s of 600 s at a weight of 10 %, 60 of 100 requests", id="not yet"),
        pytest.param(alike(9), "undecided", "540 s of 600 s at a weight of 10 %", id="nearly"),
        pytest.param(
            alike(10),
            "pass",
            "no sign in 600 s that the new side is worse: errors 0 of 200 new, 0 of 1,800 old; slow 0 of 200 new, 0 of 1,800 old",
            id="as good",
        ),
        pytest.param(
            minutes(*[(Side(20), Side(180, errors=5, slow=5))] * 6),
            "pass",
            "the new side is not 5 times as bad: errors 0 of 120 new, 30 of 1,080 old; slow 0 of 120 new, 30 of 1,080 old",
            id="early, since it is better in both",
        ),
        pytest.param(
            minutes(*[(Side(20), Side(180, errors=5))] * 9),
            "undecided",
            "540 s of 600 s at a weight of 10 %",
            id="not early for one metric alone",
        ),
        pytest.param(
            minutes((Side(20, errors=2), Side(180)), *[(Side(20), Side(180))] * 9),
            "inconclusive",
            "the new side may be worse: errors 2 of 200 new, 0 of 1,800 old (e-value 30, 40 is a fail)",
            id="in doubt",
        ),
        pytest.param(
            minutes((Side(20, errors=2), Side(180)), (Side(20, errors=1), Side(180))),
            "fail",
            "errors: 3 of 3 came from the new side, which had 10 % of the requests (e-value 196, 40 is enough)",
            id="errors",
        ),
        pytest.param(
            minutes((Side(20, slow=9), Side(180, slow=3))),
            "fail",
            "slow: 9 of 12 came from the new side, which had 10 % of the requests (e-value 98,825, 40 is enough)",
            id="slow requests",
        ),
        pytest.param(
            minutes(*[(Side(20, errors=4), Side())] * 5, weight=1),
            "inconclusive",
            "20 of 100 requests failed, and there is no old side to tell whether that is the new one's fault",
            id="the guard where there is no old side",
        ),
    ],
)
def test_a_verdict_has_its_reason_with_numbers(samples: list[Sample], kind: str, reason: str) -> None:
    """Ten minutes and 100 requests of each side are the default."""
    verdict = said(samples)
    assert (verdict.kind, verdict.reason) == (kind, reason)
    assert verdict.at_s == (samples[-1].at_s if samples else None)


@quick
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)).map(sorted).map(lambda p: Side(p[1], p[0])), max_size=30),
    st.booleans(),
    st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)
def test_no_data_is_never_a_pass(sides: list[Side], is_new: bool, weight: float) -> None:
    """Whatever one side does alone, for however long: the other one had no requests."""
    samples = minutes(*[(side, Side()) if is_new else (Side(), side) for side in sides], weight=weight)
    for count in range(len(samples) + 1):
        assert said(samples[:count], bake_s=300, min_s=0, min_requests=1).kind in {"no_data", "undecided", "inconclusive"}
    assert said(samples, bake_s=300).kind in {"no_data", "undecided", "inconclusive"}


# Hard signals

Kind = Literal["crash", "unready", "memory", "contract"]


@pytest.mark.parametrize("kind", ["crash", "unready", "memory", "contract"])
@pytest.mark.parametrize("weight", [0.0, 0.05, 1.0])
def test_a_hard_signal_ends_the_gate_at_once(kind, weight: float) -> None:
    """No traffic is needed, and what comes after changes nothing."""
    signal = Signal(kind, "feed-2", "exit code 139")
    state = gate.observe(gate.opened(Policy()), Sample(since_s=0, at_s=1, weight=weight, signals=(signal,)))
    verdict = gate.verdict(state)
    assert (verdict.kind, verdict.metric, verdict.reason) == ("fail", kind, f"{kind} of feed-2: exit code 139")
    for sample in alike(20, begin_s=60):
        state = gate.observe(state, sample)
    assert gate.verdict(state) == verdict


def signals(*of: tuple[float, Literal["new", "old"], Kind]) -> list[Sample]:
    """(second, side, kind) of each, in samples of one second."""
    return [
        Sample(
            since_s=at,
            at_s=at + 1,
            weight=0.1,
            signals=tuple(Signal(kind, f"{side}-1", side=side) for second, side, kind in of if second == at),
        )
        for at in range(100)
    ]


@pytest.mark.parametrize(
    ("of", "kind"),
    [
        pytest.param([(5, "old", "crash")], "undecided", id="the old side alone"),
        pytest.param([(5, "new", "crash"), (6, "old", "crash")], "fail", id="the new side first"),
        pytest.param([(5, "old", "unready"), (5, "new", "unready")], "inconclusive", id="both at once"),
        pytest.param([(5, "old", "memory"), (35, "new", "memory")], "inconclusive", id="both within half a minute"),
        pytest.param([(5, "old", "memory"), (36, "new", "memory")], "fail", id="long after"),
        pytest.param([(5, "old", "crash"), (6, "new", "memory")], "fail", id="another kind"),
        pytest.param([(5, "old", "contract"), (5, "new", "contract")], "fail", id="a contract is nobody else's"),
        pytest.param(
            [(5, "old", "crash"), (6, "new", "crash"), (6, "new", "contract")], "fail", id="one that both have and one of its own"
        ),
    ],
)
def test_what_both_sides_suffer_stops_the_plan_and_blames_nobody(of, kind: str) -> None:
    """A node that dies, a database that goes away: undoing the change would not help."""
    assert said(signals(*of)).kind == kind


@pytest.mark.parametrize(
    ("weight", "times"), [(0.0, 2), (0.05, 2), (0.10, 2), (0.15, 2), (0.16, 3), (0.25, 3), (0.50, 6), (0.90, 36), (1.0, 2)]
)
def test_an_exception_type_of_the_new_side_alone_must_come_twice_or_as_often_as_rules_out_chance(
    weight: float, times: int
) -> None:
    """A type that both would raise comes to the new side first, and so often in a row, with probability weight**times."""
    assert times_needed(weight, 0.025) == times
    assert times == 2 or 0 < weight**times <= 0.025


@pytest.mark.parametrize(
    ("ticks", "weight", "kind"),
    [
        pytest.param([({"KeyError": 2}, {})], 0.1, "fail", id="twice in one tick"),
        pytest.param([({"KeyError": 1}, {}), ({"KeyError": 1}, {})], 0.1, "fail", id="twice in two ticks"),
        pytest.param([({"KeyError": 1}, {})], 0.1, "undecided", id="once"),
        pytest.param([({"KeyError": 1, "OSError": 1}, {})], 0.1, "undecided", id="two types, once each"),
        pytest.param([({"KeyError": 2}, {"KeyError": 1})], 0.1, "undecided", id="the old side has it too"),
        pytest.param([({}, {"KeyError": 1}), ({"KeyError": 9}, {})], 0.1, "undecided", id="the old side had it before"),
        pytest.param([({"KeyError": 1}, {}), ({"KeyError": 1}, {"KeyError": 1})], 0.1, "undecided", id="just in time"),
        pytest.param([({"KeyError": 5}, {})], 0.5, "undecided", id="five in a row at 50 %"),
        pytest.param([({"KeyError": 6}, {})], 0.5, "fail", id="six in a row at 50 %"),
        pytest.param([({"KeyError": 2}, {})], 1.0, "inconclusive", id="without an old side"),
    ],
)
def test_an_exception_type_that_the_old_side_never_raised_ends_the_gate(ticks, weight: float, kind: str) -> None:
    """Counted over all ticks. `requests` stays small, so that no statistics has a say."""
    sides = [(Side(2, exceptions=new), Side(2, exceptions=old)) for new, old in ticks]
    verdict = said(minutes(*sides, weight=weight))
    assert verdict.kind == kind
    if kind == "fail":
        times = sum(new.get("KeyError", 0) for new, _ in ticks)
        assert verdict.reason == f"KeyError ended {times} requests on the new side and none on the old one"


def test_an_exception_of_an_incident_that_both_sides_have_does_not_blame_the_new_one() -> None:
    """The new side meets it twice before the old one does, at a weight of 50 %: a matter of chance one time out of four."""
    first, then = (Side(3, 2, exceptions={"OSError": 2}), Side(3)), (Side(3), Side(3, 2, exceptions={"OSError": 2}))
    assert said(minutes(first, then, first, first, weight=0.5)).kind == "undecided"


# Windows, bakes, and how samples may come


def test_evidence_carries_over_a_new_weight_and_the_bake_begins_anew() -> None:
    """One error at 5 % and two at 25 % are enough; five minutes at 5 % do not count as time at 25 %."""
    before = minutes(*[(Side(10), Side(190))] * 4, (Side(10, errors=1), Side(190)), weight=0.05)
    after = minutes((Side(50), Side(150)), weight=0.25, begin_s=300)
    verdict = said(before + after)
    assert (verdict.kind, verdict.reason) == ("undecided", "60 s of 600 s at a weight of 25 %, 50 of 100 requests")
    worse = minutes((Side(50, errors=2), Side(150)), weight=0.25, begin_s=300)
    assert said(before + worse).kind == "fail"
    assert said(worse).kind == "undecided"


def test_a_window_ends_with_its_weight() -> None:
    """Else a calm second at 5 % and a bad one at 50 % would be one, in which 25 % of the requests have half of the errors."""
    calm = Sample(since_s=0, at_s=1, weight=0.05, new=Side(19), old=Side(361))
    bad = Sample(since_s=1, at_s=2, weight=0.5, new=Side(190, errors=95), old=Side(190, errors=95))
    verdict = said([calm, bad])
    assert verdict.measures[0].log10_e_worse < 0
    together = Sample(since_s=0, at_s=2, weight=0.5, new=Side(209, errors=95), old=Side(551, errors=95))
    assert said([together]).kind == "fail"


@quick
@given(st.lists(st.integers(0, 40), min_size=10, max_size=10), st.integers(1, 30))
def test_how_a_minute_is_cut_into_ticks_does_not_matter_where_windows_are_minutes(errors: list[int], ticks: int) -> None:
    """Samples are pooled: the same requests in one tick or in thirty are the same evidence."""
    whole, cut = [], []
    for minute, bad in enumerate(errors):
        whole += minutes((Side(120, errors=bad // 3), Side(600, errors=bad)), begin_s=60 * minute)
        edges = [60 * minute + 60 * tick / ticks for tick in range(ticks)] + [60.0 * (minute + 1)]
        for tick, (since_s, at_s) in enumerate(pairwise(edges)):
            n_new, k_new, n_old, k_old = (
                count * (tick + 1) // ticks - count * tick // ticks for count in (120, bad // 3, 600, bad)
            )
            cut.append(Sample(since_s=since_s, at_s=at_s, weight=0.1, new=Side(n_new, k_new), old=Side(n_old, k_old)))
    policy = {"window_requests": 10**6, "alpha": 1e-300}
    assert said(whole, **policy).measures == said(cut, **policy).measures


def test_where_a_window_ends_does_not_depend_on_errors() -> None:
    """That would be choosing the evidence: the same traffic with and without errors is compared in the same windows."""
    for bad in (0, 1):
        state = gate.opened(Policy())
        compared = []
        for second in range(30):
            sides = {"new": Side(3, errors=bad * (second % 7 == 0)), "old": Side(27, errors=bad)}
            state = gate.observe(state, Sample(since_s=second, at_s=second + 1, weight=0.1, **sides))
            compared.append(state.errors.new.requests)
        assert compared == [21 * ((second + 1) // 7) for second in range(30)]


def test_the_end_of_a_bake_ends_its_window() -> None:
    """Otherwise the last requests would not count for the verdict."""
    verdict = said([Sample(since_s=s, at_s=s + 1, weight=0.1, new=Side(1), old=Side(9)) for s in range(10)], bake_s=10)
    assert verdict.reason == "10 requests of the new side could be compared in 10 s, a pass needs 100"


def test_an_inconclusive_bake_may_go_on_and_pass() -> None:
    """A caller that extends feeds on."""
    assert said(alike(4), bake_s=240).kind == "inconclusive"
    assert said(alike(5), bake_s=240).kind == "pass"


def test_ticks_that_overlap_are_refused() -> None:
    """A request that counts twice would break the test."""
    state = gate.observe(gate.opened(Policy()), alike(1)[0])
    with pytest.raises(RecordingError, match="a tick begins at 30.0 s, before the one before it ended at 60.0 s"):
        gate.observe(state, alike(1, begin_s=30.0)[0])


@quick
@given(st.data())
def test_a_gate_that_is_fed_live_says_what_its_recording_says(data: st.DataObject) -> None:
    """The verdict is a function of the samples: asking in between changes nothing."""
    count = data.draw(st.integers(0, 20))
    samples = []
    for index in range(count):
        sides = []
        for most in (30, 300):
            requests = data.draw(st.integers(0, most))
            sides.append(Side(requests, data.draw(st.integers(0, requests // 10)), data.draw(st.integers(0, requests // 5))))
        samples += minutes((sides[0], sides[1]), weight=data.draw(st.sampled_from([0.05, 0.5])), begin_s=60 * index)
    state = gate.opened(Policy(bake_s=300))
    for sample in samples:
        state = gate.observe(state, sample)
        gate.verdict(state)
    assert gate.verdict(state) == gate.judge(Policy(bake_s=300), samples)


# Values that cannot be


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Side(-1), "-1 requests"),
        (lambda: Side(10**16), "a delta of a counter is between 0 and 1e+15"),
        (lambda: Side(3, errors=4), "4 errors of 3 requests"),
        (lambda: Side(3, slow=-1), "-1 slow of 3 requests"),
        (lambda: Side(3, exceptions={"KeyError": 0}), "0 requests ended by KeyError"),
        (lambda: Sample(since_s=1, at_s=1, weight=0), "a tick from 1 s to 1 s"),
        (lambda: Sample(since_s=0, at_s=float("nan"), weight=0), "a tick from 0 s to nan s"),
        (lambda: Sample(since_s=float("-inf"), at_s=0, weight=0), "a tick from -inf s to 0 s"),
        (lambda: Sample(since_s=0, at_s=1, weight=1.5), "a weight of 1.5 is not between 0 and 1"),
        (lambda: Policy(alpha=0), "alpha is 0, it must be above 0 and at most 0.5"),
        (lambda: Policy(tolerance=0.9), "tolerance is 0.9"),
        (lambda: Policy(pass_ratio=1.25), "pass_ratio is 1.25, it must be above the tolerance"),
        (lambda: Policy(min_requests=0), "min_requests is 0"),
        (lambda: Policy(min_s=-1), "min_s is -1"),
        (lambda: Policy(bake_s=0), "bake_s is 0"),
        (lambda: Policy(doubt=float("nan")), "doubt is nan"),
        (lambda: Policy(window_s=0), "window_s is 0"),
        (lambda: Policy(window_requests=0), "window_requests is 0"),
        (lambda: Policy(attempts=0), "attempts is 0"),
        (lambda: Policy(guard=0), "guard is 0"),
        (lambda: Policy(shared_s=-1), "shared_s is -1"),
        (lambda: Policy().but(alpha=2), "alpha is 2"),
    ],
)
def test_a_value_that_cannot_be_is_refused_where_it_is_made(make, message: str) -> None:
    """Counters that went back and shares over 1 are mistakes of the feeder."""
    with pytest.raises(ValueError, match=message.replace("+", r"\+").replace("(", r"\(")):
        make()
