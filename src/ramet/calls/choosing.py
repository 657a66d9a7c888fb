"""Which endpoints a caller may choose from while a module is at two places, and with what weights. Pure."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

from ramet.model.routing import Address, open_places


class Placed(Protocol):
    @property
    def address(self) -> Address: ...


T = TypeVar("T", bound=Placed)


@dataclass(frozen=True, slots=True)
class Pools(Generic[T]):
    """The callable endpoints of each place that takes part, and the upper bounds of their shares, the last of them 1."""

    pools: Sequence[Sequence[T]]
    bounds: Sequence[float]

    def choose(self, chance: float, tried: Collection[T]) -> Sequence[T]:
        """One place's endpoints; those of the others where all of its own were tried. chance: from [0, 1)."""
        chosen = self.pools[bisect_right(self.bounds, chance)]
        if not tried or any(each not in tried for each in chosen):
            return chosen
        return next((pool for pool in self.pools if any(each not in tried for each in pool)), chosen)


def pools(ready: Sequence[T], shares: Mapping[str, int] | None, version: str) -> Pools[T] | Sequence[T]:
    """How to choose among callable endpoints; a bare sequence where there is one pool only, which is nearly always.

    shares: place -> percent, None for all alike. A place without a callable endpoint leaves its share to the others.
    """
    if shares is None:
        return ready
    by_place: dict[str, list[T]] = {}
    for endpoint in ready:
        by_place.setdefault(endpoint.address.place, []).append(endpoint)
    present = {place: share for place, share in shares.items() if place in by_place}
    weights = open_places(present, version)
    if len(weights) < 2:
        return [endpoint for place in weights for endpoint in by_place[place]]
    total = sum(weights.values())
    bounds = [bound / total for bound in accumulate(weights.values())]
    return Pools([by_place[place] for place in weights], [*bounds[:-1], 1.0])
