"""What is checked: modules, their files, and what is known of each. The rules are functions of this and do no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ramet.check import imports
from ramet.check.facts import Facts
from ramet.check.import_rules import ImportRule


class SourceFile(NamedTuple):
    """name: dotted. shown: relative to the project's folder."""

    name: str
    path: Path
    shown: str
    is_package: bool


class Place(NamedTuple):
    """file: as shown."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Public:
    """What is public of a module. names: of its face. patterns: regular expressions for paths below its package."""

    names: frozenset[str]
    patterns: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module as its source has it. faces: names of the files that others may import; none: it has no face.

    uses: names of modules, None where nothing is declared that could be checked. public: see `Public`; None: all of the face.
    """

    name: str
    package: str
    faces: tuple[str, ...]
    uses: tuple[str, ...] | None
    declared: Place | None
    public: Public | None = None


class Target(NamedTuple):
    """A path within the project: the file, and what is named in it (empty: the file itself)."""

    file: str
    rest: str


@dataclass(frozen=True)
class Project:
    """folder: what `shown` is relative to. is_application: there is a ramet.toml, so faces declare a Module."""

    folder: Path
    modules: tuple[ModuleSource, ...]
    files: Mapping[str, SourceFile]
    facts: Mapping[str, Facts]
    is_application: bool
    import_rules: tuple[ImportRule, ...] = ()
    _modules_by_file: dict[str, ModuleSource | None] = field(default_factory=dict[str, ModuleSource | None])
    _bindings: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    @cached_property
    def _by_package(self) -> dict[str, ModuleSource]:
        return {module.package: module for module in self.modules}

    def module_of(self, name: str) -> ModuleSource | None:
        """The module that a file belongs to; None for the code beside the modules."""
        if name not in self._modules_by_file:
            self._modules_by_file[name] = next(
                (self._by_package[prefix] for prefix in _prefixes(name) if prefix in self._by_package), None
            )
        return self._modules_by_file[name]

    @cached_property
    def _files_by_module(self) -> dict[str, list[SourceFile]]:
        found: dict[str, list[SourceFile]] = {}
        for file in self.files.values():
            if (module := self.module_of(file.name)) is not None:
                found.setdefault(module.name, []).append(file)
        return found

    def files_of(self, module: ModuleSource) -> Sequence[SourceFile]:
        return self._files_by_module.get(module.name, ())

    def bindings(self, file: str) -> Mapping[str, str]:
        """Name in a file -> path of what it imports under it."""
        if file not in self._bindings:
            self._bindings[file] = imports.bindings(self.facts[file].imports)
        return self._bindings[file]

    def target(self, path: str) -> Target | None:
        """The file that a dotted path means, and what in it. None: nothing of this project."""
        for prefix in _prefixes(path):
            if prefix in self.files:
                return Target(prefix, path[len(prefix) + 1 :])
        return None

    def imported(self, path: str) -> Target | None:
        """As `target`, but a name that a package's `__init__` binds to something else hides the file of that name."""
        found = self.target(path)
        if found is None or found.rest:
            return found
        package, _, name = found.file.rpartition(".")
        if package in self.files and (
            name in self.facts[package].names or self.bindings(package).get(name, found.file) != found.file
        ):
            return Target(package, name)
        return found

    def definition(self, path: str) -> Target | None:
        """Where a function is defined that a path means, by way of files that only import it. None: not to be seen."""
        for _ in range(10):  # longer ways are circles
            found = self.imported(path)
            if found is None or not found.rest:
                return None
            if found.rest in self.facts[found.file].functions:
                return found
            path = imports.resolve(found.rest, self.bindings(found.file))
            if not path:
                return None
        return None


def _prefixes(name: str) -> Iterator[str]:
    """The longest first."""
    while name:
        yield name
        name = name.rpartition(".")[0]
