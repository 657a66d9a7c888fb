"""RM701, RM707, RM709: what code takes of another module, against what that module's face offers."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ramet.check import imports, rules
from ramet.check.findings import Finding, listed
from ramet.check.project import ModuleSource, Project, SourceFile, Target


class Reach(NamedTuple):
    """A file takes something of another module."""

    file: SourceFile
    line: int
    owner: ModuleSource
    target: Target


def find(project: Project) -> Iterator[Finding]:
    inner: dict[str, list[Reach]] = {}
    for file in project.files.values():
        told: set[str] = set()
        for reach in reaches(project, file):
            if not reach.owner.faces:
                inner.setdefault(reach.owner.name, []).append(reach)
                continue
            for finding in _judge(project, reach):
                if finding.subject not in told:
                    told.add(finding.subject)
                    yield finding
    for module in project.modules:
        if project.is_application or inner.get(module.name):
            yield from _without_face(project, module, inner.get(module.name, []))


def reaches(project: Project, file: SourceFile) -> Iterator[Reach]:
    """Imports, and then attributes of what was imported."""
    facts = project.facts[file.name]
    own = project.module_of(file.name)
    for each in facts.imports:
        yield from _reach(project, file, own, each.line, project.imported(each.path))
    bound = project.bindings(file.name)
    for each in facts.uses:
        path = imports.resolve(each.dotted, bound)
        yield from _reach(project, file, own, each.line, project.target(path) if path else None)


def _reach(project: Project, file: SourceFile, own: ModuleSource | None, line: int, target: Target | None) -> Iterable[Reach]:
    if target is None:
        return ()
    owner = project.module_of(target.file)
    return () if owner is None or owner is own else (Reach(file, line, owner, target),)


def _judge(project: Project, reach: Reach) -> Iterator[Finding]:
    owner, (target, rest) = reach.owner, reach.target
    public = owner.public
    below = ".".join(filter(None, [target, rest]))[len(owner.package) + 1 :]
    if public is not None and any(re.fullmatch(pattern, part) for pattern in public.patterns for part in _beginnings(below)):
        return
    if target not in owner.faces:
        yield _past(reach, target, f"imports {target}, an inner file of `{owner.name}`")
        return
    name = rest.partition(".")[0]
    if not name:
        return
    facts = project.facts[target]
    inner = project.target(project.bindings(target).get(name, ""))
    if inner is not None and not inner.rest and inner.file not in owner.faces and project.module_of(inner.file) is owner:
        yield _past(reach, inner.file, f"goes through the face of `{owner.name}` to {inner.file}, an inner file")
    elif name in facts.databases:
        yield _past(reach, f"{target}.{name}", f"takes `{name}`, the database of `{owner.name}`")
    elif name.startswith("_") and not name.endswith("__"):
        yield _past(reach, f"{target}.{name}", f"takes `{name}`, a private name of `{owner.name}`")
    elif public is not None and name not in public.names:
        known = ", ".join(sorted(public.names)) or "none"
        yield Finding(
            rules.NOT_PUBLIC,
            reach.file.shown,
            reach.line,
            f"`{name}` is not public in `{owner.name}`: {public.source} lists {known}",
            f"use one of these, or add `{name}` to the list",
            f"{owner.package}.{name}",
        )


def _past(reach: Reach, subject: str, message: str) -> Finding:
    face = reach.owner.faces[-1]
    parent, _, last = face.rpartition(".")
    alias = reach.owner.name.replace(".", "_")
    shown = f"from {parent} import {last}{'' if last == alias else f' as {alias}'}" if parent else f"import {face}"
    return Finding(
        rules.PAST_THE_FACE,
        reach.file.shown,
        reach.line,
        message,
        f"let {face} offer what is needed, as a call or a type, and `{shown}`",
        subject,
    )


def _without_face(project: Project, module: ModuleSource, reached: list[Reach]) -> Iterator[Finding]:
    if module.faces and (module.declared is not None or not project.is_application):
        return
    files = project.files_of(module)
    shown = files[0].shown if files else module.package.replace(".", "/")
    path = f"{module.package}.api"
    if project.is_application:
        yield Finding(
            rules.NO_FACE,
            shown,
            1,
            f"the package {module.package} declares no `Module({module.name!r})`",
            f'write in {path}: module = Module("{module.name}")',
            module.package,
        )
        return
    places = sorted({(each.file.shown, each.line) for each in reached})
    names = sorted({_offered(each.target) for each in reached})
    yield Finding(
        rules.NO_FACE,
        shown,
        1,
        f"`{module.name}` has no face, and {len({file for file, _ in places})} files of others import its inner files,"
        f" the first at {places[0][0]}:{places[0][1]}",
        f"write {path} with what they use: {listed(names)}",
        module.package,
    )


def _offered(target: Target) -> str:
    return ".".join(filter(None, [target.file, target.rest.partition(".")[0]]))


def _beginnings(dotted: str) -> Iterator[str]:
    while dotted:
        yield dotted
        dotted = dotted.rpartition(".")[0]
