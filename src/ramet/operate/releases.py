"""Another version of the code: a folder, looked at by a process of its own, as a Release."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from ramet.errors import PlanImpossible
from ramet.model.release import Release
from ramet.operate.files import FILE
from ramet.wire import values

LOOK_S = 60.0
"""How long importing the code may take."""


def python_of(folder: Path) -> str:
    """The interpreter of its own virtual environment; without one, ours."""
    own = folder / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


async def look(folder: Path, taken: Collection[str], *, path: Iterable[Path] = ()) -> Release:
    """The release in a folder. taken: labels of versions that are known already; one that has the same gets a number. path: where
    its packages are too, beside the folder.

    Raises PlanImpossible where there is none, or it does not import: nothing was touched.
    """
    file = _file_in(folder)
    python = python_of(file.parent)
    with tempfile.TemporaryDirectory(prefix="ramet-") as temporary:
        out = Path(temporary) / "release.json"
        process = await asyncio.create_subprocess_exec(
            python,
            *("-m", "ramet.process.describe", str(file), str(out)),
            cwd=file.parent,
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join([*map(str, path), *filter(None, [os.environ.get("PYTHONPATH")])]),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(LOOK_S):
                printed, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise PlanImpossible(f"importing it took longer than {LOOK_S:g} s", where=str(file)) from None
        if process.returncode or not out.exists():
            raise _refused(out, printed, file)
        found = values.decode_json_as(out.read_bytes(), Release)
    return found.labelled(label(found.version, taken), python)


def _file_in(folder: Path) -> Path:
    file = folder.resolve() / FILE
    if not file.is_file():
        raise PlanImpossible(f"there is no {FILE}", where=str(folder), hint="ramet roll --path FOLDER, which holds it")
    return file


def _refused(out: Path, printed: bytes, file: Path) -> PlanImpossible:
    said: dict[str, Any] = values.decode_json_as(out.read_bytes(), dict[str, Any]) if out.exists() else {}
    reason = said.get("error") or printed.decode(errors="replace").strip()[-2000:] or "its process ended without a word"
    return PlanImpossible(f"this version cannot run: {reason}", where=said.get("where") or str(file), hint=said.get("hint"))


def label(version: str, taken: Collection[str]) -> str:
    """The version itself, or with a number where it is known already: a place is a service and a version."""
    number, made = 1, version
    while made in taken:
        number += 1
        made = f"{version}-{number}"
    return made
