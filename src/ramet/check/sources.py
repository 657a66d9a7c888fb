"""The files of packages, found without importing anything."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ramet.check.project import SourceFile
from ramet.errors import ConfigError

_LEFT_OUT = {"__pycache__", "tests", "test", "node_modules"}
"""Folders. Tests reach where they want."""


class Root(NamedTuple):
    """A package whose files are checked: its dotted name, and its folder, or its file if it is one."""

    package: str
    path: Path


def root_of(package: str, folder: Path, *, path: Sequence[Path] | None = None) -> Root:
    """Of a dotted name: in the folder, or else on `path`; None: wherever Python would find it. Raises ConfigError."""
    top, *rest = package.split(".")
    others = _installed(top) if path is None else (each / top for each in path)
    for place in (folder / top, *others):
        found = place.joinpath(*rest)
        if found.is_dir():
            return Root(package, found)
        if found.with_suffix(".py").is_file():
            return Root(package, found.with_suffix(".py"))
    raise ConfigError(
        f"there is no package {package}",
        where=str(folder),
        hint="is the folder that holds it the current one, or on PYTHONPATH? A path works too: ramet check src/shop",
    )


def _installed(top: str) -> Iterator[Path]:
    """A top-level name can be looked up without running anything of it."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if spec.submodule_search_locations:
        yield from map(Path, spec.submodule_search_locations)
    elif spec.origin and spec.origin.endswith(".py"):
        yield Path(spec.origin).with_suffix("")


def root_at(path: Path) -> Root:
    """Of a folder: its name is that of the packages around it, and its own. Raises ConfigError."""
    folder = path.resolve()
    if not folder.is_dir():
        raise ConfigError(f"{path} is a file", hint=f"give its package: ramet check {path.parent}")
    names = [folder.name]
    above = folder.parent
    while (above / "__init__.py").is_file():
        names.append(above.name)
        above = above.parent
    if not all(name.isidentifier() for name in names):
        inside = sorted(each.parent.name for each in folder.glob("*/__init__.py"))
        hint = f"a package in it: ramet check {path / inside[0]}" if inside else "give the folder of a package"
        raise ConfigError(f"{path} cannot be imported by its name", hint=hint)
    return Root(".".join(reversed(names)), folder)


def files_of(root: Root, folder: Path) -> Iterator[SourceFile]:
    """In the order of their names. folder: what their paths are shown relative to."""
    if root.path.is_file():
        yield SourceFile(root.package, root.path, _shown(root.path, folder), is_package=False)
        return
    for here, folders, names in os.walk(root.path):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and not name.startswith("."))
        parts = Path(here).relative_to(root.path).parts
        package = ".".join((root.package, *parts))
        for name in sorted(names):
            if not name.endswith(".py") or name == "conftest.py" or name.startswith("test_"):
                continue
            path = Path(here, name)
            is_package = name == "__init__.py"
            dotted = package if is_package else f"{package}.{name[:-3]}"
            yield SourceFile(dotted, path, _shown(path, folder), is_package)


def _shown(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()
