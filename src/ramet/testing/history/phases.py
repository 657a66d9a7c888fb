"""What was going on while something was done to the system, such as a step of a plan: before, during and after, from one history.

A request belongs to the phase in which it was to begin: one that had to wait because the system stood still counts where the wait
began. Its latency counts from then too. `before` and `after` are windows next to the phase. Of a window the part that belongs to
another phase, or to a time without load, is left out.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.testing.history.findings import Finding, Kind
from ramet.testing.history.operation import Operation


@dataclass(frozen=True, slots=True)
class Mark:
    """began_s, ended_s: on the history's clock."""

    name: str
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Phase:
    """Percentiles are by the nearest rank, in milliseconds, over all requests with an answer; None where there is none."""

    name: str
    seconds: float
    requests: int
    failed: int
    twice: int
    lost: int
    stale: int
    unexpected: int
    p50_ms: float | None
    p99_before_ms: float | None
    p99_during_ms: float | None
    p99_after_ms: float | None

    @property
    def is_clean(self) -> bool:
        return not any(getattr(self, kind.value) for kind in Kind)

    @property
    def rps(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "seconds": round(self.seconds, 2),
            "requests": self.requests,
            **{kind.value: getattr(self, kind.value) for kind in Kind},
            "rps": round(self.rps, 1),
            "p50_ms": _rounded(self.p50_ms),
            "p99_ms": _rounded(self.p99_during_ms),
            "p99_before_ms": _rounded(self.p99_before_ms),
            "p99_during_ms": _rounded(self.p99_during_ms),
            "p99_after_ms": _rounded(self.p99_after_ms),
        }


def summarize(
    operations: Sequence[Operation],
    findings: Iterable[Finding],
    marks: Sequence[Mark],
    *,
    window_s: float = 10.0,
    load: Mark | None = None,
) -> list[Phase]:
    """A phase for each mark. findings: what `check` found in these operations. window_s: length of before and after.

    load: when there was load; windows do not reach past it. None: all the time.
    """
    by_operation: dict[int | None, list[Finding]] = {}
    for finding in findings:
        by_operation.setdefault(finding.operation, []).append(finding)
    whole = load or Mark("", -math.inf, math.inf)
    phases: list[Phase] = []
    for mark in marks:
        earlier = [each.ended_s for each in marks if each.ended_s <= mark.began_s]
        later = [each.began_s for each in marks if each.began_s >= mark.ended_s]
        before_s = max(mark.began_s - window_s, whole.began_s, *earlier)
        after_s = min(mark.ended_s + window_s, whole.ended_s, *later)
        inside = [(number, each) for number, each in enumerate(operations) if mark.began_s <= each.due_s < mark.ended_s]
        counts = Counter(kind for number, _ in inside for kind in {each.kind for each in by_operation.get(number, ())})
        during = _latencies_s(operations, mark.began_s, mark.ended_s)
        phases.append(
            Phase(
                mark.name,
                mark.ended_s - mark.began_s,
                len(inside),
                **{kind.value: counts[kind] for kind in Kind},
                p50_ms=percentile_ms(during, 50),
                p99_before_ms=percentile_ms(_latencies_s(operations, before_s, mark.began_s), 99),
                p99_during_ms=percentile_ms(during, 99),
                p99_after_ms=percentile_ms(_latencies_s(operations, mark.ended_s, after_s), 99),
            )
        )
    return phases


def _latencies_s(operations: Sequence[Operation], begin_s: float, end_s: float) -> list[float]:
    return [each.latency_s for each in operations if begin_s <= each.due_s < end_s and each.latency_s is not None]


def percentile_ms(latencies_s: Sequence[float], percent: float) -> float | None:
    """By the nearest rank."""
    if not latencies_s:
        return None
    return sorted(latencies_s)[max(1, math.ceil(len(latencies_s) * percent / 100)) - 1] * 1000


COLUMNS = (
    "step", "seconds", "requests", "failed", "commands run twice", "lost writes", "stale", "unexpected",
    "p99 before", "during", "after",
)  # fmt: skip


def table(phases: Iterable[Phase]) -> str:
    """For people: one line each. `-` where there was no request."""
    rows = [[*COLUMNS]]
    for phase in phases:
        counts = (phase.requests, phase.failed, phase.twice, phase.lost, phase.stale, phase.unexpected)
        times = (phase.p99_before_ms, phase.p99_during_ms, phase.p99_after_ms)
        cells = ["-" if each is None else f"{each:.1f} ms" for each in times]
        rows.append([phase.name, f"{phase.seconds:.1f}", *map(str, counts), *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 2)
