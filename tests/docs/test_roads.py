"""The roads in and out, docs/adopting.md and docs/leaving.md: walked as a reader would, and what they print compared."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.docs.example import DOCS, follow, steps, write_files
from tests.docs.test_getting_started import PORT, comparable, free_port
from tests.operate.app import Command

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")]


def walk(page: str, folder: Path) -> None:
    """On another port, since 8000 may be taken here."""
    write_files(page, folder)
    port = free_port()
    try:
        for command, printed in steps(page):
            told = follow(command.replace(PORT, port), folder, {})
            assert comparable(told) == comparable(printed.replace(PORT, port)), command
    finally:
        Command(folder).clean()


def test_the_road_in_leads_where_the_page_says(tmp_path: Path) -> None:
    """From the Flask application of the examples, as it was before anything was added."""
    shutil.copytree(DOCS.parent / "examples/adopt/flask/shop", tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__"))
    walk("adopting.md", tmp_path)


def test_the_road_out_leads_where_the_page_says(tmp_path: Path) -> None:
    """From the application of `ramet new`."""
    follow("ramet new shop", tmp_path, {})
    shop = tmp_path / "shop"
    try:
        walk("leaving.md", shop)
    finally:
        if (pid := shop / "plain.pid").exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.read_text()), signal.SIGKILL)
