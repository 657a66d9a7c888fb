"""`pytest --ramet-changed REF`: only the tests that the changes since a commit can reach. What decides is in `reach`.

Changes are those of the working tree against REF, files that git does not know yet included, deleted ones too. One test with the
marker is always kept where a module changed: that the whole application still imports and migrates is what its start shows.
"""

import contextlib
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from ramet.check.sources import root_of
from ramet.engines import git
from ramet.errors import ConfigError
from ramet.operate import files
from ramet.testing.imports import Imports, read_imports
from ramet.testing.reach import Changed, Graph, Package, Reached, classify, users_of, why

CACHE = "ramet/imports"
_TOUCHES_ALL = {"ramet_http", "ramet_app"}
"""Fixtures by which a test reaches modules that its file does not import."""


class Selection:
    """A plugin, registered where the option is given. ref: as git understands it."""

    def __init__(self, config: pytest.Config, ref: str) -> None:
        self._config = config
        self._ref = ref
        self._sources = Sources(config)
        self._is_all_left = False
        self._reasons: dict[str, str] = {}
        self.told: list[str] = []

    @pytest.hookimpl(trylast=True)  # what other plugins leave
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        top, paths = changed_paths(self._config.rootpath, self._ref)
        applications = list(self._applications(items))
        try:
            packages = [package for file in applications for package in packages_of(file)]
        except ConfigError as error:
            packages, changed = [], Changed(frozenset(), everything=error.message)
        else:
            changed = classify(paths, packages)
        kept, left = (items, []) if changed.everything else self._divide(items, top, paths, packages, changed, applications)
        if left:
            self._is_all_left = not kept
            items[:] = kept
            self._config.hook.pytest_deselected(items=left)
        self._sources.save()
        self._tell(paths, packages, changed, kept, left)

    def _divide(
        self,
        items: list[pytest.Item],
        top: Path,
        paths: frozenset[Path],
        packages: list[Package],
        changed: Changed,
        applications: list[Path],
    ) -> tuple[list[pytest.Item], list[pytest.Item]]:
        graph = Graph(
            roots=self._roots(top, items, packages),
            packages=packages,
            read=self._sources.read,
            exists=lambda path: path in paths or self._sources.exists(path),
            python_files=self._sources.python_files,
        )
        plugins = [name for name in self._config.getoption("plugins", None) or () if not name.startswith("no:")]
        everything = [package.module for package in graph.packages]
        named = [files.load(file).http_problems.partition(":")[0] for file in applications]
        reached: dict[tuple[Path, bool], Reached] = {}
        kept: list[pytest.Item] = []
        left: list[pytest.Item] = []
        for item in items:
            path = item.path.resolve()
            key = (path, not _TOUCHES_ALL.isdisjoint(getattr(item, "fixturenames", ())))
            if key not in reached:
                names = [*plugins, *filter(None, named)] if key[1] else plugins
                reached[key] = graph.reached_by(path, names=names, modules=everything if key[1] else ())
            reason = why(reached[key], changed)
            (kept if reason else left).append(item)
            if reason:
                self._reasons[f"{item.path.name}{' by HTTP' if key[1] else ''}"] = reason
        if changed.modules and not any(map(_is_marked, kept)) and (first := next(filter(_is_marked, left), None)):
            left.remove(first)
            kept.append(first)
            self._reasons[first.name] = "one that starts the application is always run"
        return kept, left

    def _applications(self, items: Iterable[pytest.Item]) -> Iterable[Path]:
        """The ramet.toml of each that the tests belong to."""
        found: dict[Path, None] = {}
        for folder in dict.fromkeys(item.path.parent for item in items):
            with contextlib.suppress(ConfigError):  # a test of no application: its imports still tell what it reaches
                found[files.find(folder)] = None
        return found

    def _roots(self, top: Path, items: Iterable[pytest.Item], packages: Iterable[Package]) -> list[Path]:
        """Where absolute names are looked for: the entries of sys.path in the repository, but for a virtual environment in it,
        and the tests' own folders."""
        on_path = [Path(entry or ".").resolve() for entry in sys.path]
        beside = [item.path.resolve().parent for item in items]
        above = [folder for package in packages for folder in package.path.parents]
        inside = [folder for folder in (*on_path, *beside, *above) if folder == top or top in folder.parents]
        return [folder for folder in dict.fromkeys(inside) if "site-packages" not in folder.parts]

    def _tell(
        self, paths: frozenset[Path], packages: list[Package], changed: Changed, kept: list[pytest.Item], left: list[pytest.Item]
    ) -> None:
        line = f"{len(paths)} file{'' if len(paths) == 1 else 's'} changed since {self._ref}"
        if changed.everything:
            self.told.append(f"{line}: all tests run, because {changed.everything}")
            return
        uses = {package.module: self._sources.uses(package.path) for package in packages}
        if changed.modules:
            line += f", in {', '.join(sorted(changed.modules))}"
            if others := sorted(users_of(changed.modules, uses) - changed.modules):
                line += f", which {', '.join(others)} can reach"
        self.told.append(f"{line}: {len(kept)} tests run, {len(left)} are left out")
        by_file = Counter(item.path.name for item in left)
        if by_file:
            told = ", ".join(f"{name} ({count})" for name, count in sorted(by_file.items()))
            self.told.append(f"left out, since they reach nothing that changed: {told}")
        if self._config.option.verbose > 0:
            self.told += [f"run: {name}: {reason}" for name, reason in sorted(self._reasons.items())]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._is_all_left and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK  # nothing to run is what was asked for
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["ramet_changed"] = self.told

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of xdist has ended; each has made the same selection."""
        self.told = self.told or getattr(node, "workeroutput", {}).get("ramet_changed", [])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in self.told:
            terminalreporter.write_line(f"ramet: {line}")


def _is_marked(item: pytest.Item) -> bool:
    return item.get_closest_marker("ramet") is not None


def packages_of(file: Path) -> Iterator[Package]:
    """The modules of an application, wherever they are imported from. Raises ConfigError where one is not there."""
    for name, path in files.load(file).modules.items():
        place = root_of(path, file.parent).path
        yield Package(name, place.parent.resolve() / place.name)  # as git names it, which follows no link at the end


def changed_paths(folder: Path, ref: str) -> tuple[Path, frozenset[Path]]:
    """The repository's top, and the files that differ. Raises pytest.UsageError where git cannot tell."""
    top = Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n")).resolve()
    # Both names of a file that was renamed, and no name that a `-` in front makes an option.
    listed = _git(top, "diff", "--name-only", "--no-renames", "-z", ref, "--")
    listed += _git(top, "ls-files", "--others", "--exclude-standard", "-z")
    return top, frozenset(top / name for name in listed.split("\0") if name)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = git.ask(folder, *arguments)
    except ConfigError as error:
        raise pytest.UsageError(f"--ramet-changed asks git: {error.message}") from None
    if done.returncode:
        raise pytest.UsageError(f"--ramet-changed: git {' '.join(arguments[:2])} in {folder} said: {done.stderr.strip()}")
    return done.stdout


class Sources:
    """Imports of files, kept in pytest's cache by path and content."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._known: dict[Path, Imports | None] = {}
        self._exists: dict[Path, bool] = {}
        self._fresh = False
        self._cache: Any = getattr(config, "cache", None)  # absent with -p no:cacheprovider

    @cached_property
    def _cached(self) -> dict[str, Any]:
        return self._cache.get(CACHE, {}) if self._cache is not None else {}

    def exists(self, path: Path) -> bool:
        if path not in self._exists:
            self._exists[path] = path.is_file()
        return self._exists[path]

    def read(self, path: Path) -> Imports | None:
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def _read(self, path: Path) -> Imports | None:
        if path.resolve() != path:
            return Imports((), doubt="it is behind a symbolic link")
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None  # deleted
        key = hashlib.blake2b(content, digest_size=12).hexdigest()
        kept = self._cached.get(str(path))
        if kept is not None and kept[0] == key:
            return Imports(tuple(kept[1]), tuple((dots, name) for dots, name in kept[2]), tuple(kept[3]), kept[4])
        found = read_imports(content)
        self._cached[str(path)] = (key, found.names, found.relative, found.uses, found.doubt)
        self._fresh = True
        return found

    def python_files(self, path: Path) -> Iterable[Path]:
        return sorted(path.rglob("*.py")) if path.is_dir() else [path]

    def uses(self, path: Path) -> frozenset[str]:
        return frozenset(used for file in self.python_files(path) if (found := self.read(file)) for used in found.uses)

    def save(self) -> None:
        if self._fresh and self._cache is not None and not hasattr(self._config, "workerinput"):
            self._cache.set(CACHE, self._cached)
