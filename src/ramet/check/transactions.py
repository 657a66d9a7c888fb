"""RM105: calls to other modules inside a transaction, made there or by a function that is called there.

The graph of functions is followed through all files: what runs in the block is a call that another module exposes, or a function
that leads to one. In a package without `Module` declarations every function of another module counts as a call.
"""

from collections.abc import Iterator

from ramet.check import rules
from ramet.check.calling import CallGraph
from ramet.check.facts import Call
from ramet.check.findings import Finding
from ramet.check.project import ModuleSource, Project, SourceFile, Target


def find(project: Project) -> Iterator[Finding]:
    graph = CallGraph(project)
    for file in project.files.values():
        own = project.module_of(file.name)
        if own is None:
            continue
        told: set[str] = set()
        for call in project.facts[file.name].calls:
            way = _way(project, graph, file, call, own) if call.block_line else ()
            if not way:
                continue
            finding = _finding(project, file, call, way)
            if finding.subject not in told:
                told.add(finding.subject)
                yield finding


def _way(project: Project, graph: CallGraph, file: SourceFile, call: Call, own: ModuleSource) -> tuple[Target, ...]:
    """The functions from a call to one of another module, the last one. Empty: it does not come to one."""
    called = graph.called(file.name, call)
    if called is None:
        return ()

    def is_remote(function: Target) -> bool:
        if project.is_application:
            return graph.is_exposed_elsewhere(function, own)
        return project.module_of(function.file) not in {None, own}

    return next(graph.ways(called, is_remote), ())


def _finding(project: Project, file: SourceFile, call: Call, way: tuple[Target, ...]) -> Finding:
    *over, last = way
    owner = project.module_of(last.file)
    assert owner is not None
    name = f"{owner.name}.{last.rest}"
    by_way = f", by way of `{'`, `'.join(each.rest for each in over)}`" if over else ""
    return Finding(
        rules.CALL_IN_TRANSACTION,
        file.shown,
        call.line,
        f"`{call.function}` calls `{name}` inside the transaction that line {call.block_line} opens{by_way}",
        "make the call before the block and use its result there, or make it after the block",
        f"{call.function} {name}",
    )
