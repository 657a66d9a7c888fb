"""What most verbs begin with: the application of the current folder, and a name that must be one of those there are."""

import contextlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ramet.errors import ConfigError
from ramet.kit.near import did_you_mean
from ramet.model.topology import Application
from ramet.module import Module
from ramet.operate import files
from ramet.operate.folder import Folder
from ramet.process.modules import import_modules


@dataclass(frozen=True)
class Current:
    """Use `current()`. `modules` imports the application's code, `application` only reads its file."""

    file: Path

    @cached_property
    def application(self) -> Application:
        return files.load(self.file)

    @cached_property
    def modules(self) -> dict[str, Module]:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is talk, and stdout is ours for data
            return import_modules(self.application)

    @property
    def folder(self) -> Folder:
        return Folder(self.file.parent / ".ramet")


def current() -> Current:
    """Raises ConfigError. The application's folder is importable from then on."""
    file = files.find(Path.cwd())
    sys.path.insert(0, str(file.parent))
    return Current(file)


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Raises ConfigError, with the name that was meant or all that there are, for one that is not among them."""
    known = list(known)
    if name not in known:
        hint = did_you_mean(name, known) or (f"known: {', '.join(known)}" if known else None)
        raise ConfigError(f"there is no {what} `{name}`", hint=hint)
