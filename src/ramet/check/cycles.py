"""RM702: modules that import each other in a circle."""

from collections.abc import Iterator

from ramet.check import graph, rules
from ramet.check.findings import Finding, listed
from ramet.check.project import Place, Project


def find(project: Project) -> Iterator[Finding]:
    edges = _edges(project)
    modules = graph.of_edges(edges)
    for group in graph.circles(modules):
        circle = graph.shortest_circle(modules, group)
        steps = list(zip(circle, (*circle[1:], circle[0]), strict=True))
        weakest = min(steps, key=lambda step: (len(edges[step]), step))
        place = min(edges[weakest])
        rest = f"; {len(group)} modules are in such circles: {listed(sorted(group))}" if len(group) > len(circle) else ""
        count = len(edges[weakest])
        yield Finding(
            rules.CYCLE,
            *place,
            f"{listed((*circle, circle[0]), between=' -> ')}: each imports the next{rest}",
            f"take `{weakest[1]}` out of `{weakest[0]}`, the fewest imports of the circle ({count}, this is the first):"
            " pass what is needed as an argument, or move it to a module that both use",
            " ".join(sorted(group)),
        )


def _edges(project: Project) -> dict[tuple[str, str], list[Place]]:
    """(importing module, imported module) -> where. Without imports for type checkers."""
    found: dict[tuple[str, str], list[Place]] = {}
    for file in project.files.values():
        own = project.module_of(file.name)
        if own is None:
            continue
        for each in project.facts[file.name].imports:
            target = None if each.is_typing else project.imported(each.path)
            other = project.module_of(target.file) if target else None
            if other is not None and other is not own:
                found.setdefault((own.name, other.name), []).append(Place(file.shown, each.line))
    return found
