"""All that was written and seen of one key, judged in the order in which its looks began."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ramet.testing.history.cells import BEFORE_ALL, Cell, Floor, Write, newer, start_of
from ramet.testing.history.counting import Bounds, Counted
from ramet.testing.history.errors import HistoryRefused
from ramet.testing.history.findings import Kind, Promise
from ramet.testing.history.operation import Seen, Some, Value


@dataclass(frozen=True, slots=True)
class Look:
    """operation: the request that looked; None for the final state."""

    operation: int | None
    client: str | None
    start_s: float
    end_s: float
    seen: Seen

    @property
    def is_final(self) -> bool:
        return self.operation is None


def final(seen: Seen) -> Look:
    """After all that came to an end."""
    return Look(None, None, math.inf, math.inf, seen)


@dataclass(frozen=True, slots=True)
class Fault:
    """operation: as in a Finding. other: the request whose effect should have been seen, or None."""

    kind: Kind
    operation: int | None
    what: str
    other: int | None = None


class Key:
    """A register has one cell, whose token is None; a set has one for each token that was ever asked for or seen."""

    def __init__(self, name: str, promise: Promise, first: Value | tuple[str, ...]) -> None:
        self._name = name
        self._promise = promise
        self._cells: dict[str | None, Cell] = {}
        self._is_set: bool | None = None
        """None until it is written or looked at."""
        self._looks: list[Look] = []
        self._counters: dict[str | None, Counted] = {}
        """By client. None for all together, and before that for clients that are not known, of whom nothing is settled."""
        self._twice: set[str | None] = set()
        """Tokens that were reported; None: a count of all was."""
        if isinstance(first, tuple):
            self._is_set = True
            self._cells = {token: Cell(True) for token in first}
        elif first is not None:
            self._is_set = False
            self._cells[None] = Cell(first)

    def write(self, token: str | None, value: Value, write: Write, client: str | None) -> None:
        """token: None for a register. What a write of a token writes is True where it adds and False where it removes."""
        self._must_be(is_set=token is not None)
        cell = self._cell(token)
        cell.write(value, write)
        if write.end_s < math.inf:
            for floor in self._told(cell, client):
                floor.learn(write.end_s, write)

    def refuse(self, token: str | None, value: Value, operation: int) -> None:
        self._must_be(is_set=token is not None)
        self._cell(token).refuse(value, operation)

    def look(self, look: Look) -> None:
        if look.seen == Some():
            return  # it says nothing, not even that this is a set
        self._must_be(is_set=isinstance(look.seen, (tuple, Some)))
        self._looks.append(look)

    def look_finally(self, seen: Seen) -> None:
        """seen: None for what is not there, whether it would be a register or a set."""
        self.look(final(() if seen is None and self._is_set else seen))

    def faults(self) -> Iterator[Fault]:
        for look in sorted(self._looks, key=lambda each: each.start_s):
            if isinstance(look.seen, Some):
                yield from self._repeated(look, look.seen.has)
                for token in dict.fromkeys(look.seen.has):
                    yield from self._judge(look, token, True)
                for token in look.seen.lacks:
                    yield from self._judge(look, token, False)
                if look.seen.count is not None:
                    yield from self._count(look, look.seen.count)
            elif isinstance(look.seen, tuple):
                yield from self._repeated(look, look.seen)
                there = dict.fromkeys(look.seen)
                for token in [*there, *(token for token in self._cells if token not in there)]:
                    yield from self._judge(look, token, token in there)
            else:
                yield from self._judge(look, None, look.seen)

    def _must_be(self, *, is_set: bool) -> None:
        if self._is_set is None:
            self._is_set = is_set
        elif self._is_set is not is_set:
            raise HistoryRefused(
                f"{self._name} is a register in one request and a set in another",
                hint="a register is set to one value, such as a text; a set is added to, and seen as a tuple or Some(...)",
            )

    def _cell(self, token: str | None) -> Cell:
        if token not in self._cells:
            self._cells[token] = Cell(None if token is None else False)
        return self._cells[token]

    def _told(self, cell: Cell, client: str | None) -> list[Floor]:
        """The floors that rise with what this client is told."""
        everyone = cell.floor(None)
        return [everyone, cell.floor(client)] if self._promise is Promise.SESSION and client is not None else [everyone]

    def _scope(self, look: Look) -> str | None:
        """Whose floors count; None for those of all together."""
        return None if self._promise is Promise.REAL_TIME or look.is_final else look.client

    def _floor(self, cell: Cell, look: Look) -> Write:
        """What the looker must know of."""
        if look.client is None and self._promise is Promise.SESSION and not look.is_final:
            return BEFORE_ALL
        return cell.floor(self._scope(look)).at(look.start_s)

    def _judge(self, look: Look, token: str | None, value: Value) -> Iterator[Fault]:
        cell, scope = self._cell(token), self._scope(look)
        if cell.settled.get(scope, cell) == value:
            return
        writers = cell.writers(value, look.end_s)
        if not writers and value is not (None if token is None else False):
            refused = cell.refused(value)
            yield Fault(Kind.UNEXPECTED, look.operation if refused is None else refused, self._what(token, value))
            return
        floor = self._floor(cell, look)
        possible = newer(writers, floor)
        if not possible:
            yield self._missed(look, self._what(token, value), floor.operation)
            return
        seen = min(possible, key=start_of)
        if seen is floor and cell.is_settled(floor):
            cell.settled[scope] = value
        elif seen.operation is not None:
            for known in self._told(cell, look.client):
                known.learn(look.end_s, seen)

    def _what(self, token: str | None, value: Value) -> str:
        return f"{value!r} in {self._name}" if token is None else f"{token!r} {'' if value else 'not '}in {self._name}"

    def _missed(self, look: Look, what: str, operation: int | None) -> Fault:
        """The effect of the operation is not seen."""
        return Fault(Kind.LOST, operation, what) if look.is_final else Fault(Kind.STALE, look.operation, what, operation)

    def _repeated(self, look: Look, tokens: tuple[str, ...]) -> Iterator[Fault]:
        if len(set(tokens)) == len(tokens):
            return
        for token, times in Counter(tokens).items():
            if times > 1 and token not in self._twice:
                self._twice.add(token)
                by = self._cell(token).last_write(True).operation
                yield Fault(Kind.TWICE, look.operation if by is None else by, f"{token!r} {times} times in {self._name}")

    def _count(self, look: Look, count: int) -> Iterator[Fault]:
        """How many tokens there are: at least those that must be there, at most those that may be."""
        bounds = self._bounds(look)
        least, most = bounds.least, bounds.most
        what = f"{count} in {self._name}, in place of {least if least == most else f'{least} to {most}'}"
        if count < least:
            yield self._missed(look, what, bounds.there.operation)
        elif most < count <= bounds.ever:
            yield self._missed(look, what, bounds.gone.operation)
        elif count > bounds.ever and not self._twice:
            self._twice.add(None)
            by = max((cell.last_write(True) for cell in self._cells.values()), key=start_of, default=BEFORE_ALL).operation
            yield Fault(Kind.TWICE, look.operation if by is None else by, what)

    def _bounds(self, look: Look) -> Bounds:
        scope = self._scope(look)
        if scope not in self._counters:
            self._counters[scope] = Counted(self._cells.values())
        return self._counters[scope].bounds(look.end_s, lambda cell: self._floor(cell, look))
