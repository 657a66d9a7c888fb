"""A plan on a terminal: what moves while it goes on, the question before, Ctrl-C in the middle."""

import sys
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.operate.app import Command

pytestmark = pytest.mark.timeout(120)
COLORS = {"TERM": "xterm", "COLUMNS": "120"}


def terminal(folder: Path, *arguments: str) -> Terminal:
    return Terminal([sys.executable, "-m", "ramet", *arguments], folder, COLORS)


def test_a_person_watches_a_plan_pauses_it_and_goes_on(shop: Command) -> None:
    """The steps before, a question, each step as it is done, a bar; Ctrl-C pauses after the step in hand."""
    shop.up("seed")
    watched = terminal(shop.folder, "extract", "orders")
    try:
        watched.wait_said("take these steps? [y/N]")
        assert "why: " in watched.said
        assert "risk: " in watched.said
        watched.type("y\n")
        at = watched.wait_said("send orders: 75 % to main@0, 25 % to orders@0")
        watched.wait_said("/12", after=at)
        watched.type("\x03")
        watched.wait_said("pausing after the step in hand", after=at)
        watched.wait_said("hint: ramet apply --resume, or --undo", after=at)
        assert watched.process.wait(10) == 1
    finally:
        watched.close()
    assert "paused" in shop.ok("history")
    resumed = terminal(shop.folder, "apply", "--resume")
    try:
        resumed.wait_said("plan 1: done after")
        assert resumed.process.wait(10) == 0
    finally:
        resumed.close()


def test_who_says_no_has_changed_nothing(shop: Command) -> None:
    """No plan is begun."""
    shop.up("seed")
    asked = terminal(shop.folder, "scale", "main", "2")
    try:
        asked.wait_said("take these steps? [y/N]")
        asked.type("n\n")
        asked.wait_said("stopped")
        assert asked.process.wait(10) == 2
    finally:
        asked.close()
    assert shop.ok("history") == ""
