"""What came of a phase: counted, with the first few of what was wrong in words."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

KINDS = ("failed", "lost", "twice", "stale")
MAX_TOLD = 20


@dataclass
class Tally:
    """failed: no answer, a 5xx, or an answer that the request does not explain. lost: what was acknowledged is not there.
    twice: what was done once is there twice. stale: an older value than was acknowledged.

    All requests count. Their latencies only in the timed part, in which they begin when they are due.
    """

    requests: int = 0
    found: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    operations: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    _is_timed: bool = False

    def note(self, kind: str, text: str) -> None:
        self.found[kind] += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(f"{kind}: {text}")

    def answered(self, latency_s: float) -> None:
        if self._is_timed:
            self.latencies_s.append(latency_s)

    def begin_timing(self) -> None:
        self._is_timed = True

    def end_timing(self, seconds: float) -> None:
        self._is_timed = False
        self.seconds = seconds

    @property
    def is_clean(self) -> bool:
        return not any(self.found.values())

    def phase(self, name: str) -> dict[str, Any]:
        """As in demo.json. seconds and rps are of the timed part."""
        return {
            "name": name,
            "seconds": round(self.seconds, 2),
            "requests": self.requests,
            **{kind: self.found[kind] for kind in KINDS},
            "rps": round(len(self.latencies_s) / self.seconds, 1) if self.seconds else 0.0,
            "p50_ms": self.percentile_ms(50),
            "p99_ms": self.percentile_ms(99),
        }

    def percentile_ms(self, percent: float) -> float:
        """By the nearest rank. 0 where nothing was timed."""
        if not self.latencies_s:
            return 0.0
        ordered = sorted(self.latencies_s)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000, 2)
