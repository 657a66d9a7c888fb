"""Which files and modules a test file can reach, and so whether a change can reach the test. Decides; reads files by what it is
given.

    a file      reaches what it imports, and the conftest.py files beside and above it
    a module    is reached as a whole with any of its files, and reaches the modules that it uses
    a doubt     (see `imports`) reaches everything

So a test is left out only where nothing that it imports, however far down, has changed. When in doubt it is run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ramet.testing.imports import Imports

EVERYTHING = {"ramet.toml", "conftest.py", "pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", "setup.py"}
"""Names of files on which all tests depend."""


@dataclass(frozen=True, slots=True)
class Package:
    """A module's: name, and its folder (or its one file)."""

    module: str
    path: Path

    def holds(self, path: Path) -> bool:
        return path == self.path or self.path in path.parents


@dataclass(frozen=True, slots=True)
class Changed:
    """everything: why all tests are to run; empty where modules and files tell which."""

    files: frozenset[Path]
    modules: frozenset[str] = frozenset()
    everything: str = ""


def classify(paths: Iterable[Path], packages: Sequence[Package]) -> Changed:
    """Changed files: what is of a module is the module; another Python file is itself; of anything else nobody knows who reads
    it."""
    files: set[Path] = set()
    modules: set[str] = set()
    for path in sorted(paths):
        owner = next((package.module for package in packages if package.holds(path)), None)
        if path.name in EVERYTHING:
            return Changed(frozenset(), everything=f"{path.name} changed, on which all tests depend")
        if owner is not None:
            modules.add(owner)
        elif path.suffix == ".py":
            files.add(path)
        else:
            return Changed(frozenset(), everything=f"{path.name} changed, which is no Python: nobody knows who reads it")
    return Changed(frozenset(files), frozenset(modules))


@dataclass(frozen=True, slots=True)
class Reached:
    files: frozenset[Path]
    modules: frozenset[str]
    doubt: str = ""
    """The first file that may reach anything, and why; empty if none does."""


@dataclass(frozen=True, slots=True)
class Graph:
    """roots: folders from which absolute names are imported. read: a file's imports; None where it cannot be read, as where it
    was deleted. exists: whether there is such a file, or was before the change. python_files: of a package."""

    roots: Sequence[Path]
    packages: Sequence[Package]
    read: Callable[[Path], Imports | None]
    exists: Callable[[Path], bool]
    python_files: Callable[[Path], Iterable[Path]]
    _of_module: dict[str, Package] = field(init=False, default_factory=dict[str, Package])

    def __post_init__(self) -> None:
        self._of_module.update({package.module: package for package in self.packages})

    def reached_by(self, test: Path, *, names: Iterable[str] = (), modules: Iterable[str] = ()) -> Reached:
        """names, modules: of what the test reaches without an import in its file."""
        seen: set[Path] = set()
        entered: set[str] = set()
        doubt = ""
        pending = [test, *self._conftests(test)]
        for name in names:
            pending += self._resolve(name)
        waiting = list(modules)
        while pending or waiting:
            if waiting:
                pending += self._enter(waiting.pop(), entered)
                continue
            path = pending.pop()
            if path in seen:
                continue
            seen.add(path)
            owner = next((package.module for package in self.packages if package.holds(path)), None)
            if owner is not None:
                waiting.append(owner)
            imports = self.read(path)
            if imports is None:
                continue
            if imports.doubt and not doubt:
                doubt = f"{path.name}: {imports.doubt}"
            pending += self._package_of(path)
            waiting += [used for used in imports.uses if owner is not None and used in self._of_module]
            pending += self._imported(path, imports)
        return Reached(frozenset(seen), frozenset(entered), doubt)

    def _enter(self, module: str, entered: set[str]) -> Iterable[Path]:
        if module in entered:
            return ()
        entered.add(module)
        return self.python_files(self._of_module[module].path)

    def _package_of(self, path: Path) -> Iterator[Path]:
        """The `__init__.py` that runs before a file is imported; it has one before itself."""
        folder = path.parent.parent if path.name == "__init__.py" else path.parent
        if self.exists(folder / "__init__.py"):
            yield folder / "__init__.py"

    def _conftests(self, test: Path) -> Iterator[Path]:
        for folder in test.parents:
            if self.exists(folder / "conftest.py"):
                yield folder / "conftest.py"

    def _imported(self, path: Path, imports: Imports) -> Iterator[Path]:
        for name in imports.names:
            yield from self._resolve(name)
        for dots, name in imports.relative:
            folder = path.parent
            for _ in range(dots - 1):
                folder = folder.parent
            yield from self._below(folder, name.split(".") if name else [])

    def _resolve(self, name: str) -> Iterator[Path]:
        """All files that an import of the name may run, from every root: which one comes first is not asked."""
        for root in self.roots:
            yield from self._inside(root, name.split("."))

    def _below(self, package: Path, parts: Sequence[str]) -> Iterator[Path]:
        if self.exists(package / "__init__.py"):
            yield package / "__init__.py"
        if parts:
            yield from self._inside(package, parts)

    def _inside(self, folder: Path, parts: Sequence[str]) -> Iterator[Path]:
        if self.exists(file := folder / f"{parts[0]}.py"):
            yield file
        yield from self._below(folder / parts[0], parts[1:])


def why(reached: Reached, changed: Changed) -> str:
    """Why a test is to run; empty where the change cannot reach it."""
    if changed.everything:
        return changed.everything
    if not (changed.files or changed.modules):
        return ""
    if reached.doubt:
        return reached.doubt
    if modules := sorted(reached.modules & changed.modules):
        return f"it reaches {', '.join(modules)}"
    if files := sorted(path.name for path in reached.files & changed.files):
        return f"it imports {', '.join(files)}"
    return ""


def users_of(changed: frozenset[str], uses: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """The modules that can reach a changed one, itself included."""
    found = set(changed)
    while more := {name for name, used in uses.items() if name not in found and not found.isdisjoint(used)}:
        found |= more
    return frozenset(found)
