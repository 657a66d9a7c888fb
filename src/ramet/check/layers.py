"""RM706 and RM708: layers and forbidden imports, on grimp's graph of all files."""

import copy
from collections.abc import Iterator, Sequence

import grimp
from grimp.exceptions import InvalidImportExpression, InvalidModuleExpression, NoSuchContainer

from ramet.check import graph, rules
from ramet.check.findings import Finding
from ramet.check.import_rules import Forbidden, ImportRule, Layers
from ramet.check.project import Project
from ramet.check.rules import Rule


def find(project: Project) -> Iterator[Finding]:
    graphs: dict[tuple[bool, bool], grimp.ImportGraph] = {}
    for import_rule in project.import_rules:
        kinds = (import_rule.with_typing, import_rule.with_dynamic)
        if kinds not in graphs:
            graphs[kinds] = graph.of_files(project, with_typing=kinds[0], with_dynamic=kinds[1])
        imports = _without_ignored(graphs[kinds], import_rule)
        match import_rule:
            case Layers():
                yield from _layers(project, imports, import_rule)
            case Forbidden():
                yield from _forbidden(project, imports, import_rule)
            case _:
                raise AssertionError(import_rule)


def _without_ignored(imports: grimp.ImportGraph, import_rule: ImportRule) -> grimp.ImportGraph:
    if not import_rule.ignored:
        return imports
    rest = copy.deepcopy(imports)
    for expression in import_rule.ignored:
        try:
            found = rest.find_matching_direct_imports(expression)
        except InvalidImportExpression:
            continue  # import-linter itself says so, and better
        for each in found:
            rest.remove_import(importer=each["importer"], imported=each["imported"])
    return rest


def _layers(project: Project, imports: grimp.ImportGraph, import_rule: Layers) -> Iterator[Finding]:
    layers: list[grimp.Layer] = []
    seen: set[str] = set()
    for row in import_rule.rows:
        names = [name for name in dict.fromkeys(row.packages) if name in imports.modules and name not in seen]
        seen.update(names)
        if names:
            layers.append(grimp.Layer(*names, independent=row.are_independent))
    try:
        illegal = imports.find_illegal_dependencies_for_layers(layers)
    except NoSuchContainer:
        return
    for each in sorted(illegal, key=lambda each: (each.importer, each.imported)):
        yield from _along(project, imports, import_rule, rules.LAYER, each.importer, each.imported)


def _forbidden(project: Project, imports: grimp.ImportGraph, import_rule: Forbidden) -> Iterator[Finding]:
    for source, target in import_rule.pairs:
        for importer in _matching(imports, source):
            for imported in _matching(imports, target):
                if importer != imported:
                    yield from _along(
                        project, imports, import_rule, rules.FORBIDDEN, importer, imported, as_packages=import_rule.as_packages
                    )


def _matching(imports: grimp.ImportGraph, name: str) -> list[str]:
    if "*" not in name:
        return [name] if name in imports.modules else []
    try:
        return sorted(imports.find_matching_modules(name))
    except InvalidModuleExpression:
        return []


def _along(
    project: Project,
    imports: grimp.ImportGraph,
    import_rule: ImportRule,
    rule: Rule,
    importer: str,
    imported: str,
    *,
    as_packages: bool = True,
) -> Iterator[Finding]:
    """The imports that there must not be, or without any the shortest ways over other files, each told at its first import."""
    if as_packages:
        if importer.startswith(f"{imported}.") or imported.startswith(f"{importer}."):
            return  # a package and what is in it
        chains = imports.find_shortest_chains(importer, imported, as_packages=True)
    else:
        found = imports.find_shortest_chain(importer, imported)
        chains = {found} if found else set[tuple[str, ...]]()
    direct = [chain for chain in chains if len(chain) == 2]
    told: set[tuple[str, ...]] = set()
    for chain in sorted(direct or (chains if import_rule.with_indirect else ()), key=lambda chain: (len(chain), chain)):
        if chain[:2] not in told:
            told.add(chain[:2])
            yield _finding(project, imports, import_rule, rule, importer, chain)


def _finding(
    project: Project, imports: grimp.ImportGraph, import_rule: ImportRule, rule: Rule, importer: str, chain: Sequence[str]
) -> Finding:
    file = project.files[chain[0]]
    details = imports.get_import_details(importer=chain[0], imported=chain[1])
    line = min((each["line_number"] for each in details), default=1)
    way = f" by way of {', '.join(chain[1:-1])}" if len(chain) > 2 else ""
    return Finding(
        rule,
        file.shown,
        line,
        f"{importer} imports {chain[-1]}{way}, against `{import_rule.name}` of {import_rule.source}",
        f"{rule.change[0].lower()}{rule.change[1:].rstrip('.')}",
        f"{importer} -> {chain[-1]}: {import_rule.name}",
    )
