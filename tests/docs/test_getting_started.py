"""docs/getting-started.md, step by step, as a reader would: its files written, its commands run, what they print compared."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.example import blocks
from tests.operate.app import Command

PAGE = "getting-started.md"
PORT = "8000"
HOME = "/home/ann"
_STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_REVISION = re.compile(r"\d{14}")


def comparable(text: str) -> list[str]:
    """Without what differs from run to run: times, memory in MB, and revisions, which are times too."""
    text = re.sub(r"\d+ MB|\d\d:\d\d:\d\d|\d+\.\d+s|\d{14}", "...", text)
    return [" ".join(line.split()) for line in text.splitlines()]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Reader:
    """Somebody in an empty folder, who does what the page says. Port 8000 may be taken here, so it is another one."""

    def __init__(self, home: Path) -> None:
        self.home = self.folder = home
        self.port = free_port()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**{name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}, "PATH": path}

    def write(self, path: str, text: str) -> None:
        """A migration is filled in under the name that it got."""
        file = self.folder / path
        if shown := _REVISION.search(file.name):
            file = next(file.parent.glob(file.name.replace(shown[0], "*")))
            made = _REVISION.search(file.name)
            assert made
            text = text.replace(shown[0], made[0])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, command: str, printed: str) -> None:
        if command.startswith("cd "):
            self.folder /= shlex.split(command)[1]
            return
        done = subprocess.run(
            command.replace(PORT, self.port),
            shell=True,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=90,
            check=False,
        )
        said = done.stdout.replace(str(self.home), HOME)
        assert comparable(said) == comparable(printed.replace(PORT, self.port)), f"{command}\n{said}"


@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_steps_lead_where_the_page_says(tmp_path: Path) -> None:
    """From an empty folder to three modules, one of them split off, by what the page says alone."""
    reader = Reader(tmp_path)
    steps = 0
    try:
        for mark, text, _ in blocks(PAGE, "(?:console|python|toml)"):
            kind, _, path = mark.removeprefix("no-run ").partition(" ")
            if kind == "file":
                reader.write(path, text)
            elif kind == "part-of":
                assert text in (reader.folder / path).read_text()
            else:
                for command, printed in _STEP.findall(text):
                    reader.run(command, printed)
                    steps += 1
    finally:
        Command(reader.folder).clean()
    assert steps > 20
    assert "service reviews" in (reader.folder / "docs" / "modules.svg").read_text()
