"""Which function calls which, through all files, as far as names tell."""

from collections.abc import Iterator, Sequence

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

    def calls_in(self, function: Target) -> Sequence[Call]:
        return self._calls.get(function, ())

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

    def exposed_from(self, function: Target, own: ModuleSource) -> Iterator[Target]:
        """The calls of modules other than `own` that a function is, or comes to. A function of a face that is no call runs where
        its caller does."""
        waiting, seen = [function], {function}
        while waiting:
            each = waiting.pop()
            owner = self._project.module_of(each.file)
            if owner is not None and owner is not own and each.rest in self._project.facts[each.file].exposed:
                yield each
                continue
            for call in self.calls_in(each):
                called = self.called(each.file, call)
                if called is not None and called not in seen:
                    seen.add(called)
                    waiting.append(called)
