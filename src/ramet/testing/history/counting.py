"""How many tokens a set may have at a look. What is settled is counted once, so that a look costs what is open at its time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ramet.testing.history.cells import BEFORE_ALL, Cell, Write, start_of


@dataclass(slots=True)
class Bounds:
    least: int = 0
    """Tokens that must be there."""
    most: int = 0
    """Those that may be there."""
    ever: int = 0
    """Those that were ever asked for, or there before, whether or not they were removed since."""
    there: Write = BEFORE_ALL
    """The last write that a token is there by which must be there."""
    gone: Write = BEFORE_ALL
    """The last write that a token was removed by which cannot be there."""

    def add(self, cell: Cell, until_s: float, floor: Write) -> None:
        may_be_there = cell.is_possible(True, until_s, floor)
        may_be_gone = cell.is_possible(False, until_s, floor)
        self.ever += bool(cell.writers(True, until_s))
        self.most += may_be_there
        self.least += not may_be_gone
        if not may_be_gone:
            self.there = max(self.there, floor, key=start_of)
        elif not may_be_there:
            self.gone = max(self.gone, floor, key=start_of)


class Counted:
    """The tokens of one set, in the eyes of one client, or of all together. Ask for looks in the order in which they began."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        before = [cell for cell in cells if cell.writers(True, BEFORE_ALL.start_s)]
        later = [cell for cell in cells if not cell.writers(True, BEFORE_ALL.start_s)]
        self._later = sorted(later, key=lambda cell: -cell.first_start_s)
        self._open = before
        self._settled = Bounds()

    def bounds(self, until_s: float, floor_of: Callable[[Cell], Write]) -> Bounds:
        """For a look that ends then. floor_of: what the looker must know of, of each cell."""
        while self._later and self._later[-1].first_start_s <= until_s:
            self._open.append(self._later.pop())
        settled = self._settled
        found = Bounds(settled.least, settled.most, settled.ever, settled.there, settled.gone)
        still_open: list[Cell] = []
        for cell in self._open:
            floor = floor_of(cell)
            found.add(cell, until_s, floor)
            if cell.is_settled(floor):
                settled.add(cell, until_s, floor)
            else:
                still_open.append(cell)
        self._open = still_open
        return found
