"""A call of a module that is moving: a share of what this process calls stays here, the rest goes to the other place.

What the module calls of itself stays here: a request of its own endpoint was sent here by weights already. Calls that run here
are counted, so that the module can be dropped when the last one is over.
"""

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from ramet.calls.facade import Slow
from ramet.wire.context import current


class Split:
    """here: from 0 to 1, the share of calls that run in this process. chance: draws from [0, 1)."""

    def __init__(
        self, module: str, local: Slow, remote: Slow, here: float, *, streams: bool, chance: Callable[[], float] = random.random
    ) -> None:
        self._module = module
        self._local = local
        self._remote = remote
        self._here = here
        self._streams = streams
        self._chance = chance
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"<Split: {self._here:.0%} here, {self.in_flight} in flight>"

    def run(self, args: tuple[Any, ...]) -> Any:
        if self._chance() >= self._here and current.get().face.name != self._module:
            return self._remote(args)
        return self._items(args) if self._streams else self._one(args)

    async def _one(self, args: tuple[Any, ...]) -> Any:
        self.in_flight += 1
        try:
            return await self._local(args)
        finally:
            self.in_flight -= 1

    async def _items(self, args: tuple[Any, ...]) -> AsyncIterator[Any]:
        self.in_flight += 1
        try:
            async for item in self._local(args):
                yield item
        finally:
            self.in_flight -= 1
