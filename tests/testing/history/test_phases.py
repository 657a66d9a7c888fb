"""Which request belongs to which phase, and what a phase says of itself."""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from ramet.testing.history import Finding, Kind, Mark, Operation, Outcome, Phase, summarize, table
from ramet.testing.history.phases import percentile_ms


def request(due_s: float, latency_s: float = 0.001, *, late_s: float = 0.0) -> Operation:
    return Operation("ann", "GET /", due_s, due_s + late_s, due_s + latency_s, Outcome.OK)


def p99_ms(phase: Phase) -> tuple[float | None, ...]:
    """Before, during, after."""
    return tuple(each and round(each, 6) for each in (phase.p99_before_ms, phase.p99_during_ms, phase.p99_after_ms))


def one(operations: list[Operation], *findings: Finding, load: Mark | None = None) -> Phase:
    """The phase from 100 to 110."""
    return summarize(operations, findings, [Mark("extract feed", 100.0, 110.0)], window_s=5.0, load=load)[0]


def test_a_request_belongs_to_where_it_was_to_begin() -> None:
    """Whoever had to wait because the system stood still is counted where the wait began, with all of it."""
    phase = one([request(99.9, 8), request(100.0, 0.020), request(109.9, 5.0, late_s=4.0), request(110.0, 0.030)])
    assert phase.requests == 2
    assert p99_ms(phase) == (8000.0, 5000.0, 30.0)


def test_a_window_is_next_to_its_phase_and_no_longer_than_asked() -> None:
    """Where there was no request, there is no figure."""
    phase = one([request(94.9), request(115.1)])
    assert (phase.requests, phase.p50_ms, p99_ms(phase)) == (0, None, (None, None, None))


def test_of_a_window_what_belongs_to_another_phase_is_left_out() -> None:
    """Its slow requests would make this one look better than it is."""
    marks = [Mark("first", 90.0, 97.0), Mark("second", 100.0, 110.0), Mark("third", 112.0, 113.0)]
    operations = [request(96.0, 1.0), request(98.0, 0.002), request(111.0, 0.003), request(112.5, 2.0)]
    second = summarize(operations, [], marks, window_s=5.0)[1]
    assert p99_ms(second) == (2.0, None, 3.0)


def test_a_window_does_not_reach_past_the_load() -> None:
    """Before it begins people register, which is not to be compared with."""
    operations = [request(96.0, 1.0), request(98.0, 0.002), request(111.0, 0.003), request(112.5, 2.0)]
    phase = one(operations, load=Mark("load", 97.0, 112.0))
    assert p99_ms(phase) == (2.0, None, 3.0)


def test_findings_are_counted_where_their_request_belongs() -> None:
    """Each request once for each kind."""
    findings = [Finding(kind, number, key, "") for kind in Kind for number in (0, 1) for key in ("a", "b")]
    phase = one([request(105), request(120)], *findings, Finding(Kind.LOST, None, "a", ""))
    assert (phase.failed, phase.twice, phase.lost, phase.stale, phase.unexpected) == (1, 1, 1, 1, 1)
    assert not phase.is_clean
    assert one([request(105)]).is_clean


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0, 100))
def test_a_percentile_is_the_least_that_so_many_do_not_exceed(latencies_s: list[float], percent: float) -> None:
    """By the definition of the nearest rank."""
    found = percentile_ms(latencies_s, percent)
    assert found is not None
    not_more = [each for each in latencies_s if each * 1000 <= found]
    assert len(not_more) >= len(latencies_s) * percent / 100 - 1e-9
    less = [each for each in latencies_s if each * 1000 < found]
    assert len(less) < max(1e-9, len(latencies_s) * percent / 100) or not less


def test_percentiles_of_a_hundred() -> None:
    """As everybody would count them."""
    latencies_s = [number / 1000 for number in range(100, 0, -1)]
    assert [percentile_ms(latencies_s, percent) for percent in (0, 50, 99, 100)] == [1.0, 50.0, 99.0, 100.0]


def test_a_phase_is_a_line_of_the_table_and_an_object_of_json() -> None:
    """With the same figures."""
    phase = one([request(98, 0.002), *(request(100 + number / 10, 0.010) for number in range(100))])
    assert phase.as_dict() == {
        "name": "extract feed",
        "seconds": 10.0,
        "requests": 100,
        "failed": 0,
        "twice": 0,
        "lost": 0,
        "stale": 0,
        "unexpected": 0,
        "rps": 10.0,
        "p50_ms": 10.0,
        "p99_ms": 10.0,
        "p99_before_ms": 2.0,
        "p99_during_ms": 10.0,
        "p99_after_ms": None,
    }
    assert {each.name for each in fields(Phase)} - {"unexpected"} < set(phase.as_dict())
    head, line = table([phase]).splitlines()
    assert head.split("  ")[0] == "step"
    assert line.split() == ["extract", "feed", "10.0", "100", "0", "0", "0", "0", "0", "2.0", "ms", "10.0", "ms", "-"]
    assert len(head) == len(line)
