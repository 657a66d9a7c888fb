"""What somebody may see of one cell, which is a register, or the presence of one token in a set (True or False).

A write of a cell took effect at one instant between its start, when it was asked for, and its end, when it was acknowledged. The
end of a write with an unknown outcome is never: it may take effect late, or not at all. So of two writes A is before B for sure
only if A ended before B started; nothing else is known of their order, and nothing else is held against the system.

A look at the cell is explained by any write of the value it saw that started before the look ended. What a looker must know of is
their floor: of the writes that they were told of before they looked, the one that started last. A write that ended before the
floor started was overwritten by it, for sure. A look that only such writes explain saw something too old.

Told of a write is who had it acknowledged, and who saw its value: of all the writes that explain a look, the one that started
first may have been the one, so that one counts. This is sound: a store in which each write takes effect at one instant between
its start and end, and each look shows such an instant, is never found wrong. It is not complete for writes at the same time.
"""

import heapq
import math
from dataclasses import dataclass

from ramet.testing.history.operation import Value


@dataclass(frozen=True, slots=True)
class Write:
    """operation: its number in the history, None for what was there before. end_s: infinity if it may take effect at any time."""

    operation: int | None
    start_s: float
    end_s: float


BEFORE_ALL = Write(None, -math.inf, -math.inf)


class Floor:
    """The write that somebody must know of. Ask with times that do not go back."""

    __slots__ = ("_coming", "write")

    def __init__(self) -> None:
        self.write = BEFORE_ALL
        self._coming: list[tuple[float, float, int, Write]] = []

    def learn(self, known_s: float, write: Write) -> None:
        """It is known from `known_s` on."""
        heapq.heappush(self._coming, (known_s, write.start_s, id(write), write))

    def at(self, time_s: float) -> Write:
        """For a look that begins then. What was learned at that very instant does not count: nobody knows which came first."""
        while self._coming and self._coming[0][0] < time_s:
            write = heapq.heappop(self._coming)[3]
            if write.start_s > self.write.start_s:
                self.write = write
        return self.write


class Cell:
    """first: what it held before all."""

    __slots__ = ("_floors", "_refused", "_writes", "settled")

    def __init__(self, first: Value) -> None:
        self._writes: dict[Value, list[Write]] = {first: [BEFORE_ALL]}
        self._refused: dict[Value, int] = {}
        self._floors: dict[str | None, Floor] = {}
        self.settled: dict[str | None, Value] = {}
        """By whose floor: the value that they see from now on, whatever comes. Others are not in it."""

    def write(self, value: Value, write: Write) -> None:
        self._writes.setdefault(value, []).append(write)

    def refuse(self, value: Value, operation: int) -> None:
        """A write that has no effect for sure."""
        self._refused[value] = operation

    def refused(self, value: Value) -> int | None:
        """The last operation that was to write it and did not; None if there is none."""
        return self._refused.get(value)

    def floor(self, scope: str | None) -> Floor:
        """Of one client; None for that of all together."""
        if scope not in self._floors:
            self._floors[scope] = Floor()
        return self._floors[scope]

    def writers(self, value: Value, until_s: float) -> list[Write]:
        """Those of the value that started by then."""
        return [write for write in self._writes.get(value, ()) if write.start_s <= until_s]

    def last_write(self, value: Value) -> Write:
        """That of the value which started last, if there is any."""
        return max(self._writes.get(value, ()), key=start_of, default=BEFORE_ALL)

    @property
    def first_start_s(self) -> float:
        """When its first write started; infinity if there is none but what was before all."""
        starts = [write.start_s for writes in self._writes.values() for write in writes if write is not BEFORE_ALL]
        return min(starts, default=math.inf)

    def is_settled(self, floor: Write) -> bool:
        """The floor is its last write, and no other one can come after it: whoever knows of it sees its value from then on."""
        return all(write is floor or write.end_s < floor.start_s for writes in self._writes.values() for write in writes)

    def is_possible(self, value: Value, until_s: float, floor: Write) -> bool:
        return bool(newer(self.writers(value, until_s), floor))


def newer(writes: list[Write], floor: Write) -> list[Write]:
    """Those that were not overwritten by the floor for sure."""
    return [write for write in writes if write.end_s >= floor.start_s]


def start_of(write: Write) -> float:
    """For sorting."""
    return write.start_s
