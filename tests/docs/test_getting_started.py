"""docs/getting-started.md, step by step, as a reader would: its files written, its commands run, what they print compared."""

import re
import shutil
import socket
from pathlib import Path

import pytest

from tests.docs.example import follow, steps, write_files
from tests.operate.app import Command

PAGE = "getting-started.md"
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
def test_the_steps_lead_where_the_page_says(tmp_path: Path) -> None:
    """On another port, since 8000 may be taken here."""
    write_files(PAGE, tmp_path)
    port = free_port()
    found = steps(PAGE)
    assert len(found) > 10
    try:
        for command, printed in found:
            told = follow(command.replace(PORT, port), tmp_path, {})
            assert comparable(told) == comparable(printed.replace(PORT, port)), command
    finally:
        Command(tmp_path).clean()
