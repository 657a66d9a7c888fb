"""Which endpoint takes a call: the better of two drawn at random. Pure.

Power of two choices (Mitzenmacher, 2001): nearly as even as asking all, without the herd that follows the single best. Better is
the smaller product of smoothed latency and calls in flight, the new one included, so that both a slow and a busy one are avoided.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

SMOOTHING = 0.2
"""Weight of the newest latency. A guess: five calls and an endpoint is known."""


class Loaded(Protocol):
    in_flight: int
    latency_s: float

    def has_room(self) -> bool: ...


T = TypeVar("T", bound=Loaded)


def pick(ready: Sequence[T], chance: Callable[[], float]) -> T | None:
    """One with room, or None. `chance` draws from [0, 1)."""
    count = len(ready)
    if count == 0:
        return None
    if count == 1:
        return ready[0] if ready[0].has_room() else None
    first = int(chance() * count)
    second = int(chance() * (count - 1))
    if second >= first:
        second += 1
    one, other = ready[first], ready[second]
    if one.latency_s * (one.in_flight + 1) > other.latency_s * (other.in_flight + 1):
        one, other = other, one
    if one.has_room():
        return one
    if other.has_room():
        return other
    return next((each for each in ready if each.has_room()), None)
