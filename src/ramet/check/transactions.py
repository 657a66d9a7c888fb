"""RM105: calls to other modules inside a transaction, made there or by a function that is called there.

The graph of functions is followed through all files: what runs in the block is a call that another module exposes, or a function
that leads to one. In a package without `Module` declarations every function of another module counts as a call.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ramet.check import rules
from ramet.check.calling import CallGraph
from ramet.check.facts import Call
from ramet.check.findings import Finding
from ramet.check.project import ModuleSource, Project, SourceFile, Target


class Way(NamedTuple):
    """call: what is called in the end. over: the functions on the way, outermost first."""

    call: Target
    over: tuple[Target, ...]


def find(project: Project) -> Iterator[Finding]:
    follower = _Follower(project)
    for file in project.files.values():
        own = project.module_of(file.name)
        if own is None:
            continue
        told: set[str] = set()
        for call in project.facts[file.name].calls:
            if not call.block_line:
                continue
            way = follower.way(file.name, call, own)
            if way is None:
                continue
            owner = project.module_of(way.call.file)
            assert owner is not None
            name = f"{owner.name}.{way.call.rest}"
            subject = f"{call.function} {name}"
            if subject not in told:
                told.add(subject)
                yield _finding(file, call, name, way)


def _finding(file: SourceFile, call: Call, name: str, way: Way) -> Finding:
    over = f", by way of `{'`, `'.join(each.rest for each in way.over)}`" if way.over else ""
    return Finding(
        rules.CALL_IN_TRANSACTION,
        file.shown,
        call.line,
        f"`{call.function}` calls `{name}` inside the transaction that line {call.block_line} opens{over}",
        "make the call before the block and use its result there, or make it after the block",
        f"{call.function} {name}",
    )


class _Follower:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._graph = CallGraph(project)
        self._ways: dict[tuple[Target, str], Way | None] = {}

    def way(self, file: str, call: Call, own: ModuleSource) -> Way | None:
        """How a call, as written in a file, ends in a call to a module other than `own`. None: it does not."""
        called = self._graph.called(file, call)
        if called is None:
            return None
        if self._is_remote(called, own):
            return Way(called, ())
        below = self._below(called, own)
        return Way(below.call, (called, *below.over)) if below else None

    def _below(self, function: Target, own: ModuleSource) -> Way | None:
        key = (function, own.name)
        if key not in self._ways:
            self._ways[key] = None  # a circle of functions leads nowhere new
            found = (self.way(function.file, call, own) for call in self._graph.calls_in(function))
            self._ways[key] = next((way for way in found if way is not None), None)
        return self._ways[key]

    def _is_remote(self, called: Target, own: ModuleSource) -> bool:
        owner = self._project.module_of(called.file)
        if owner is None or owner is own:
            return False
        return called.rest in self._project.facts[called.file].exposed or not self._project.is_application
