"""Whether to call again after an error. Pure; the budget is a value that counts."""

from dataclasses import dataclass

from ramet.errors import CallError, ConnectionLost, DeadlineExceeded, Overloaded, Unavailable

MAX_ATTEMPTS = 3
_TRANSIENT = (ConnectionLost, DeadlineExceeded, Overloaded, Unavailable)
"""Errors that another attempt may cure. The others would come again."""


class Budget:
    """Retries that may still be made: a share of the calls, plus a few to begin with, so that a quiet caller may retry too.

    One per module that is called. Source of the scheme: Finagle's RetryBudget; its share is 20 %, ours 10 %.
    """

    __slots__ = ("share", "tokens")

    FIRST = 10.0
    MOST = 100.0

    def __init__(self, share: float) -> None:
        self.share = share
        self.tokens = self.FIRST

    def __repr__(self) -> str:
        return f"<Budget {self.tokens:.1f} retries, {self.share:.0%} of calls>"

    def deposit(self) -> None:
        if self.tokens < self.MOST:
            self.tokens += self.share

    def withdraw(self) -> bool:
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class Again:
    pass


@dataclass(frozen=True, slots=True)
class GiveUp:
    why: str


def decide(error: CallError, *, repeatable: bool, tried: int, left_s: float) -> Again | GiveUp:
    """After `tried` attempts ended in `error`, with `left_s` until the deadline.

    repeatable: running it twice does no harm: it is idempotent, or its key is known to whoever would run it again.
    """
    if not isinstance(error, _TRANSIENT):
        return GiveUp("it would end the same way")
    if error.may_have_run and not repeatable:
        return GiveUp("it may have run, and its contract does not let it run twice")
    if tried >= MAX_ATTEMPTS:
        return GiveUp(f"tried {tried} times")
    if left_s <= 0:
        return GiveUp("no time is left")
    return Again()


def attempt_s(*, left_s: float, tried: int, endpoints: int) -> float:
    """How long one attempt of an idempotent call may take: while it can be repeated elsewhere, half of what is left."""
    if endpoints > 1 and tried + 1 < MAX_ATTEMPTS:
        return left_s / 2
    return left_s
