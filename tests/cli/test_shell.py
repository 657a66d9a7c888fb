"""`ramet shell`: what comes through a pipe, and a person at a terminal."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.operate.app import Command


def pipe(text: str, desk: Command) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ramet", "shell"],
        cwd=desk.folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_comes_through_a_pipe_is_run_statement_by_statement(desk: Command) -> None:
    """Values of expressions are printed, as at the prompt; names stay; tasks run on while other statements do."""
    done = pipe(
        "import asyncio\n"
        "loop = asyncio.get_running_loop()\n"
        "loud = await people.shout('lamp')\n"
        "loud\n"
        "for n in range(2):\n"
        "    print(n, await tickets.look(n))\n"
        "[n async for n in tickets.every(2)]\n"
        "asyncio.get_running_loop() is loop\n"
        "ramet.context()\n"
        "left = asyncio.ensure_future(tickets.hang())\n"
        "await asyncio.sleep(0)\n",
        desk,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert printed[:5] == ["'LAMP'", "0 0", "1 1", "[0, 1]", "True"]
    assert "called by outside" in printed[5]
    assert printed[6] == "hangs"  # and does not keep the end from coming
    assert done.stderr == "imported\n"


def test_what_raises_ends_it_with_1_and_its_traceback_begins_with_what_was_typed(desk: Command) -> None:
    """Ours would say nothing. What comes behind it is not run."""
    done = pipe("print('before')\nawait tickets.close('old')\nprint('after')\n", desk)
    assert (done.returncode, done.stdout) == (1, "before\n")
    assert 'File "<shell>", line 2, in <module>' in done.stderr
    assert "helpdesk.tickets.api.Closed: ticket='old'" in done.stderr
    assert "ramet/cli/shell.py" not in done.stderr


def test_what_is_no_python_ends_it_before_anything_is_run(desk: Command) -> None:
    """With the line."""
    done = pipe("print('before')\nawait await\n", desk)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'File "<shell>", line 2' in done.stderr
    assert "SyntaxError" in done.stderr


def test_exit_ends_it_with_the_code_that_is_said(desk: Command) -> None:
    """As in Python."""
    done = pipe("raise SystemExit(7)\nprint('after')\n", desk)
    assert (done.returncode, done.stdout) == (7, ""), done.stderr


@pytest.fixture
def terminal(desk: Command, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal([sys.executable, "-m", "ramet", "shell"], desk.folder, {"INPUTRC": "/dev/null"})
    yield terminal
    terminal.close()


def test_a_person_at_the_prompt(terminal: Terminal, desk: Command) -> None:
    """The banner, a value, Tab, a statement of several lines, an error, Ctrl-C on what hangs, Ctrl-D."""
    at = terminal.wait_said("Names: tickets, people, ramet. Ctrl-D ends.")
    assert "Calls go to all modules in this process." in terminal.said
    at = terminal.wait_said(">>> ", after=at)
    terminal.type("await people.shou\t'lamp')\n")
    at = terminal.wait_said("'LAMP'", after=at)
    terminal.type("for n in range(2):\n    await tickets.look(n + 40)\n\n")
    at = terminal.wait_said("41", after=at)
    terminal.type("await tickets.close('old')\n")
    at = terminal.wait_said("helpdesk.tickets.api.Closed: ticket='old'", after=at)
    terminal.type("await tickets.hang()\n")
    at = terminal.wait_said("hangs", after=at)
    terminal.type("\x03")
    at = terminal.wait_said("KeyboardInterrupt", after=at)
    at = terminal.wait_said(">>> ", after=at)
    terminal.type("1 + 1\n")
    at = terminal.wait_said("2\r\n>>> ", after=at)
    terminal.type("\x04")
    assert terminal.process.wait(20) == 0
    history = (desk.folder / ".ramet/shell-history").read_text().splitlines()
    assert "await people.shout('lamp')" in history
    assert history[-1] == "1 + 1"
