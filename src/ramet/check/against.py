"""Another version of the application and this one, for a comparison: a git revision, or what runs in this folder."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from ramet.check import imports, judging, opening, revisions
from ramet.check.calling import CallGraph
from ramet.check.deployed import Sites, Version, compare
from ramet.check.opening import Opened
from ramet.check.project import Place, Project
from ramet.check.report import Report
from ramet.errors import ConfigError, PlanImpossible
from ramet.model.compatibility import Descriptor
from ramet.model.release import Release
from ramet.operate import files, releases
from ramet.operate.client import Client
from ramet.operate.folder import Folder

RUNNING = "running"
"""In place of a revision: what runs in this folder. A branch of this name is `refs/heads/running`."""
HERE = "the working tree"


def report(file: Path, deployed: str) -> Report:
    """The application of a ramet.toml against a git revision, or what runs. Raises ConfigError; Unavailable if nothing runs."""
    if deployed == RUNNING:
        return with_running(file)
    return with_revision(file, deployed)


def with_running(file: Path) -> Report:
    """Of what runs there are contracts and `uses`, and no source: whoever declares the use counts as a caller."""
    found = Client(Folder(file.parent / ".ramet")).releases()
    old = [Version(f"{each.version}, which runs", contracts_of(each), sites_by_uses(each)) for each in found]
    return _report(file, old)


def with_revision(file: Path, revision: str) -> Report:
    folder = file.parent
    top = revisions.top_of(folder)
    with revisions.checked_out(top, revision) as tree:
        before = tree / folder.relative_to(top) / files.FILE
        if not before.is_file():
            raise ConfigError(f"there is no {files.FILE} in {revision} at {folder.relative_to(top)}", where=str(top))
        path = _moved(top, tree)
        project = opening.of_application(files.load(before), before, path=path, cached=False).project
        old = Version(revision, contracts_of(_release(before, revision, path)), sites_in(project))
    return _report(file, [old])


def _moved(top: Path, tree: Path) -> list[Path]:
    """What of the import path is in the repository, such as its `src`, as it is in the revision."""
    inside = [Path(entry) for entry in sys.path if entry and Path(entry).is_relative_to(top)]
    return [moved for entry in inside if (moved := tree / entry.relative_to(top)).is_dir()]


def _report(file: Path, deployed: Sequence[Version]) -> Report:
    opened = opening.of_application(files.load(file), file)
    contracts = contracts_of(_release(file, HERE, ()))
    new = Version(HERE, contracts, sites_in(opened.project), places_in(opened))
    return judging.report_of(opened, [finding for old in deployed for finding in compare(old, new)])


def _release(file: Path, version: str, path: Sequence[Path]) -> Release:
    """Imported, in a process of its own. Raises ConfigError."""
    try:
        return asyncio.run(releases.look(file.parent, (), path=path))
    except PlanImpossible as error:
        raise ConfigError(f"{version} does not import: {error.message}", where=error.where, hint=error.hint) from error


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
    found = {module.name: module.declared or Place(files.FILE, 1) for module in project.modules}
    for file in project.files.values():
        module = project.module_of(file.name)
        if module is not None:
            for name, line in project.facts[file.name].exposed.items():
                found[f"{module.name}.{name}"] = Place(file.shown, line)
    return found
