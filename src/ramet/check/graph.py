"""The project's imports as a grimp graph, which finds chains, layers and cycles in it.

grimp's own `build_graph` gives up at the first file with a syntax error and needs the package on the import path, so the graph is
filled from the facts.
"""

from collections.abc import Iterable

import grimp

from ramet.check.project import Project

_STARTS = 100
"""Nodes from which the shortest circle is looked for: each is a walk over the whole set, and sets can have thousands."""


def of_files(project: Project, *, with_typing: bool, with_dynamic: bool) -> grimp.ImportGraph:
    """A node for each file, each package above it, and the top-level package of whatever else is imported."""
    graph = grimp.ImportGraph()
    names = set(project.files)
    for name in project.files:
        while name := name.rpartition(".")[0]:
            names.add(name)
    for name in sorted(names):
        graph.add_module(name)
    outside: set[str] = set()
    for name, facts in project.facts.items():
        for each in facts.imports:
            if (each.is_typing and not with_typing) or (each.is_dynamic and not with_dynamic):
                continue
            found = project.imported(each.path)
            imported = found.file if found else each.target.partition(".")[0]
            if found is None and imported not in names and imported not in outside:
                outside.add(imported)
                graph.add_module(imported, is_squashed=True)
            if imported != name:
                graph.add_import(importer=name, imported=imported, line_number=each.line, line_contents="")
    return graph


def of_edges(edges: Iterable[tuple[str, str]]) -> grimp.ImportGraph:
    """A graph of names that are not files, such as modules."""
    graph = grimp.ImportGraph()
    for importer, imported in edges:
        graph.add_import(importer=importer, imported=imported)
    return graph


def circles(graph: grimp.ImportGraph) -> list[frozenset[str]]:
    """Sets of nodes that all reach each other, two or more each, in the order of their names."""
    found: list[frozenset[str]] = []
    done: set[str] = set()
    for node in sorted(graph.modules):
        if node not in done:
            group = frozenset((graph.find_upstream_modules(node) & graph.find_downstream_modules(node)) | {node})
            done |= group
            if len(group) > 1:
                found.append(group)
    return found


def shortest_circle(graph: grimp.ImportGraph, group: Iterable[str]) -> tuple[str, ...]:
    """Of a set from `circles`: each node imports the next one, and the last one the first. Through one of the first nodes."""
    chains = [
        (node, *chain[:-1])
        for node in sorted(group)[:_STARTS]
        for after in sorted(graph.find_modules_directly_imported_by(node))
        if (chain := graph.find_shortest_chain(after, node))
    ]
    return min(chains, key=len)
