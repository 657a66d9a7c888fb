"""Pages that are read step by step, as a reader would: files written, commands run, what they print compared."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.example import blocks
from tests.operate.app import Command

FILES = "getting-started.md"
"""The page whose application all of them use."""
PORT = "8000"
_STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


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
    for kind in ("toml", "python"):
        for mark, text, _ in blocks(FILES, kind):
            file = tmp_path / mark.removeprefix("file ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    for package in ("shop", "shop/stock", "shop/orders"):
        (tmp_path / package / "__init__.py").touch()
    port = free_port()
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    steps = [step for mark, text, _ in blocks(page, "console") if mark != "no-run" for step in _STEP.findall(text)]
    assert len(steps) >= 9
    try:
        for command, printed in steps:
            done = subprocess.run(
                command.replace(PORT, port),
                shell=True,
                cwd=tmp_path,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
            assert comparable(done.stdout) == comparable(printed.replace(PORT, port)), command
    finally:
        Command(tmp_path).clean()
