"""Whether an endpoint should be called: circuit breaker and outlier ejection. Pure: time comes in, verdicts go out.

    CLOSED ──5 failures in a row, or far worse than its peers──> OPEN ──wait over and a PING answered──> HALF_OPEN
      ^                                                            ^                                        │
      └──────────────── the probing call succeeds ─────────────────┼────────────────────────────────────────┤
                                                                   └── it fails: twice the wait, at most 30 s ┘

A failure is what the endpoint is to blame for: no answer in time, a lost connection. A callee's exception is not one by itself,
since the argument may be at fault; it counts in `error_rate`, which is held only against an endpoint whose peers do well.
"""

import enum
from collections.abc import Sequence

FAILURES_TO_OPEN = 5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
OUTLIER_CALLS = 20
"""Calls before an error rate says anything."""
OUTLIER_RATE = 0.5
PEERS_RATE = 0.1
_SMOOTHING = 0.1
_NEGLIGIBLE = 0.001


class Circuit(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Health:
    """One endpoint's. The caller reports; the answers say whether the state changed."""

    __slots__ = ("calls", "circuit", "error_rate", "failures", "is_spotless", "opened", "wait_s")

    def __init__(self) -> None:
        self.circuit = Circuit.CLOSED
        self.failures = 0
        """In a row."""
        self.error_rate = 0.0
        """Exponentially weighted share of calls that ended in the callee's exception, over some 10 calls."""
        self.calls = 0
        self.is_spotless = True
        """Closed, no failures, no errors: a success changes nothing."""
        self.opened = 0
        self.wait_s = FIRST_WAIT_S

    def __repr__(self) -> str:
        return f"<Health {self.circuit.value}, {self.failures} failures in a row, {self.error_rate:.0%} errors>"

    def succeeded(self, error: float = 0.0) -> bool:
        """An answer came; `error` is 1 where it was the callee's exception. True if that closed the circuit."""
        self.failures = 0
        self.calls += 1
        self.error_rate += (error - self.error_rate) * _SMOOTHING
        if self.error_rate < _NEGLIGIBLE:
            self.error_rate = 0.0
        self.is_spotless = self.circuit is Circuit.CLOSED and not self.error_rate
        if self.circuit is Circuit.CLOSED:
            return False
        self._close()
        return True

    def failed(self) -> bool:
        """No answer came. True if that opened the circuit."""
        self.failures += 1
        self.is_spotless = False
        if self.circuit is Circuit.HALF_OPEN:
            self.wait_s = min(self.wait_s * 2, LONGEST_WAIT_S)
            return self.open()
        return self.circuit is Circuit.CLOSED and self.failures >= FAILURES_TO_OPEN and self.open()

    def open(self) -> bool:
        self.circuit = Circuit.OPEN
        self.is_spotless = False
        self.opened += 1
        return True

    def unanswered(self) -> None:
        """The PING after the wait was not answered: wait longer."""
        self.wait_s = min(self.wait_s * 2, LONGEST_WAIT_S)

    def probe(self) -> None:
        """The wait is over and the peer answers PING: let one call through."""
        self.circuit = Circuit.HALF_OPEN

    def _close(self) -> None:
        self.circuit = Circuit.CLOSED
        self.wait_s = FIRST_WAIT_S
        self.error_rate = 0.0
        self.calls = 0


def is_outlier(health: Health, peers: Sequence[Health], *, ejected: int, max_share: float) -> bool:
    """Whether an endpoint does so much worse than its peers that it should be ejected. ejected: how many are already."""
    others = [peer for peer in peers if peer is not health and peer.circuit is Circuit.CLOSED]
    if not others or health.calls < OUTLIER_CALLS or health.error_rate < OUTLIER_RATE:
        return False
    if ejected + 1 > max_share * len(peers):
        return False
    return sum(peer.error_rate for peer in others) / len(others) < PEERS_RATE
