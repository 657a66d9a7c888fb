"""One request of a client: what it asked for, when, what came of it, and what it was shown.

A key names a thing of the application. It is a register, which holds one value, or a set, which holds tokens, each at most once:
the ids of orders, of comments, of the people who like an article. A request may set registers, add tokens to sets, remove them,
and see any of both.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | int | float | bool | None
"""Of a register. None is what a register holds before anything was written. Values that differ from write to write
(a version, a unique text) let the checker see most."""


@dataclass(frozen=True, slots=True)
class Some:
    """What was seen of a set by somebody who was not shown all of it.

    has: tokens that were there. A token that is listed twice was there twice. lacks: tokens that were looked for and not there.
    count: how many tokens there were; None if that was not shown. `Some()` says nothing: in a final state it stands for
    what could not be looked at.
    """

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    count: int | None = None


Seen = Value | tuple[str, ...] | Some
"""A register's value; or all tokens of a set, as often as they were there; or some of them."""


class Outcome(enum.StrEnum):
    OK = "ok"
    """Acknowledged: all that was asked for is done, exactly once."""
    FAILED = "failed"
    """It has no effect for sure, such as a refused connection."""
    UNKNOWN = "unknown"
    """It may have run: no answer came, or one that does not say. Its effects may come at any later time, or never."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Times are in seconds on one monotonic clock, the same for all clients of a history."""

    client: str | None
    """Who asked. None for somebody who is not recognized, to whom nothing is promised about their earlier requests."""
    name: str
    """What was asked for, for people: `POST /orders`."""
    due_s: float
    """When it was to begin. Before `invoked_s` if the client was late; latency counts from here."""
    invoked_s: float
    returned_s: float | None
    """None: it was still under way when the history was taken."""
    outcome: Outcome
    status: int | None = None
    """Of the answer, such as 503; None if there was none, or it has no such number."""
    reason: str = ""
    """Why it failed. Empty if it did not."""
    request_id: str | None = None
    """The id or idempotency key that was sent with it, with which it is found in logs."""
    sets: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """Register -> the value it is to have."""
    adds: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Set -> tokens it is to have."""
    removes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    reads: Mapping[str, Seen] = field(default_factory=dict[str, Seen])
    """What the answer showed, as of some moment between `invoked_s` and `returned_s`."""

    @property
    def kind(self) -> str:
        """command: it adds or removes tokens. write: it sets registers. read: it changes nothing."""
        return "command" if self.adds or self.removes else "write" if self.sets else "read"

    @property
    def latency_s(self) -> float | None:
        """None while it is under way."""
        return None if self.returned_s is None else self.returned_s - self.due_s

    def __str__(self) -> str:
        return f"{self.name} of {self.client}" if self.client else self.name
