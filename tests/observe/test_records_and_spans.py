"""The record of a unit of work, and the span that is read from it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramet.observe import names
from ramet.observe.names import Metric
from ramet.observe.record import Record, Recorder, new_span_id, new_trace_id
from ramet.observe.spans import Span, span_of

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))


def span(
    metric: Metric, *, error: str = "", stands_for: int = 1, attributes: dict[str, object] | None = None, **labels: str
) -> Span:
    recorder = Recorder(service="orders", version="1.0", instance="orders-1")
    recorder.finish(recorder.series(metric, **labels), TRACE, SPAN, PARENT, 5.0, 5.25, error, stands_for, attributes)
    [record] = recorder.records()
    return span_of(record, recorder)


RESOURCE = {"service.name": "orders", "service.version": "1.0", "service.instance.id": "orders-1"}
SPANS = {
    "a call served to another instance": (
        names.CALL_SERVED,
        {"module": "articles", "call": "get", "placement": "remote"},
        ("articles.get", "server"),
        {"rpc.method": "articles.get", "rpc.system.name": "ramet", "ramet.module": "articles", "ramet.placement": "remote"},
    ),
    "a call in the same process": (
        names.CALL_SERVED,
        {"module": "articles", "call": "get", "placement": "local"},
        ("articles.get", "internal"),
        {"rpc.method": "articles.get", "rpc.system.name": "ramet", "ramet.module": "articles", "ramet.placement": "local"},
    ),
    "a call made": (
        names.CALL_MADE,
        {"module": "articles", "call": "get", "caller": "feed"},
        ("articles.get", "client"),
        {"rpc.method": "articles.get", "rpc.system.name": "ramet", "ramet.module": "articles", "ramet.caller": "feed"},
    ),
    "a request": (
        names.REQUEST,
        {"method": "GET", "route": "/articles/{slug}", "status": "200"},
        ("GET /articles/{slug}", "server"),
        {"http.request.method": "GET", "http.route": "/articles/{slug}", "http.response.status_code": 200},
    ),
    "a query": (
        names.QUERY,
        {"module": "articles", "summary": "SELECT articles"},
        ("SELECT articles", "client"),
        {"db.query.summary": "SELECT articles", "ramet.module": "articles"},
    ),
    "a job": (names.JOB, {"module": "feed"}, ("ramet_job_duration_seconds", "internal"), {"ramet.module": "feed"}),
}


@pytest.mark.parametrize("case", SPANS)
def test_a_span_is_named_as_the_conventions_have_it(case: str) -> None:
    """Name, kind and attributes of OpenTelemetry's semantic conventions, so that any backend understands them."""
    metric, labels, (name, kind), attributes = SPANS[case]
    found = span(metric, **labels)
    assert (found.name, found.kind) == (name, kind)
    assert found.attributes == {**RESOURCE, **attributes}


def test_an_error_is_its_type_and_success_is_nothing() -> None:
    """`error.type` is absent where there was none."""
    assert span(names.JOB, module="a", error="KeyError").attributes["error.type"] == "KeyError"
    assert "error.type" not in span(names.JOB, module="a").attributes


def test_a_span_that_stands_for_others_says_so() -> None:
    """Hot local calls are thinned; whoever counts spans must know."""
    assert span(names.JOB, module="a", stands_for=256).attributes["ramet.stands_for"] == 256


def test_what_is_known_of_this_one_alone_comes_last() -> None:
    """Attributes of a record win over those of its series."""
    found = span(names.REQUEST, method="GET", route="/", attributes={"url.path": "/a", "http.route": "/b"})
    assert (found.attributes["url.path"], found.attributes["http.route"]) == ("/a", "/b")


def test_ids_are_hex_and_times_are_nanoseconds() -> None:
    """Of the wall clock, from the two readings of the monotonic one that also made the histogram's duration."""
    recorder = Recorder()
    recorder.wall_offset = 1_000_000.0
    recorder.finish(recorder.series(names.JOB, module="a"), TRACE, SPAN, b"", 5.0, 5.25)
    found = span_of(recorder.records()[0], recorder)
    assert (found.trace_id, found.span_id, found.parent_id) == (TRACE.hex(), SPAN.hex(), "")
    assert (found.start_ns, found.end_ns) == (1_000_005 * 10**9, 1_000_005_250 * 10**6)
    assert recorder.all_series()[0].ok.total_s == 0.25


@pytest.mark.parametrize("metric", names.BOUNDS_S, ids=lambda metric: metric.name)
def test_every_label_has_an_attribute(metric: Metric) -> None:
    """A label without one could not be a span's."""
    labels = {label: "1" for label in names.ATTRIBUTES if label not in {"service", "version", "instance", "error_type"}}
    assert span(metric, **labels).attributes.keys() >= {names.ATTRIBUTES[label] for label in labels}


def test_the_ring_keeps_the_last_ones() -> None:
    """Bounded memory; the histograms have counted all."""
    recorder = Recorder(ring_records=3)
    series = recorder.series(names.JOB, module="a")
    for number in range(10):
        recorder.finish(series, bytes([number]), b"", b"", 0.0, 0.1)
    assert [record.trace_id for record in recorder.records()] == [b"\x07", b"\x08", b"\x09"]
    assert series.count == 10
    assert repr(recorder) == "<Recorder of no service: 1 series, 3 records>"


def test_a_record_reads_as_what_happened() -> None:
    """At 3 a.m."""
    recorder = Recorder()
    series = recorder.series(names.CALL_SERVED, module="articles", call="get")
    assert (
        repr(Record(series, TRACE, SPAN, b"", 0.0, 0.0125, "Gone")) == f"<Record articles.get 12.500 ms Gone trace {TRACE.hex()}>"
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 50))
def test_ids_have_their_length_and_do_not_repeat(count: int) -> None:
    """16 and 8 bytes, leading zeros included."""
    traces, spans = [new_trace_id() for _ in range(count)], [new_span_id() for _ in range(count)]
    assert {len(each) for each in traces} == {16}
    assert {len(each) for each in spans} == {8}
    assert len(set(traces)) == len(set(spans)) == count
