"""Which function calls which, through all files, as far as names tell."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from ramet.check import imports
from ramet.check.facts import Call
from ramet.check.project import ModuleSource, Project, Target


class CallGraph:
    def __init__(self, project: Project) -> None:
        self._project = project
        self._calls: dict[Target, list[Call]] = {}
        for name, facts in project.facts.items():
            for call in facts.calls:
                self._calls.setdefault(Target(name, call.function), []).append(call)

    def called(self, file: str, call: Call) -> Target | None:
        """The function that a call in a file means. None: not one of this project, or not to be seen."""
        root, _, rest = call.dotted.partition(".")
        functions = self._project.facts[file].functions
        if root in {"self", "cls"}:
            method = f"{call.function.partition('.')[0]}.{rest}"
            return Target(file, method) if method in functions else None
        path = imports.resolve(call.dotted, self._project.bindings(file))
        if path:
            return self._project.definition(path)
        return Target(file, call.dotted) if call.dotted in functions else None

    def ways(self, function: Target, is_end: Callable[[Target], bool]) -> Iterator[tuple[Target, ...]]:
        """The functions from this one to each for which `is_end` holds, by the shortest way. An end is not looked behind."""
        waiting, came_from = deque([function]), {function: function}
        while waiting:
            each = waiting.popleft()
            if is_end(each):
                yield _back(each, came_from)
                continue
            for call in self._calls.get(each, ()):
                called = self.called(each.file, call)
                if called is not None and called not in came_from:
                    came_from[called] = each
                    waiting.append(called)

    def is_exposed_elsewhere(self, function: Target, own: ModuleSource) -> bool:
        """Whether it is a call of another module than `own`. A function of a face that is no call runs where its caller does."""
        owner = self._project.module_of(function.file)
        return owner is not None and owner is not own and function.rest in self._project.facts[function.file].exposed


def _back(function: Target, came_from: Mapping[Target, Target]) -> tuple[Target, ...]:
    way = [function]
    while came_from[way[-1]] != way[-1]:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))
