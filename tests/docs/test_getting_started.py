"""Pages that are read step by step, as a reader would: files written, commands run, what they print compared."""

import re
import shutil
import socket
from pathlib import Path

import pytest

from tests.docs.example import follow, steps, write_files
from tests.operate.app import Command

FILES = "getting-started.md"
"""The page whose application all of them use."""
PORT = "8000"


def comparable(text: str) -> list[str]:
    """Without what differs from run to run: times, and memory in MB."""
    text = re.sub(r"\d+ MB|\d\d:\d\d:\d\d", "...", text)
    return [" ".join(line.split()) for line in text.splitlines()]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
@pytest.mark.parametrize("page", [FILES, "everyday.md"])
def test_the_steps_lead_where_the_page_says(page: str, tmp_path: Path) -> None:
    """On another port, since 8000 may be taken here. A block marked `no-run` shows what is another thing on each machine."""
    write_files(FILES, tmp_path)
    for package in ("shop", "shop/stock", "shop/orders"):
        (tmp_path / package / "__init__.py").touch()
    port = free_port()
    found = steps(page)
    assert len(found) >= 9
    try:
        for command, printed in found:
            told = follow(command.replace(PORT, port), tmp_path, {})
            assert comparable(told) == comparable(printed.replace(PORT, port)), command
    finally:
        Command(tmp_path).clean()
