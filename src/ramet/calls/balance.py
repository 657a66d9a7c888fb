"""Which endpoint takes a call: the better of two drawn at random.

Power of two choices (Mitzenmacher, 2001): nearly as even as asking all, without the herd that follows the single best. Better is
the smaller product of smoothed latency and calls in flight, the new one included, so that both a slow and a busy one are avoided.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

FADING = 0.98
"""What remains of an endpoint's known latency each time it is passed over. Otherwise one slow answer would be held against it for
ever, since nobody would ask again: one that is ten times slower is asked for about every hundredth call."""
SMOOTHING = 0.2
"""Weight of the newest latency. A guess: five calls and an endpoint is known."""


class Loaded(Protocol):
    in_flight: int
    limit: int
    latency_s: float


T = TypeVar("T", bound=Loaded)


def pick(ready: Sequence[T], chance: Callable[[], float]) -> T | None:
    """One with fewer calls in flight than its limit, or None. `chance` draws from [0, 1)."""
    count = len(ready)
    if count == 1:
        only = ready[0]
        return only if only.in_flight < only.limit else None
    if count == 0:
        return None
    first = int(chance() * count)
    second = int(chance() * (count - 1))
    if second >= first:
        second += 1
    one, other = ready[first], ready[second]
    if one.latency_s * (one.in_flight + 1) > other.latency_s * (other.in_flight + 1):
        one, other = other, one
    other.latency_s *= FADING
    if one.in_flight < one.limit:
        return one
    if other.in_flight < other.limit:
        return other
    return next((each for each in ready if each.in_flight < each.limit), None)
