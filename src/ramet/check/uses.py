"""RM103 and RM703: what a module imports, against what its `uses` declares. RM710 for a list that is computed."""

from collections.abc import Iterator

from ramet.check import rules
from ramet.check.boundaries import reaches
from ramet.check.findings import Finding
from ramet.check.project import ModuleSource, Project
from ramet.kit.near import did_you_mean


def find(project: Project) -> Iterator[Finding]:
    known = {module.name for module in project.modules}
    for module in project.modules:
        if module.declared is None:
            continue
        if module.uses is None:
            yield Finding(
                rules.RUN_TIME,
                *module.declared,
                f"the `uses` of `{module.name}` is computed, so it was not compared with the imports",
                "write it as a list of texts",
                f"uses of {module.name}",
            )
            continue
        imported: set[str] = set()
        for file in project.files_of(module):
            told: set[str] = set()
            for reach in reaches(project, file):
                imported.add(reach.owner.name)
                if reach.owner.name not in module.uses and reach.owner.name not in told:
                    told.add(reach.owner.name)
                    yield Finding(
                        rules.UNDECLARED_USE,
                        file.shown,
                        reach.line,
                        f"`{module.name}` imports `{reach.owner.name}`, which its `uses` does not list",
                        _declare(project, module, reach.owner.name),
                        f"{module.name} uses {reach.owner.name}",
                    )
        for name in module.uses:
            if name not in imported:
                yield _unused(module, name, known)


def _declare(project: Project, module: ModuleSource, name: str) -> str:
    assert module.declared is not None
    listed = sorted({*(module.uses or ()), name})
    place = f"{module.declared.file}:{module.declared.line}"
    if project.is_application:
        return f"Module({module.name!r}, uses={listed!r}) at {place}".replace("'", '"')
    return f"add it to depends_on at {place}"


def _unused(module: ModuleSource, name: str, known: set[str]) -> Finding:
    assert module.declared is not None
    if name in known:
        message = f"`{module.name}` declares that it uses `{name}`, and nothing in it imports that"
        change = f"leave {name!r} out"
    else:
        message = f"`{module.name}` declares that it uses `{name}`, which is no module here"
        change = did_you_mean(name, known) or f"leave {name!r} out, or add its package to [app] modules"
    return Finding(rules.UNUSED_USE, *module.declared, message, change.replace("'", '"'), f"{module.name} uses {name}")
