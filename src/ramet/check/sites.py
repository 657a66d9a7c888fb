"""Which module makes which call, and where each call stands: what a comparison of two versions needs of either. Pure."""

from ramet.check import imports
from ramet.check.calling import CallGraph
from ramet.check.deployed import Sites
from ramet.check.opening import Opened
from ramet.check.project import Place, Project
from ramet.model.compatibility import Descriptor
from ramet.model.release import Release
from ramet.operate.files import FILE


def contracts_of(release: Release) -> dict[str, Descriptor]:
    return {f"{module}.{name}": call for module, part in release.modules.items() for name, call in part.calls.items()}


def sites_by_uses(release: Release) -> Sites:
    """Each module makes every call of those that it uses, as far as is known."""
    return {
        call: {module: "" for module, part in release.modules.items() if call.partition(".")[0] in part.uses}
        for call in contracts_of(release)
    }


def sites_in(project: Project) -> Sites:
    """Where each module makes, or names, a call of another one: the first place of each."""
    graph = CallGraph(project)
    found: dict[str, dict[str, str]] = {}
    for file in project.files.values():
        own = project.module_of(file.name)
        if own is None:
            continue
        bound = project.bindings(file.name)
        facts = project.facts[file.name]
        named = [(call.line, graph.called(file.name, call)) for call in facts.calls]
        named += [(use.line, project.definition(imports.resolve(use.dotted, bound))) for use in facts.uses]
        named += [(each.line, project.definition(each.path)) for each in facts.imports if each.name]
        for line, function in named:
            if function is None or project.module_of(function.file) is own:
                continue
            for *_, call in graph.ways(function, lambda each, own=own: graph.is_exposed_elsewhere(each, own)):
                owner = project.module_of(call.file)
                assert owner is not None
                found.setdefault(f"{owner.name}.{call.rest}", {}).setdefault(own.name, f"{file.shown}:{line}")
    return found


def places_in(opened: Opened) -> dict[str, Place]:
    """Of each call and of each module."""
    project = opened.project
    found = {module.name: module.declared or Place(FILE, 1) for module in project.modules}
    for file in project.files.values():
        module = project.module_of(file.name)
        if module is not None:
            for name, line in project.facts[file.name].exposed.items():
                found[f"{module.name}.{name}"] = Place(file.shown, line)
    return found
