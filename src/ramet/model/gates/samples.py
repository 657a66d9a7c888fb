"""What a gate is fed: how the counters of both sides moved between two readings, and what broke meanwhile."""

import math
from typing import Literal

import msgspec

LARGEST = 10**15
"""Of a counter's delta and of a time; both stay exact as floats."""


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counter deltas of all instances of one side.

    requests: that ended in this tick. errors: those of them that failed. slow: those of them that took longer than the
    objective allows, or than the old side's p95 from before the change; the limit must not move while the gate is open.

    A test on counts takes each request for a trial of its own. A feeder that knows its callers can count a caller and route
    once a tick, in all three numbers and on both sides; else `Policy.attempts` is the guard against one caller that retries.
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0
    exceptions: dict[str, int] = {}
    """Qualified name of each type that nobody declared -> distinct requests that it ended. In the first sample the old side may
    list all that it ever raised, so that old troubles are not taken for new ones."""

    def __post_init__(self) -> None:
        if not 0 <= self.requests <= LARGEST:
            raise ValueError(f"{self.requests} requests: a delta of a counter is between 0 and {LARGEST:.0e}")
        for name, value in (("errors", self.errors), ("slow", self.slow)):
            if not 0 <= value <= self.requests:
                raise ValueError(f"{value} {name} of {self.requests} requests")
        for name, value in self.exceptions.items():
            if not 0 < value <= LARGEST:
                raise ValueError(f"{value} requests ended by {name}")

    def __add__(self, other: "Side") -> "Side":
        """The numbers of two ticks as one; of the exceptions nothing is kept."""
        return Side(self.requests + other.requests, self.errors + other.errors, self.slow + other.slow)


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that needs no statistics.

    kind: `crash`, an instance ended that nobody told to; `unready`, it was not ready within its deadline or no longer is;
    `memory`, it met its memory limit; `contract`, it refuses calls that the old side takes. detail: for a person, such as
    `exit code 139`.
    """

    kind: Literal["crash", "unready", "memory", "contract"]
    instance: str
    detail: str = ""
    side: Literal["new", "old"] = "new"


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One tick. since_s, at_s: when the counters were read before and when now, in seconds of any clock that never goes back.

    weight: share of the traffic, 0 to 1, that the new side was given in this tick. Read the counters right before the weight
    is moved: a tick with two weights would compare a calm minute of one side with a bad one of the other.
    """

    since_s: float
    at_s: float
    weight: float
    new: Side = Side()
    old: Side = Side()
    signals: tuple[Signal, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.since_s) and abs(self.since_s) <= LARGEST and self.since_s < self.at_s <= LARGEST):
            raise ValueError(f"a tick from {self.since_s} s to {self.at_s} s")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"a weight of {self.weight} is not between 0 and 1")
