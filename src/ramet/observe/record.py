"""The record: one tuple per unit of work, made when it is finished.

Its duration goes into its series (the golden signals: rate, errors, duration) and the record into the ring, from which spans are
read. Both come from the same two clock readings, so they cannot disagree. Histograms are computed before anything is thrown away.
While the work runs, its ids are in its Context, where the log lines find them.

All of this belongs to the event loop's thread; nothing here locks.
"""

import random
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ramet.observe import names
from ramet.observe.names import Metric

MAX_SERIES = 2000
"""Label sets per metric. Above it a record counts under `overflow`, and is counted as dropped: an unbounded label is a bug."""

OK = ""
"""`error` of a record without one, as the conventions have it: success sets no error.type."""

_bits = random.getrandbits


def new_span_id() -> bytes:
    return _bits(64).to_bytes(8, "big")


def new_trace_id() -> bytes:
    return _bits(128).to_bytes(16, "big")


class Cell:
    """One histogram: a count per bucket, the last for all above, and the sum of durations in seconds."""

    __slots__ = ("counts", "total_s")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total_s = 0.0


class Series:
    """A metric with its labels; a cell per error type, so that an error ratio is a quotient of counts."""

    __slots__ = ("bounds", "cells", "labels", "metric", "ok")

    def __init__(self, metric: Metric, labels: Mapping[str, str]) -> None:
        self.metric = metric
        self.labels = dict(labels)
        self.bounds = names.BOUNDS_S[metric]
        self.ok = Cell(len(self.bounds) + 1)
        self.cells: dict[str, Cell] = {OK: self.ok}  # there from the start: a counter that is born at 1 hides its first event

    def observe(self, duration_s: float, error: str = OK, weight: int = 1) -> None:
        cell = self.cells.get(error)
        if cell is None:
            cell = self.cells[error] = Cell(len(self.bounds) + 1)
        cell.counts[bisect_left(self.bounds, duration_s)] += weight
        cell.total_s += duration_s * weight

    @property
    def count(self) -> int:
        return sum(sum(cell.counts) for cell in self.cells.values())

    @property
    def errors(self) -> int:
        return self.count - sum(self.ok.counts)


class Record(NamedTuple):
    """One finished unit of work.

    start: seconds on the monotonic clock. error: type name of what it raised, or empty. stands_for: how many units of work this
    one represents. attributes: None, or what is known of this one alone.
    """

    series: Series
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start: float
    duration_s: float
    error: str = OK
    stands_for: int = 1
    attributes: dict[str, Any] | None = None

    def __repr__(self) -> str:
        labels = ".".join(self.series.labels.values())
        error = f" {self.error}" if self.error else ""
        return f"<Record {labels} {self.duration_s * 1e3:.3f} ms{error} trace {self.trace_id.hex()}>"


class Counter:
    """A count that only grows, with its labels."""

    __slots__ = ("labels", "metric", "value")

    def __init__(self, metric: Metric, labels: Mapping[str, str]) -> None:
        self.metric = metric
        self.labels = dict(labels)
        self.value = 0


Gauge = Callable[[], Iterator[tuple[Mapping[str, str], float]]]
"""Read at scrape: yields (labels, value)."""


class Recorder:
    """Where an instance's records go. One per instance."""

    def __init__(self, *, service: str = "", version: str = "", instance: str = "", ring_records: int = 4096) -> None:
        self.resource = {"service": service, "version": version, "instance": instance}
        self._ring: deque[tuple[Any, ...]] = deque(maxlen=ring_records)
        self._series: dict[tuple[Metric, tuple[tuple[str, str], ...]], Series] = {}
        self._counters: dict[tuple[Metric, tuple[tuple[str, str], ...]], Counter] = {}
        self._sizes: dict[Metric, int] = {}
        self.gauges: list[tuple[Metric, Gauge]] = []
        self.wall_offset = time.time() - time.monotonic()
        self._keep = self._ring.append

    def __repr__(self) -> str:
        return f"<Recorder of {self.resource['service'] or 'no service'}: {len(self._series)} series, {len(self._ring)} records>"

    def series(self, metric: Metric, /, **labels: str) -> Series:
        """The series of a metric with these labels; the same object each time. Callers keep it, this is not for hot paths."""
        key = (metric, tuple(sorted(labels.items())))
        found = self._series.get(key)
        if found is None:
            size = self._sizes.get(metric, 0)
            if size >= MAX_SERIES and "overflow" not in labels.values():
                self.counter(names.RECORDS_DROPPED, metric=metric.name).value += 1
                return self.series(metric, **dict.fromkeys(labels, "overflow"))
            self._sizes[metric] = size + 1
            found = self._series[key] = Series(metric, labels)
        return found

    def counter(self, metric: Metric, /, **labels: str) -> Counter:
        key = (metric, tuple(sorted(labels.items())))
        found = self._counters.get(key)
        if found is None:
            found = self._counters[key] = Counter(metric, labels)
        return found

    def gauge(self, metric: Metric, read: Gauge) -> None:
        self.gauges.append((metric, read))

    def finish(
        self,
        series: Series,
        trace_id: bytes,
        span_id: bytes,
        parent_id: bytes,
        start: float,
        end: float,
        error: str = OK,
        stands_for: int = 1,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        """Record a unit of work that ran from `start` to `end` (monotonic seconds): into its histogram and into the ring.

        All by position, as is the tuple that goes into the ring: this runs twice for every call between instances.
        """
        duration_s = end - start
        if error:
            series.observe(duration_s, error, stands_for)
        else:
            cell = series.ok
            cell.counts[bisect_left(series.bounds, duration_s)] += stands_for
            cell.total_s += duration_s * stands_for
        self._keep((series, trace_id, span_id, parent_id, start, duration_s, error, stands_for, attributes))

    def records(self) -> list[Record]:
        """Those in the ring, oldest first."""
        return [Record(*fields) for fields in self._ring]

    def all_series(self) -> list[Series]:
        return list(self._series.values())

    def all_counters(self) -> list[Counter]:
        return list(self._counters.values())
