"""Verbs that look at what runs: status and logs, with one real fleet."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.operate.app import Command

pytestmark = pytest.mark.timeout(120)


def test_status_and_logs_of_a_fleet(shop: Command) -> None:
    """One fleet for all of it: it takes three seconds to start."""
    url = shop.up("seed")

    text = shop.ok("status")  # exit code 0: all are ready
    assert url in text
    assert "main-1" in text
    assert "orders, front" in text

    lines = shop.ok("logs").splitlines()
    assert 1 <= len(lines) <= 20
    assert all(line.startswith("main-1  ") for line in lines)
    assert len(shop.ok("logs", "main-1", "-n", "1").splitlines()) == 1
    assert shop.ok("logs", "-n", "0") == ""
    assert shop.ok("logs", "-n", "1000").splitlines()[-1] == lines[-1]

    done = shop.run("logs", "main-2")
    assert done.returncode == 2
    assert "there is no instance `main-2`" in done.stderr
    assert "did you mean `main-1`?" in done.stderr

    pid = shop.instance("main-1")["pid"]
    log = Path(shop.folder / ".ramet/instances/main-1/log")
    os.kill(pid, signal.SIGSTOP)  # it is there, and answers nobody
    try:
        done = shop.run("status")
        assert done.returncode == 1
        assert "unreachable" in done.stdout
        log.write_text("half a line")
        assert shop.ok("logs").split() == ["main-1", "half", "a", "line"]
    finally:
        with contextlib.suppress(ProcessLookupError):  # hung for 5 s it is killed, which a busy machine may give it
            os.kill(pid, signal.SIGCONT)
    shop.wait_ready("main-1")
    assert shop.run("down").stderr == "stopped\n"
    assert shop.run("down").stderr == "nothing runs here\n"
