"""Pages that are read step by step, as a reader would: files written, commands run, what they print compared."""

import re
import shlex
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.example import STEP, blocks, follow
from tests.operate.app import Command

PORT = "8000"
HOME = "/home/ann"
PLAIN_PYTEST = {"PYTEST_ADDOPTS": "-p no:asyncio"}
"""A reader has not that plugin; here it is installed, and warns of what it is not told."""
_REVISION = re.compile(r"\d{14}")


def comparable(text: str) -> list[str]:
    """Without what differs from run to run: dates and times, how long it takes, memory in MB, and revisions, which are times too."""
    text = re.sub(r"\d+ MB|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d+(\.\d+)? ?s\b|\d{14}", "...", text)
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

    def run(self, command: str) -> str:
        """What it prints, as the page has it."""
        if command.startswith("cd "):
            self.folder /= shlex.split(command)[1]
            return ""
        return (
            follow(command.replace(PORT, self.port), self.folder, PLAIN_PYTEST)
            .replace(str(self.home), HOME)
            .replace(self.port, PORT)
        )


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")
@pytest.mark.parametrize(
    ("page", "before", "at_least"),
    [("getting-started.md", [], 25), ("everyday.md", ["ramet new shop", "cd shop"], 9)],
    ids=["getting-started.md", "everyday.md"],
)
def test_the_steps_lead_where_the_page_says(page: str, before: Sequence[str], at_least: int, tmp_path: Path) -> None:
    """By what the page says alone. A console marked `no-run` shows what is another thing on each machine."""
    reader = Reader(tmp_path)
    steps = 0
    try:
        for command in before:
            reader.run(command)
        for mark, text, _ in blocks(page, "(?:console|python|toml)"):
            kind, _, path = mark.removeprefix("no-run ").partition(" ")
            if kind == "file":
                reader.write(path, text)
            elif kind == "part-of":
                assert text in (reader.folder / path).read_text()
            elif kind != "no-run":
                for command, printed in STEP.findall(text):
                    told = reader.run(command)
                    assert comparable(told) == comparable(printed), f"{command}\n{told}"
                    steps += 1
    finally:
        Command(reader.folder).clean()
    assert steps >= at_least
