"""`python -m ramet.check.importing FILE`: import the application of the current folder and write its surface to FILE, as JSON.

A process of its own, since a process can import only one version of an application. What goes wrong is written there too, because
what the application prints while it is imported is its own business.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ramet.errors import ConfigError, RametError
from ramet.model.surface import Surface
from ramet.operate import files
from ramet.process.contracts import surface_of
from ramet.process.modules import import_modules
from ramet.wire import values

TIMEOUT_S = 120.0
"""For one import of an application. Two minutes: it may compile, and one that waits for a database would wait for ever."""


@dataclass(frozen=True)
class Answer:
    """surface: None where it failed."""

    surface: Surface | None = None
    error: str = ""
    where: str | None = None
    hint: str | None = None


def surface_in(folder: Path, *, top: Path, version: str, moved: dict[Path, Path] | None = None) -> Surface:
    """The surface of the application in a folder. Raises ConfigError.

    top: the folder that its packages must come from. version: for messages. moved: folder -> the one that takes its place on the
    import path, for an application that is on it by PYTHONPATH or an editable installation.
    """
    with tempfile.TemporaryDirectory(prefix="ramet-") as scratch:
        out = Path(scratch) / "surface.json"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_import_path(moved or {}))}
        try:
            done = subprocess.run(  # noqa: S603  (ourselves)
                [sys.executable, "-m", "ramet.check.importing", str(out), str(top)],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"the modules of {version} did not import within {TIMEOUT_S:g} s", where=str(folder)) from error
        if not out.exists():
            last = done.stderr.strip().rpartition("\n")[2] or f"the process ended with {done.returncode}"
            raise ConfigError(f"the modules of {version} cannot be imported: {last}", where=str(folder))
        answer = values.decode_json_as(out.read_bytes(), Answer)
    if answer.surface is None:
        raise ConfigError(f"the modules of {version} cannot be imported: {answer.error}", where=answer.where, hint=answer.hint)
    return answer.surface


def _import_path(moved: dict[Path, Path]) -> list[str]:
    """What is moved first, then what this process has from PYTHONPATH."""
    found: list[str] = []
    for entry in filter(None, sys.path):
        for old, new in moved.items():
            if Path(entry).is_relative_to(old) and (place := new / Path(entry).relative_to(old)).is_dir():
                found.append(str(place))
    return [*found, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


def main(out: Path, top: Path) -> None:
    folder = Path.cwd()
    try:
        application = files.load(folder / files.FILE)
        modules = import_modules(application)
        for path in application.modules.values():
            origin = importlib.import_module(path).__file__
            if origin is not None and not Path(origin).resolve().is_relative_to(top):
                raise ConfigError(
                    f"{path} comes from {origin}, not from {top}", hint="is another copy of it installed? pip uninstall it"
                )
        answer = Answer(surface_of(modules.values(), folder))
    except RametError as error:
        answer = Answer(error=error.message, where=error.where, hint=error.hint)
    out.write_bytes(values.encode_json(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]).resolve())
