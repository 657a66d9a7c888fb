"""Histograms, counters and gauges, and their text, with prometheus_client's OpenMetrics parser as the referee."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ramet.observe import names, openmetrics, record
from ramet.observe.record import Recorder

quick = settings(deadline=None, max_examples=80)
TRICKY = ['a"b', "a\\b", "a\nb", '\\n"', "é😀", "", " ", 'a="b",c', "{}", "# EOF", "\\\\"]
durations = st.floats(0, 100)


def parsed(recorder: Recorder) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(openmetrics.render(recorder))}


def samples(family: Metric, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {tuple(sorted(s.labels.items())): s.value for s in family.samples if s.name == name}


@quick
@given(st.lists(st.tuples(durations, st.sampled_from(["", "", "Gone", "KeyError"]), st.integers(1, 300)), max_size=30))
def test_a_histogram_counts_and_sums_what_it_was_given(observed: list[tuple[float, str, int]]) -> None:
    """Per error type, so that an error ratio is a quotient of counts; with the weight of what a record stands for."""
    recorder = Recorder()
    series = recorder.series(names.CALL_SERVED, module="m", call="c")
    for duration_s, error, weight in observed:
        series.observe(duration_s, error, weight)
    assert series.count == sum(weight for _, _, weight in observed)
    assert series.errors == sum(weight for _, error, weight in observed if error)
    for error, cell in series.cells.items():
        mine = [(duration_s, weight) for duration_s, each, weight in observed if each == error]
        assert math.isclose(cell.total_s, sum(d * w for d, w in mine), abs_tol=1e-9)
        for bucket, count in enumerate(cell.counts):
            assert count == sum(w for d, w in mine if bisect_left(series.bounds, d) == bucket)

    family = parsed(recorder)["rpc_server_call_duration_seconds"]
    for labels, total in samples(family, "rpc_server_call_duration_seconds_count").items():
        error = dict(labels)["error_type"]
        assert total == sum(weight for _, each, weight in observed if each == error)
        buckets = [s for s in family.samples if s.name.endswith("_bucket") and s.labels["error_type"] == error]
        assert [s.value for s in buckets] == sorted(s.value for s in buckets)
        for s in buckets:
            bound = float(s.labels["le"])
            assert s.value == sum(w for d, each, w in observed if each == error and d <= bound)
        assert buckets[-1].labels["le"] == "+Inf"


@pytest.mark.parametrize("bound", names.CALL_BOUNDS_S)
def test_a_duration_on_a_bound_is_below_it(bound: float) -> None:
    """`le` is less or equal."""
    series = Recorder().series(names.CALL_SERVED, module="m", call="c")
    series.observe(bound)
    assert series.ok.counts.index(1) == names.CALL_BOUNDS_S.index(bound)


def test_finish_and_observe_count_alike() -> None:
    """The first is the second, written out for speed."""
    recorder = Recorder()
    fast, slow = (recorder.series(names.CALL_SERVED, module=module, call="c") for module in "ab")
    for start, end, error, weight in [(0.0, 0.003, "", 1), (1.0, 1.5, "Gone", 1), (0.0, 99.0, "", 200)]:
        recorder.finish(fast, b"", b"", b"", start, end, error, weight)
        slow.observe(end - start, error, weight)
    assert [(c.counts, c.total_s) for c in fast.cells.values()] == [(c.counts, c.total_s) for c in slow.cells.values()]
    assert len(recorder.records()) == 3


def test_the_series_of_a_call_is_there_before_its_first_error_and_its_first_call() -> None:
    """A counter that is born at 1 hides its first event from every rate."""
    recorder = Recorder()
    recorder.series(names.CALL_SERVED, module="m", call="c")
    counts = samples(parsed(recorder)["rpc_server_call_duration_seconds"], "rpc_server_call_duration_seconds_count")
    assert list(counts.values()) == [0.0]


def test_the_same_labels_are_the_same_series_in_any_order() -> None:
    """Callers keep the object; another caller gets the same."""
    recorder = Recorder()
    assert recorder.series(names.REQUEST, method="GET", route="/") is recorder.series(names.REQUEST, route="/", method="GET")
    assert recorder.counter(names.RETRIES, reason="a") is recorder.counter(names.RETRIES, reason="a")
    assert recorder.counter(names.RETRIES, reason="a") is not recorder.counter(names.RETRIES, reason="b")


def test_a_label_may_have_any_name() -> None:
    """Those of the methods' own parameters too."""
    recorder = Recorder()
    assert recorder.counter(names.RETRIES, metric="x", self="y").labels == {"metric": "x", "self": "y"}
    assert recorder.series(names.JOB, metric="x").labels == {"metric": "x"}


def test_too_many_label_sets_count_as_overflow_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unbounded label is a bug: it costs neither memory nor the scrape, and shows."""
    monkeypatch.setattr(record, "MAX_SERIES", 5)
    recorder = Recorder()
    made = [recorder.series(names.REQUEST, method="GET", route=f"/{n}") for n in range(9)]
    other = recorder.series(names.CALL_SERVED, module="m", call="c")
    assert len(set(made)) == 6
    assert made[5] is made[8]
    assert made[5].labels == {"method": "overflow", "route": "overflow"}
    assert other.labels == {"module": "m", "call": "c"}
    assert recorder.series(names.REQUEST, method="GET", route="/0") is made[0]
    dropped = samples(parsed(recorder)["ramet_series_dropped"], "ramet_series_dropped_total")
    assert dropped == {
        (("instance", ""), ("metric", "http_server_request_duration_seconds"), ("service", ""), ("version", "")): 4.0
    }


# The text


@quick
@given(st.sampled_from(TRICKY) | st.text(st.characters(codec="utf-8"), max_size=10), st.sampled_from(TRICKY))
def test_any_label_value_survives_the_text(value: str, resource: str) -> None:
    """Quotes, backslashes and line ends, in the labels of a metric and of the instance."""
    recorder = Recorder(service=resource, version=value, instance="i-1")
    recorder.series(names.REQUEST, method="GET", route=value).observe(0.1, value)
    recorder.counter(names.RETRIES, reason=value).value += 2
    recorder.gauge(names.ENDPOINTS, lambda: iter([({"state": value}, 3)]))
    families = parsed(recorder)
    assert {s.labels["route"] for s in families["http_server_request_duration_seconds"].samples} == {value}
    assert {s.labels["error_type"] for s in families["http_server_request_duration_seconds"].samples} == {"", value}
    [retries] = families["ramet_call_retries"].samples
    assert (retries.labels["reason"], retries.labels["service"], retries.labels["version"]) == (value, resource, value)
    assert [s.labels["state"] for s in families["ramet_endpoints"].samples] == [value]


def everything() -> Recorder:
    recorder = Recorder(service="orders", version="1.0", instance="orders-1")
    for metric in names.METRICS:
        if metric.kind == "histogram":
            for module in ("a", "b"):
                recorder.series(metric, module=module, call="c").observe(0.1)
        elif metric.kind == "counter":
            recorder.counter(metric, reason="x").value += 5
            recorder.counter(metric, reason="y")
        else:
            recorder.gauge(metric, lambda: iter([({"module": "a"}, 1.5), ({"module": "b"}, -2)]))
            recorder.gauge(metric, lambda: iter([({"module": "c"}, math.inf)]))
    return recorder


def test_every_metric_is_valid_with_its_type_unit_and_meaning() -> None:
    """The referee refuses a unit that is not the name's end, a family in two pieces, a bucket out of order."""
    families = parsed(everything())
    assert families.keys() == {metric.name for metric in names.METRICS}
    for metric in names.METRICS:
        family = families[metric.name]
        assert (family.type, family.unit, family.documentation) == (metric.kind, metric.unit, metric.meaning)
        assert all(s.labels["service"] == "orders" and s.labels["instance"] == "orders-1" for s in family.samples)


def test_counters_end_in_total_and_gauges_do_not() -> None:
    """OpenMetrics wants it so; Prometheus asks for the name with the ending."""
    families = parsed(everything())
    assert {s.name for s in families["ramet_call_retries"].samples} == {"ramet_call_retries_total"}
    assert sorted(s.value for s in families["ramet_call_retries"].samples) == [0.0, 5.0]
    assert {s.name for s in families["ramet_calls_in_flight"].samples} == {"ramet_calls_in_flight"}
    assert [s.value for s in families["ramet_calls_in_flight"].samples] == [1.5, -2.0, math.inf]


def test_the_text_ends_with_its_end_mark_and_has_it_once() -> None:
    """A scrape that was cut off is recognised by its absence."""
    for recorder in (Recorder(), everything()):
        lines = openmetrics.render(recorder).splitlines()
        assert lines[-1] == "# EOF"
        assert lines.count("# EOF") == 1
    assert parsed(Recorder()) == {}


def test_the_pieces_are_whole_lines() -> None:
    """The server may send them one at a time, and let others work between."""
    pieces = list(openmetrics.pieces(everything()))
    assert len(pieces) > len(names.METRICS)
    assert all(piece.endswith("\n") for piece in pieces)


def test_a_gauge_is_read_at_the_scrape() -> None:
    """Not when it was registered."""
    value = 1

    def read() -> Iterator[tuple[Mapping[str, str], float]]:
        yield {}, value

    recorder = Recorder()
    recorder.gauge(names.IN_FLIGHT, read)
    value = 7
    assert [s.value for s in parsed(recorder)["ramet_calls_in_flight"].samples] == [7.0]


# The declarations


def test_names_follow_the_rules_of_the_format() -> None:
    """One name, a unit at its end, no ending that the text adds itself."""
    assert len({metric.name for metric in names.METRICS}) == len(names.METRICS)
    declared = {value for value in vars(names).values() if isinstance(value, names.Metric)}
    assert declared == set(names.METRICS)
    for metric in names.METRICS:
        assert metric.kind in {"histogram", "counter", "gauge"}
        assert metric.meaning
        assert metric.name.endswith(metric.unit)
        assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        assert (metric.kind == "histogram") == (metric in names.BOUNDS_S)


@pytest.mark.parametrize("metric", names.BOUNDS_S, ids=lambda metric: metric.name)
def test_bounds_rise(metric: names.Metric) -> None:
    """A histogram is searched by halves."""
    bounds: Any = names.BOUNDS_S[metric]
    assert list(bounds) == sorted(set(bounds))
    assert bounds[0] > 0
