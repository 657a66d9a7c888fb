"""The application in a folder: its file, and what is read and imported from it when it is asked for."""

import contextlib
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ramet.model.topology import Application
from ramet.module import Module
from ramet.operate import files
from ramet.operate.folder import Folder
from ramet.process.modules import import_modules


@dataclass(frozen=True)
class Current:
    """Use `find()`. `modules` imports the application's code, `application` only reads its file."""

    file: Path

    @cached_property
    def application(self) -> Application:
        return files.load(self.file)

    @cached_property
    def modules(self) -> dict[str, Module]:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is talk, and stdout is for data
            return import_modules(self.application)

    @property
    def folder(self) -> Folder:
        return Folder(self.file.parent / ".ramet")


def find(start: Path) -> Current:
    """In this folder or the nearest above. Raises ConfigError. The application's folder is importable from then on."""
    file = files.find(start)
    sys.path.insert(0, str(file.parent))
    return Current(file)
