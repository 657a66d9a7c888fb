"""RM620 and RM621: the contracts of this version against those of another one, which is deployed.

During a release both are there: old callers meet new callees, and new callers meet old callees. The first must work. The second
is a question of order: it works if callees are replaced first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ramet.check import imports, opening, revisions, rules, running
from ramet.check.calling import CallGraph
from ramet.check.findings import Finding
from ramet.check.importing import surface_in
from ramet.check.project import Place, Project
from ramet.check.report import Report
from ramet.errors import ConfigError
from ramet.model import compatibility
from ramet.model.compatibility import Descriptor, Difference
from ramet.model.contract import signature_of
from ramet.model.surface import Surface
from ramet.operate import files

Sites = Mapping[str, Mapping[str, str]]
"""Call -> modules that make it -> where, or empty where that is not known."""
_LEFT_OUT = "the callee requires it, the caller may leave it out"


@dataclass(frozen=True, slots=True)
class Version:
    """name: for messages, such as `main`."""

    name: str
    surface: Surface
    sites: Sites


def with_revision(file: Path, revision: str) -> Report:
    """The working tree's application against that of a git revision. file: ramet.toml. Raises ConfigError."""
    folder = file.parent
    top = revisions.top_of(folder)
    with revisions.checked_out(top, revision) as tree:
        before = tree / folder.relative_to(top)
        if not (before / files.FILE).is_file():
            raise ConfigError(f"there is no {files.FILE} in {revision} at {folder.relative_to(top)}", where=str(top))
        old_project = opening.of_application(files.load(before / files.FILE), before / files.FILE, cached=False).project
        old = Version(revision, surface_in(before, top=tree, version=revision, moved={top: tree}), sites_in(old_project))
        opened = opening.of_application(files.load(file), file)
        project = opened.project
        here = "the working tree"
        new = Version(here, surface_in(folder, top=Path(folder.anchor), version=here), sites_in(project))
    found = list(compare(old, new, {module.name: module.declared or Place(files.FILE, 1) for module in project.modules}))
    return running.report_of(opened, found)


def sites_by_uses(surface: Surface) -> Sites:
    """Who may call what, where the source is not at hand: each module every call of those that it uses."""
    return {
        call: {module: "" for module, uses in surface.uses.items() if call.partition(".")[0] in uses}
        for call in surface.contracts
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
            for target in graph.exposed_from(function, own):
                owner = project.module_of(target.file)
                assert owner is not None
                found.setdefault(f"{owner.name}.{target.rest}", {}).setdefault(own.name, f"{file.shown}:{line}")
    return found


def compare(old: Version, new: Version, declared: Mapping[str, Place]) -> Iterator[Finding]:
    """declared: module -> where this version declares it, for calls that are gone."""
    for call, before in sorted(old.surface.contracts.items()):
        callers = old.sites.get(call, {})
        after = new.surface.contracts.get(call)
        if not callers:
            continue
        if after is None:
            yield _removed(call, before, old, declared)
            continue
        place = _place(new.surface, call, declared)
        for broken in _breaks(caller=before, callee=after):
            yield Finding(
                rules.BREAKS_CALLER,
                *place,
                f"`{call}` was changed: {broken}; that breaks {_listed(callers, old.name)}",
                _way(broken, before, after),
                f"{call} {broken.at}",
            )
        if (before["idempotent"] or before["once"]) and not (after["idempotent"] or after["once"]):
            word = "idempotent" if before["idempotent"] else "once"
            yield Finding(
                rules.BREAKS_CALLER,
                *place,
                f"`{call}` is not {word} any more, and {_listed(callers, old.name)} still repeats it when an answer is lost",
                f"keep {word}=True, or add a call of another name without it and leave this one as it is until no caller is left",
                f"{call} {word}",
            )
    yield from _callee_first(old, new, declared)


def _removed(call: str, before: Descriptor, old: Version, declared: Mapping[str, Place]) -> Finding:
    module = call.partition(".")[0]
    gone = "was removed" if module in declared else f"went away with its module `{module}`"
    return Finding(
        rules.BREAKS_CALLER,
        *declared.get(module, Place("ramet.toml", 1)),
        f"`{call}` {gone}; that breaks {_listed(old.sites[call], old.name)}",
        f"keep `{signature_of(before)}` beside what takes its place, and remove it when no deployed version calls it",
        call,
    )


def _callee_first(old: Version, new: Version, declared: Mapping[str, Place]) -> Iterator[Finding]:
    for call, callers in sorted(new.sites.items()):
        after, before = new.surface.contracts.get(call), old.surface.contracts.get(call)
        if after is None:
            continue
        if before is None:
            reason = f"{old.name} does not have it"
        else:
            broken = _breaks(caller=after, callee=before)
            if not broken or _breaks(caller=before, callee=after):
                continue  # no order helps, which is told already
            reason = "; ".join(map(str, broken))
        module = call.partition(".")[0]
        yield Finding(
            rules.CALLEE_FIRST,
            *_place(new.surface, call, declared),
            f"{_listed(callers, new.name)} cannot call `{call}` of {old.name}: {reason}",
            f"release `{module}` before {', '.join(f'`{each}`' for each in sorted(callers))}",
            f"{call} first",
        )


def _place(surface: Surface, call: str, declared: Mapping[str, Place]) -> Place:
    path, _, line = surface.places.get(call, "").rpartition(":")
    return Place(path, int(line)) if path else declared.get(call.partition(".")[0], Place("ramet.toml", 1))


def _listed(callers: Mapping[str, str], version: str) -> str:
    return ", ".join(f"`{name}` ({f'{where} of ' if where else ''}{version})" for name, where in sorted(callers.items()))


def _breaks(*, caller: Descriptor, callee: Descriptor) -> list[Difference]:
    """What peers look at when they connect, and defaults, which matter only to a call that leaves the parameter out."""
    optional = {each["name"] for each in caller["parameters"] if not each["required"]}
    return compatibility.differences(caller=caller, callee=callee) + [
        Difference(each["name"], _LEFT_OUT) for each in callee["parameters"] if each["required"] and each["name"] in optional
    ]


def _way(broken: Difference, before: Descriptor, after: Descriptor) -> str:
    """How to make the change so that both versions work while both are there."""
    root = broken.at.partition(".")[0].partition("[")[0].partition(" ")[0]
    sent, taken = _parameters(before), _parameters(after)
    name = after["call"].rpartition(".")[2]
    beside = f"add a call beside it, such as `{name}_2`, and keep `{name}` until no deployed version calls it"
    field = broken.at.rpartition(".")[2]
    if before["streams"] != after["streams"]:
        return beside
    if root in taken and root not in sent:
        return f"give `{root}` a default; callers that do not know it then get that"
    if root in sent and root not in taken:
        return f"keep `{root}`, with a default, and ignore it until no deployed version sends it"
    if root in sent and broken.reason == _LEFT_OUT:
        return f"keep the default of `{root}` until no deployed version leaves it out"
    if broken.reason == compatibility.NOT_SENT and root in taken:
        return f"give the field `{field}` a default"
    if broken.reason in {compatibility.NOT_SENT, compatibility.MAY_BE_ABSENT} and root == "result":
        return f"keep sending `{field}` until no deployed version reads it"
    if root == "result":
        return f"go on answering what the old callers read, and put what is new in a field with a default; or {beside}"
    return f"take the old type as well (`old | new`) until no deployed version sends it; or {beside}"


def _parameters(descriptor: Descriptor) -> Sequence[str]:
    return [parameter["name"] for parameter in descriptor["parameters"]]
