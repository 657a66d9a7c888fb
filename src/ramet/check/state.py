"""RM705: values at the top level of a file that functions change.

What is only filled while files are imported, such as a registry behind a decorator, is the same in each instance: no finding.
"""

from collections.abc import Iterator

from ramet.check import imports, rules
from ramet.check.calling import CallGraph
from ramet.check.facts import Call, Mutation, State
from ramet.check.findings import Finding
from ramet.check.project import Project, SourceFile, Target


def find(project: Project) -> Iterator[Finding]:
    states = {
        (file.name, state.name): state for file in project.files.values() for state in reversed(project.facts[file.name].states)
    }
    changed: dict[tuple[str, str], tuple[SourceFile, Mutation]] = {}
    registering = _registering(project)
    for file in project.files.values():
        for mutation in project.facts[file.name].mutations:
            if Target(file.name, mutation.function.partition(".")[0]) in registering:
                continue
            place = _place(project, file, mutation.dotted)
            if place is not None and place in states:
                changed.setdefault(place, (file, mutation))
    for (name, variable), (file, mutation) in changed.items():
        yield _finding(project.files[name], states[name, variable], file, mutation)


def _finding(file: SourceFile, state: State, changed_in: SourceFile, mutation: Mutation) -> Finding:
    place = "" if changed_in is file else f" in {changed_in.shown}"
    return Finding(
        rules.SHARED_STATE,
        file.shown,
        state.line,
        f"`{state.name}` is a {state.kind} that `{mutation.function}`{place} changes (line {mutation.line})",
        "keep it in the module's database; or if each process may well have its own, add `# ramet: allow RM705 because ...`",
        state.name,
    )


def _place(project: Project, file: SourceFile, dotted: str) -> tuple[str, str] | None:
    """(file, name) of what is changed: a name of this file, or of one that it imports."""
    bound = project.bindings(file.name)
    path = imports.resolve(dotted, bound)
    if not path:
        return (file.name, dotted) if "." not in dotted else None
    target = project.target(path)
    return (target.file, target.rest) if target and target.rest and "." not in target.rest else None


def _registering(project: Project) -> set[Target]:
    """Functions that are called while files are imported, and by no function."""
    graph = CallGraph(project)
    at_import: set[Target | None] = set()
    later: set[Target | None] = set()
    for file in project.files.values():
        facts = project.facts[file.name]
        at_import.update(graph.called(file.name, Call(0, "", dotted, 0)) for dotted in facts.at_import)
        later.update(
            graph.called(file.name, call)
            for call in facts.calls
            if call.function and not call.dotted.startswith(f"{call.function}.")
        )
    return {function for function in at_import - later if function is not None}
