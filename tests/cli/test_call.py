"""`ramet call`: what it prints, what it ends with, and what it says of a call that may have run."""

import json
import os
import signal
import subprocess
import sys

import pytest

from ramet.cli.main import run
from tests.operate.app import Command


def test_a_result_is_json_on_stdout(desk: Command) -> None:
    """Values by the types of the contract; what the module prints at import is not mixed in."""
    words = ["title=Broken lamp", "priority=high", "due=2026-12-24", "tags=a", "tags=b"]
    done = desk.run("call", "tickets.submit", *words, 'lines:=[{"text": "looked", "minutes": 5}]')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "title": "Broken lamp",
        "priority": "high",
        "due": "2026-12-24",
        "tags": ["a", "b"],
        "lines": [{"text": "looked", "minutes": 5}],
        "id": None,
    }
    assert done.stdout.startswith('{\n  "title"')
    assert done.stderr == "imported\n"


def test_with_json_it_is_one_line(desk: Command) -> None:
    """A call of a call: the modules are wired to each other too."""
    assert desk.ok("call", "people.shout", "title=lamp", "--json") == '"LAMP"\n'
    assert desk.ok("call", "tickets.close", "title=lamp") == "null\n"


def test_a_declared_failure_is_printed_and_ends_with_1(desk: Command) -> None:
    """As data, since a script may want to tell one from another; the sentence is for people."""
    done = desk.run("call", "tickets.close", "title=old", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"failure": "Closed", "status": 409, "fields": {"ticket": "old"}}
    assert done.stdout.count("\n") == 1
    assert "tickets.close failed: It is closed already" in done.stderr


def test_a_stream_is_a_line_for_each_item(desk: Command) -> None:
    """Also of one that breaks: what came before it was printed."""
    assert desk.ok("call", "tickets.every", "upto=3") == "0\n1\n2\n"
    done = desk.run("call", "tickets.close_all", "upto=3")
    assert (done.returncode, done.stdout) == (2, "3\n")
    assert "tickets.close_all: KeyError: 'no such ticket' (may have run) [RM309]" in done.stderr


def test_a_bug_of_the_callee_is_an_error_with_its_stack(desk: Command) -> None:
    """The stack is there because the callee ran in this very process."""
    done = desk.run("call", "tickets.broken")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: tickets.broken: KeyError: 'no such ticket' (may have run) [RM309]" in done.stderr
    assert "helpdesk/tickets/api.py" in done.stderr


def test_a_deadline_of_ones_own(desk: Command) -> None:
    """What is given up on may have run, and the error says so."""
    done = desk.run("call", "tickets.hang", "--deadline", "20ms")
    assert done.returncode == 2
    assert "error: tickets.hang: the deadline passed (may have run) [RM302]" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_and_it_says_that_it_may_have_run(number: signal.Signals, desk: Command) -> None:
    """Ctrl-C is not an undo."""
    command = [sys.executable, "-m", "ramet", "call", "tickets.hang"]
    with subprocess.Popen(command, cwd=desk.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 2, said
    assert "tickets.hang: stopped while it was under way (may have run)" in said
    assert said.endswith("stopped\n")
    assert "Traceback" not in said


REFUSED = [
    pytest.param(["tickets"], "`tickets` is a module, not a call", "its calls: tickets.submit, tickets.close", id="a module"),
    pytest.param(["tickets.look"], "`number` is missing (did not run) [RM301]", "tickets.look(number: int) -> int", id="missing"),
    pytest.param(
        ["tickets.look", "number=x"], "`number`: Expected `int`, got 'x'", "tickets.look(number: int)", id="not a number"
    ),
    pytest.param(["tickets.look", "number=1", "number=2"], "`number`: given 2 times", "tickets.look(", id="twice"),
    pytest.param(
        ["tickets.look", "number=1", "7"], "'7' names no parameter; write it as name=value", "tickets.look(", id="no name"
    ),
    pytest.param(["tickets.submit", "title=a", "lines:=[{]"], "JSON is malformed", "tickets.submit(title: str", id="no JSON"),
    pytest.param(
        ["tickets.submit", "title=a", 'lines:=[{"minutes": "x"}]'],
        "`lines`: [0].minutes: Expected `int`, got `str`",
        "Line{text: str, minutes?: int}",
        id="a field amiss",
    ),
    pytest.param(["tickets.submit", "due=soon"], "2 mistakes\n  `due`: Invalid RFC3339", "tickets.submit(", id="all at once"),
    pytest.param(
        ["tickets.close", "title=a", "--key", "k"], "tickets.close is not declared once", "once=True", id="a key in vain"
    ),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), REFUSED)
def test_what_does_not_fit_is_refused_with_the_signature(
    arguments: list[str], message: str, hint: str, desk: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is opened."""
    assert run(["call", *arguments]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert hint in said.err.partition("hint: ")[2]
    assert not said.out
