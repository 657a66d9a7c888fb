"""The metrics of one instance as OpenMetrics 1.0 text. Pure: a recorder in, lines out.

Source of the format: https://github.com/prometheus/OpenMetrics, specification 1.0.0. Written in pieces, so that a scrape of many
series does not hold the event loop: the server may take them one at a time.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, groupby
from typing import TypeVar

from ramet.observe.names import Metric
from ramet.observe.record import Cell, Recorder, Series

_T = TypeVar("_T")

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def render(recorder: Recorder) -> str:
    return "".join(pieces(recorder))


def pieces(recorder: Recorder) -> Iterator[str]:
    """One piece per metric and label set, the last is the end mark."""
    common = recorder.resource
    for metric, group in _by_metric((series.metric, series) for series in recorder.all_series()):
        yield _head(metric)
        for series in group:
            yield _histogram(series, common)
    for metric, group in _by_metric((counter.metric, counter) for counter in recorder.all_counters()):
        yield _head(metric)
        for counter in group:
            yield f"{metric.name}_total{_labels({**common, **counter.labels})} {counter.value}\n"
    for metric, reads in _by_metric(recorder.gauges):
        yield _head(metric)
        for read in reads:
            for labels, value in read():
                yield f"{metric.name}{_labels({**common, **labels})} {_number(value)}\n"
    yield "# EOF\n"


def _by_metric(pairs: Iterable[tuple[Metric, _T]]) -> Iterator[tuple[Metric, list[_T]]]:
    for metric, group in groupby(sorted(pairs, key=lambda pair: pair[0].name), key=lambda pair: pair[0]):
        yield metric, [item for _, item in group]


def _head(metric: Metric) -> str:
    unit = f"# UNIT {metric.name} {metric.unit}\n" if metric.unit else ""
    return f"# TYPE {metric.name} {metric.kind}\n{unit}# HELP {metric.name} {metric.meaning}\n"


def _histogram(series: Series, common: Mapping[str, str]) -> str:
    return "".join(
        _cell(series, cell, {**common, **series.labels, "error_type": error}) for error, cell in list(series.cells.items())
    )


def _cell(series: Series, cell: Cell, labels: Mapping[str, str]) -> str:
    name = series.metric.name
    text = _labels(labels)
    inner = text[1:-1]
    totals = list(accumulate(cell.counts))
    lines = [
        f'{name}_bucket{{{inner},le="{_number(bound)}"}} {total}\n' for bound, total in zip(series.bounds, totals, strict=False)
    ]
    lines.append(f'{name}_bucket{{{inner},le="+Inf"}} {totals[-1]}\n')
    lines.append(f"{name}_count{text} {totals[-1]}\n{name}_sum{text} {_number(cell.total_s)}\n")
    return "".join(lines)


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return repr(float(value))
