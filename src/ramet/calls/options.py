"""What a caller may ask of the calls it makes, and read of the work that it is part of: `ramet.calling`, `ramet.context`."""

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from ramet.kit.durations import parse_duration_s
from ramet.wire.context import Context, Wanted, check_baggage, current


def context() -> Context:
    """The work that is running: its trace, deadline, caller, key and baggage."""
    return current.get()


@contextmanager
def calling(
    *,
    deadline: str | float | None = None,
    hedge_after: str | float | None = None,
    key: str | None = None,
    baggage: Mapping[str, str] | None = None,
) -> Generator[None]:
    """Ask something of the calls made inside the block.

        with ramet.calling(deadline="200ms"):
            article = await articles.get_article(slug)

    deadline: time for each of them, shorter or longer than declared, never past the deadline of the work around.
    hedge_after: ask a second instance after that time; calls that are not idempotent ignore it.
    key: the idempotency key of the `once` call in the block; by default each call draws its own.
    baggage: added to what travels with the calls and all that they call; at most 4 KiB in sum (UsageError).
    """
    outer = current.get()
    merged = outer.baggage if baggage is None else check_baggage({**(outer.baggage or {}), **baggage})
    wanted = Wanted(
        deadline_s=None if deadline is None else parse_duration_s(deadline),
        hedge_after_s=None if hedge_after is None else parse_duration_s(hedge_after),
        key=key,
    )
    # A budget without end keeps the calls off the facade's fast path, which does not look at what is wanted.
    current.set(outer.derive(wanted=wanted, baggage=merged, budget_s=math.inf))
    try:
        yield
    finally:
        current.set(outer)
