"""A Project from an application, whose ramet.toml lists the modules, or from a package as it is, whose subpackages are taken for
modules."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ramet.check import cache, importlinter, sources, tach
from ramet.check.facts import Facts
from ramet.check.import_rules import ImportRule, Layers, Row
from ramet.check.project import ModuleSource, Place, Project, Public, SourceFile
from ramet.check.sources import Root
from ramet.check.tach import Tach
from ramet.errors import ConfigError
from ramet.model.topology import Application

FACE = "api"
DECLARING = ("", ".api", ".handlers")
"""Ends of the names of files in which a Module may be declared."""


class Opened(NamedTuple):
    project: Project
    lines: int


def of_application(application: Application, file: Path, *, path: Sequence[Path] | None = None, cached: bool = True) -> Opened:
    """file: its ramet.toml. path: see `sources.root_of`. Raises ConfigError for a package that is not there."""
    folder = file.parent
    for package in application.modules.values():
        sources.root_of(package, folder, path=path)
    tops = dict.fromkeys(package.partition(".")[0] for package in application.modules.values())
    roots = [sources.root_of(top, folder, path=path) for top in tops]
    files, facts, lines = _read(roots, folder, folder / ".ramet" if cached else None)
    read = tach.read(folder / tach.FILE)
    modules = tuple(_declared(application, name, package, files, facts, read) for name, package in application.modules.items())
    rows = tuple(Row(tuple(application.modules[name] for name in row)) for row in application.boundaries.layers)
    import_rules: list[ImportRule] = [Layers("layers", "[check] in ramet.toml", rows=rows)] if rows else []
    import_rules += (*read.import_rules, *importlinter.rules_in(folder))
    return Opened(Project(folder, modules, files, facts, is_application=True, import_rules=tuple(import_rules)), lines)


def of_package(given: str, here: Path, *, cached: bool = True) -> Opened:
    """given: a dotted name or a path, from the folder `here`. Raises ConfigError."""
    is_path = "/" in given or (here / given).is_dir() or given.endswith(".py")
    if is_path and not (here / given).exists():
        raise ConfigError(f"there is no folder {given}", where=str(here))
    if not is_path and not all(part.isidentifier() for part in given.split(".")):
        raise ConfigError(f"{given!r} is neither a folder nor the name of a package", where=str(here))
    root = sources.root_at(here / given) if is_path else sources.root_of(given, here)
    top = root.path.parents[root.package.count(".")]
    folder = here if root.path.is_relative_to(here) else top
    files, facts, lines = _read([root], folder, here / ".ramet" if cached else None)
    if not files:
        raise ConfigError(f"{given} has no Python files", where=str(root.path))
    _check_name(root, files, facts, given)
    read = tach.read(here / tach.FILE)
    modules = tuple(_found(package, root, files, facts, read) for package in _packages(root, files, read))
    import_rules = (*read.import_rules, *importlinter.rules_in(here))
    return Opened(Project(folder, modules, files, facts, is_application=False, import_rules=import_rules), lines)


def _read(roots: Iterable[Root], folder: Path, kept: Path | None) -> tuple[dict[str, SourceFile], dict[str, Facts], int]:
    roots = list(roots)
    files: dict[str, SourceFile] = {}
    for root in roots:
        for file in sources.files_of(root, folder):
            if file.is_package or file.name not in files:  # a package hides a file of its name
                files[file.name] = file
    name = "-".join(sorted(root.package for root in roots))[:80]
    facts, lines = cache.read_all(files.values(), kept / "check" / f"{name}.json" if kept else None)
    return files, facts, lines


def _check_name(root: Root, files: Mapping[str, SourceFile], facts: Mapping[str, Facts], given: str) -> None:
    """A folder without `__init__.py` may be a package, or one that holds packages: its files' imports tell."""
    if root.package in files:
        return
    inside = {name.split(".")[root.package.count(".") + 1] for name in files if name != root.package}
    imported = {each.target.partition(".")[0] for each_facts in facts.values() for each in each_facts.imports}
    if root.package.partition(".")[0] not in imported and (named := sorted(inside & imported)):
        raise ConfigError(
            f"{given} is no package but a folder of packages: its files import {', '.join(named[:3])} by that name",
            where=str(root.path),
            hint=f"ramet check {given.rstrip('/')}/{named[0]}",
        )


def _declared(
    application: Application, name: str, package: str, files: Mapping[str, SourceFile], facts: Mapping[str, Facts], read: Tach
) -> ModuleSource:
    declared: Place | None = None
    uses: tuple[str, ...] | None = None
    for end in DECLARING:
        for each in facts[package + end].declarations if package + end in files else ():
            if each.name == name:
                declared, uses = Place(files[package + end].shown, each.uses_line), each.uses
    faces = tuple(face for face in (package, f"{package}.{FACE}") if face in files)
    names = application.boundaries.public.get(name)
    public = read.modules[package].public if package in read.modules else None
    if names is not None:
        public = Public(frozenset(names), (), "[check.public] in ramet.toml")
    return ModuleSource(name, package, faces, uses, declared, public)


def _packages(root: Root, files: Mapping[str, SourceFile], read: Tach) -> list[str]:
    """Those that tach.toml lists, or each subpackage with a file in it."""
    listed = [path for path in read.modules if path.startswith(f"{root.package}.") and _has_files(path, files)]
    if listed:
        return sorted(listed)
    depth = root.package.count(".") + 1
    found = {
        ".".join(name.split(".")[: depth + 1])
        for name, file in files.items()
        if name.count(".") > depth or (name.count(".") == depth and file.is_package)
    }
    return sorted(package for package in found if package.rpartition(".")[2].isidentifier())


def _has_files(package: str, files: Mapping[str, SourceFile]) -> bool:
    return package in files or any(name.startswith(f"{package}.") for name in files)


def _found(package: str, root: Root, files: Mapping[str, SourceFile], facts: Mapping[str, Facts], read: Tach) -> ModuleSource:
    name = package[len(root.package) + 1 :]
    faces = [package] if package in files and _offers(files[package], facts[package]) else []
    if f"{package}.{FACE}" in files:
        faces.append(f"{package}.{FACE}")
    module = read.modules.get(package)
    if module is None:
        return ModuleSource(name, package, tuple(faces), None, None)
    uses = None if module.depends_on is None else tuple(path[len(root.package) + 1 :] for path in module.depends_on)
    return ModuleSource(name, package, tuple(faces), uses, module.place if uses is not None else None, module.public)


def _offers(file: SourceFile, facts: Facts) -> bool:
    """Whether there is something in an `__init__` that others can import. A file that is a module by itself is its own face."""
    if not file.is_package or facts.problem is not None:
        return True
    return bool({*facts.names, *(each.bound for each in facts.imports)} - {"annotations", ""} - _dunders(facts))


def _dunders(facts: Facts) -> set[str]:
    return {name for name in facts.names if name.startswith("__")}
