"""Whose name is it: the walk's place among functions and classes, and what was said there of names.

A name that a function binds itself hides the one of the top level. That is known only at the function's end, so what a function
says of names waits in its frame, and what is not hidden goes on to the frame around it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ramet.check.facts import Call, Mutation, Use

Said = Use | Call | Mutation


class _Frame(NamedTuple):
    """A function. waiting: (the name at its root, what is said of it)."""

    name: str
    own: set[str]
    outer: set[str]
    waiting: list[tuple[str, Said]]


class Scopes:
    """said: what is known not to be hidden, once the walk is over. functions: qualified names. names: of the top level."""

    def __init__(self) -> None:
        self._frames: list[_Frame] = []
        self._classes: list[str] = []
        self._classes_around: list[list[str]] = []
        self.said: list[tuple[str, Said]] = []
        self.functions: dict[str, None] = {}
        self.names: set[str] = set()

    @property
    def function(self) -> str:
        """The qualified name of the function here; empty at the top level and in a class's body."""
        return self._frames[-1].name if self._frames else ""

    @property
    def is_top(self) -> bool:
        return not self._frames and not self._classes

    def enter_class(self, name: str) -> None:
        self._classes.append(name)

    def leave_class(self) -> None:
        self._classes.pop()

    def enter_function(self, name: str, line: int, parameters: Iterable[str]) -> None:
        around = self.function
        qualified = ".".join([*([around] if around else []), *self._classes, name])
        self.functions[qualified] = None
        if around:  # whoever calls the outer one may run the inner one
            self.say(Call(line, around, qualified, 0), root=name)
        self._enter(qualified, parameters)

    def enter_lambda(self, parameters: Iterable[str]) -> None:
        """Its body belongs to the function around it."""
        self._enter(self.function, parameters)

    def _enter(self, name: str, parameters: Iterable[str]) -> None:
        self._frames.append(_Frame(name, set(parameters), set(), []))
        self._classes_around.append(self._classes)
        self._classes = []

    def leave_function(self) -> None:
        frame = self._frames.pop()
        self._classes = self._classes_around.pop()
        for root, said in frame.waiting:
            if root not in frame.own:
                self.say(said, root=root)
            elif isinstance(said, Call):
                self._own_call(frame, root, said)

    def _own_call(self, frame: _Frame, root: str, call: Call) -> None:
        """Of a function within this one, or of a method of the same class; of another value of its own nothing is known."""
        if (nested := f"{frame.name}.{call.dotted}") in self.functions:
            self.said.append((root, call._replace(dotted=nested)))
        elif root in {"self", "cls"} or call.dotted in self.functions:
            self.said.append((root, call))

    def bind(self, name: str) -> None:
        if self._frames:
            frame = self._frames[-1]
            if name not in frame.outer:
                frame.own.add(name)
        elif self.is_top:
            self.names.add(name)

    def bind_outer(self, names: Iterable[str]) -> None:
        """`global`: assignments in this function are of the top level."""
        if self._frames:
            self._frames[-1].outer.update(names)

    def is_outer(self, name: str) -> bool:
        return bool(self._frames) and name in self._frames[-1].outer

    def say(self, said: Said, *, root: str = "") -> None:
        root = root or said.dotted.partition(".")[0]
        (self._frames[-1].waiting if self._frames else self.said).append((root, said))
