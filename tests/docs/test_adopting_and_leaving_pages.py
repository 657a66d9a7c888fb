"""docs/adopting.md and docs/leaving.md as their reader would follow them: the road into Ramet, and the road out of it."""

import contextlib
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.docs.example import DOCS, blocks, follow, steps, write_files
from tests.docs.test_getting_started import FILES, comparable, free_port
from tests.operate.app import Command

WIKI = DOCS.parent / "examples/adopt/flask"
pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")]


def without_times(text: str) -> list[str]:
    return comparable(re.sub(r"after \d+\.\d s", "after ...", text))


def go(page: str, folder: Path) -> None:
    """On other ports, since those of the pages may be taken here."""
    ports = {"8000": free_port(), "8001": free_port()}

    def moved(text: str) -> str:
        for port, other in ports.items():
            text = text.replace(port, other)
        return text

    found = steps(page)
    assert len(found) >= 16
    try:
        for command, printed in found:
            told = follow(moved(command), folder, {})
            assert without_times(told) == without_times(moved(printed)), command
    finally:
        Command(folder).clean()


def test_the_road_from_a_mounted_application_to_a_module_of_its_own(tmp_path: Path) -> None:
    """From the wiki as its team has it."""
    ours = shutil.ignore_patterns("ramet.toml", "legacy", "views", ".ramet", "__pycache__", "*.sqlite")
    shutil.copytree(WIKI, tmp_path, ignore=ours, dirs_exist_ok=True)
    write_files("adopting.md", tmp_path)
    go("adopting.md", tmp_path)
    assert (tmp_path / "ramet.toml").read_text() == (WIKI / "ramet.toml").read_text()


def test_what_the_page_adds_is_what_the_example_has() -> None:
    """One wiki, shown twice."""
    shown = {mark.removeprefix("file "): text for mark, text, _ in blocks("adopting.md", "python") if mark}
    assert {path: (WIKI / path).read_text() for path in shown} == shown
    assert len(shown) == 3


def test_the_road_out(tmp_path: Path) -> None:
    """With PostgreSQL's, Alembic's and uvicorn's own commands."""
    write_files(FILES, tmp_path)
    write_files("leaving.md", tmp_path)
    for package in ("shop", "shop/stock", "shop/orders"):
        (tmp_path / package / "__init__.py").touch()
    try:
        go("leaving.md", tmp_path)
    finally:
        uvicorn = tmp_path / "uvicorn.pid"
        if uvicorn.exists():
            with contextlib.suppress(ProcessLookupError):  # as the page has it, it is stopped by then
                os.kill(int(uvicorn.read_text()), signal.SIGTERM)
