"""From the counters of instances to the samples that a gate takes. Decisions on values; the reading is `gates`' business."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ramet.model.contract import hash_of
from ramet.model.control import Counters, Served
from ramet.model.gates.samples import Side
from ramet.model.release import Release
from ramet.observe import names

ENOUGH = 20
"""Requests of the old side without which no p95 is taken from it. With 20, one is above it."""
COLD_BUCKETS = 2
"""Buckets above the old side's p95 from which on a request is slow, where no objective says it. New instances are cold: their
first requests prepare statements and fill caches, and would be over the p95 itself each time."""


@dataclass(frozen=True, slots=True)
class SlowLimits:
    """Durations from which on a call or a request is slow, in seconds; None where nothing is known. Bounds of the histograms."""

    calls_s: float | None = None
    http_s: float | None = None


@dataclass(slots=True)
class Reader:
    """Turns readings of counters, which only grow, into what came since the one before. An instance that started again began
    at 0. Of one that is read for the first time nothing counts yet: what it did before is not this gate's."""

    modules: Sequence[str]
    _last: dict[str, Counters] = field(default_factory=dict[str, Counters])

    def __repr__(self) -> str:
        return f"<Reader of {', '.join(self.modules)}: {len(self._last)} instances>"

    def begin(self, readings: Mapping[str, Counters]) -> None:
        self._last.update(readings)

    def read(self, readings: Mapping[str, Counters], instances: Iterable[str], limits: SlowLimits) -> Side:
        """What these instances served since the last time that each was read. Those that did not answer are left for later."""
        total = Side()
        raised: dict[str, int] = {}
        for name in instances:
            if (now := readings.get(name)) is None:
                continue
            last, self._last[name] = self._last.get(name), now
            if last is None:
                continue
            if last.started != now.started:
                last = Counters(now.started, {})
            for module in self.modules:
                more = _since(last.modules.get(module), now.modules.get(module))
                errors = {error: count for error, count in more.errors.items() if count > 0}
                slow = _above(more.buckets, names.CALL_BOUNDS_S, limits.calls_s)
                slow += _above(more.http, names.HTTP_BOUNDS_S, limits.http_s)
                total += Side(more.requests, min(sum(errors.values()), more.requests), min(slow, more.requests))
                for error, count in errors.items():
                    raised[error] = raised.get(error, 0) + count
        return Side(total.requests, total.errors, total.slow, raised)


_NOTHING = Served(0, {}, [], [])


def _since(last: Served | None, now: Served | None) -> Served:
    before, after = last or _NOTHING, now or _NOTHING
    return Served(
        max(after.requests - before.requests, 0),
        {error: count - before.errors.get(error, 0) for error, count in after.errors.items()},
        _less(after.buckets, before.buckets),
        _less(after.http, before.http),
    )


def _less(after: Sequence[int], before: Sequence[int]) -> list[int]:
    return [now - (before[index] if index < len(before) else 0) for index, now in enumerate(after)]


def _above(buckets: Sequence[int], bounds: Sequence[float], limit_s: float | None) -> int:
    if limit_s is None or not buckets:
        return 0
    return sum(buckets[bisect_left(bounds, limit_s) + 1 :])


def slow_limits(readings: Iterable[Counters], modules: Sequence[str], promised_s: float | None) -> SlowLimits:
    """What users were promised, where an objective says it; else well over the old side's p95 over all that it has served.

    promised_s: the shortest latency of the application's objectives, None without any.
    """
    if promised_s is not None:
        return SlowLimits(promised_s, promised_s)
    served = [each.modules[module] for each in readings for module in modules if module in each.modules]
    return SlowLimits(
        _cold_p95([each.buckets for each in served], names.CALL_BOUNDS_S),
        _cold_p95([each.http for each in served], names.HTTP_BOUNDS_S),
    )


def _cold_p95(histograms: Sequence[Sequence[int]], bounds: Sequence[float]) -> float | None:
    counts = [sum(column) for column in zip(*(each for each in histograms if each), strict=True)]
    total = sum(counts)
    if total < ENOUGH:
        return None
    below = 0
    for index, count in enumerate(counts[:-1]):
        below += count
        if below >= 0.95 * total:
            return bounds[min(index + COLD_BUCKETS, len(bounds) - 1)]
    return None


def known_errors(readings: Iterable[Counters], modules: Sequence[str]) -> dict[str, int]:
    """What the old side has ever raised, so that old troubles are not taken for new ones."""
    found: dict[str, int] = {}
    for each in readings:
        for module in modules:
            for error, count in (each.modules[module].errors if module in each.modules else {}).items():
                found[error] = found.get(error, 0) + count
    return found


def changed_calls(release: Release, modules: Sequence[str], told: Mapping[str, str]) -> list[str]:
    """Calls whose contract, as an instance tells it, is not what the release had when its plan was made: its files were changed
    in between, and callers were compared with something else. told: qualified name -> hash."""
    return [
        name
        for module in modules
        for call, descriptor in release.modules[module].calls.items()
        if (name := f"{module}.{call}") in told and told[name] != hash_of(descriptor)
    ]
