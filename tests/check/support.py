"""Small projects written into folders, and what `ramet check` says of them."""

import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path

from ramet.check import judging, opening
from ramet.check.report import Report
from ramet.operate import files

CONDUIT = Path(__file__).resolve().parents[2] / "examples" / "conduit"


def write(folder: Path, texts: Mapping[str, str | bytes]) -> Path:
    for path, text in texts.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
    return folder


def conduit(folder: Path) -> Path:
    """A copy of the example."""
    left_out = shutil.ignore_patterns(".ramet", "__pycache__", "tests", ".pytest_cache")
    return Path(shutil.copytree(CONDUIT, folder / "conduit", ignore=left_out))


def check_application(folder: Path) -> Report:
    file = folder / "ramet.toml"
    opened = opening.of_application(files.load(file), file, cached=False)
    return judging.report(opened, folder / judging.ACCEPTED)


def check_package(given: str, here: Path) -> Report:
    opened = opening.of_package(given, here, cached=False)
    return judging.report(opened, here / judging.ACCEPTED)


def told(report: Report) -> list[str]:
    """Code and place of all that is told."""
    return [f"{each.code} {each.where}" for each in (*report.new, *report.notes)]


def codes(report: Report) -> list[str]:
    return [each.code for each in (*report.new, *report.notes)]
