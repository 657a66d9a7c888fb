"""From a method and a path to what serves it: a dict for fixed paths, a tree by segment for the others, then mounts.

Fixed segments win over parameters, and parameters whose type (int, UUID) looks like the text over those that take any. Where no
route fits so, one whose parameter does not look right takes it, to answer with what is wrong (422) rather than with 404.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from ramet.errors import DeclarationError
from ramet.model.shapes import Shape

H = TypeVar("H")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ANYTHING = re.compile(r".+", re.DOTALL)
_LOOKS_LIKE = {
    "int": re.compile(r"-?\d+"),
    "float": re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
}


@dataclass(slots=True)
class _Node(Generic[H]):
    fixed: "dict[str, _Node[H]]" = field(default_factory=dict)  # pyright: ignore[reportUnknownVariableType]
    parameters: "list[tuple[re.Pattern[str], _Node[H]]]" = field(default_factory=list)  # pyright: ignore[reportUnknownVariableType]
    """Strict patterns first."""
    handlers: dict[str, tuple[H, str]] = field(default_factory=dict)  # pyright: ignore[reportUnknownVariableType]
    """method -> (handler, where it was declared)"""

    def child(self, segment: str, accepts: re.Pattern[str] | None) -> "_Node[H]":
        if accepts is None:
            return self.fixed.setdefault(segment, _Node())
        for pattern, node in self.parameters:
            if pattern is accepts:
                return node
        node = _Node[H]()
        self.parameters.append((accepts, node))
        self.parameters.sort(key=lambda each: each[0] is _ANYTHING)
        return node


class Router(Generic[H]):
    def __init__(self) -> None:
        self._root: _Node[H] = _Node()
        self._fixed: dict[str, dict[str, tuple[H, tuple[str, ...]]]] = {}
        self._mounts: list[tuple[str, H]] = []

    def __repr__(self) -> str:
        return f"<Router: {sum(map(len, self._fixed.values()))} fixed routes, {len(self._mounts)} mounts>"

    def add(self, method: str, path: str, handler: H, *, shapes: Mapping[str, Shape] | None = None, where: str = "") -> None:
        """shapes: of the path's parameters, by name. Raises DeclarationError where path and method are taken."""
        node = self._root
        for segment in path[1:].split("/"):
            accepts = _LOOKS_LIKE.get((shapes or {})[segment[1:-1]]["kind"], _ANYTHING) if segment.startswith("{") else None
            node = node.child(segment, accepts)
        if method in node.handlers:
            raise DeclarationError(
                f"{method} {path} is declared twice", where=where, hint=f"the first is at {node.handlers[method][1]}"
            )
        node.handlers[method] = (handler, where)
        if "{" not in path:
            self._fixed.setdefault(method, {})[path] = (handler, ())

    def mount(self, prefix: str, handler: H, *, where: str = "") -> None:
        """prefix: without a slash at its end; empty for everything. Raises DeclarationError where it is taken."""
        if any(prefix == taken for taken, _ in self._mounts):
            raise DeclarationError(
                f"two applications are mounted at {prefix or '/'}", where=where, hint="give one of them another prefix"
            )
        self._mounts.append((prefix, handler))
        self._mounts.sort(key=lambda each: -len(each[0]))

    def find(self, method: str, path: str, raw_path: Any = None) -> tuple[H, tuple[str, ...]] | None:
        """The handler, and the texts of the path's parameters in order.

        raw_path: the path's bytes as they were sent. There, `%2F` is part of a value; in `path` it looks like a separator.
        """
        if (found := self._fixed.get(method, {}).get(path)) is not None:
            return found
        if raw_path is not None and b"%" in raw_path:
            segments = [unquote(segment) for segment in raw_path.decode("latin-1").split("/")[1:]]
        else:
            segments = path.split("/")[1:]
        return (
            _straight(self._root, method, segments)
            or _descend(self._root, method, segments, 0, (), misfits=False)
            or _descend(self._root, method, segments, 0, (), misfits=True)
        )

    def allowed(self, path: str, raw_path: Any = None) -> list[str]:
        """The methods that the path takes, none where there is no such path."""
        return [method for method in METHODS if self.find(method, path, raw_path) is not None]

    def __iter__(self) -> Iterator[H]:
        """All but the mounts, in the order in which they are tried: of two that fit a path, the first takes it."""
        return _below(self._root)

    def mounts(self) -> Iterator[H]:
        """In the order in which they are tried."""
        return (handler for _, handler in self._mounts)

    def find_mount(self, path: str) -> tuple[H, str] | None:
        """Handler and prefix, of the longest prefix that holds the path."""
        for prefix, handler in self._mounts:
            if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
                return handler, prefix
        return None


def _below(node: _Node[H]) -> Iterator[H]:
    for handler, _ in node.handlers.values():
        yield handler
    for child in (*node.fixed.values(), *(child for _, child in node.parameters)):
        yield from _below(child)


def _straight(node: _Node[H], method: str, segments: list[str]) -> tuple[H, tuple[str, ...]] | None:
    """What `_descend` finds, where there is but one way down. None where that ends, or where a text has to be looked at."""
    values: list[str] = []
    for segment in segments:
        below = node.fixed.get(segment)
        if below is not None:
            if node.parameters:
                return None
            node = below
        elif len(node.parameters) == 1 and segment:
            node = node.parameters[0][1]
            values.append(segment)
        else:
            return None
    found = node.handlers.get(method)
    return None if found is None else (found[0], tuple(values))


def _descend(
    node: _Node[H], method: str, segments: list[str], at: int, values: tuple[str, ...], *, misfits: bool
) -> tuple[H, tuple[str, ...]] | None:
    """misfits: parameters take texts that do not look like their type, too."""
    if at == len(segments):
        found = node.handlers.get(method)
        return None if found is None else (found[0], values)
    segment = segments[at]
    below = node.fixed.get(segment)
    if below is not None and (end := _descend(below, method, segments, at + 1, values, misfits=misfits)) is not None:
        return end
    if not segment:
        return None  # a parameter is never empty
    for pattern, below in node.parameters:
        if misfits or pattern is _ANYTHING or pattern.fullmatch(segment):
            end = _descend(below, method, segments, at + 1, (*values, segment), misfits=misfits)
            if end is not None:
                return end
    return None
