import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from engine_support import Killable, end_process, wait_until

from ramet.engines.accounts import Account
from ramet.engines.errors import EngineFailed
from ramet.engines.identity import identify
from ramet.engines.processes import LOG_MAX_BYTES, Command, Process

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def command(directory: Path, *argv: str, account: Account | None = None) -> Command:
    return Command(argv=argv, directory=directory, log=directory / "log", account=account)


def test_the_exit_status_is_told(directory: Path) -> None:
    """Whoever waits learns how it ended: a status, or the signal as a negative number."""

    async def scenario() -> None:
        assert await Process.start("child", command(directory, "sh", "-c", "exit 3")).wait_exit() == 3
        assert await Process.start("child", command(directory, "sh", "-c", "kill -9 $$")).wait_exit() == -9

    asyncio.run(scenario())


def test_a_process_that_ignores_sigterm_is_killed(directory: Path) -> None:
    """The ladder ends in a signal that cannot be ignored, so a stop always comes to an end."""

    async def scenario() -> None:
        process = Process.start("deaf", command(directory, sys.executable, "-c", DEAF))
        await wait_until(lambda: b"deaf" in (directory / "log").read_bytes())
        assert await process.stop(((signal.SIGTERM, 0.05), (signal.SIGKILL, 5))) == -9

    asyncio.run(scenario())


def test_killing_takes_the_children_along(directory: Path) -> None:
    """A shell that is killed cannot end its own children; they would go on holding ports."""

    async def scenario() -> None:
        process = Process.start("parent", command(directory, "sh", "-c", "sleep 60 & echo $!; wait"))
        await wait_until(lambda: (directory / "log").read_text().strip())
        child = int((directory / "log").read_text())
        assert identify(child) is not None
        await process.stop(((signal.SIGKILL, 5),))
        await wait_until(lambda: identify(child) is None)

    asyncio.run(scenario())


def test_ctrl_c_at_the_terminal_does_not_reach_it(directory: Path) -> None:
    """The terminal sends SIGINT to its foreground group: an engine in it would die before its clients have left."""

    async def scenario() -> None:
        process = Process.start("child", command(directory, "sleep", "60"))
        assert os.getsid(process.pid) == process.pid
        assert os.getpgid(process.pid) != os.getpgid(0)
        await process.stop()

    asyncio.run(scenario())


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can start a process as somebody else")
def test_it_runs_as_its_account_in_a_directory_closed_to_that_account(directory: Path) -> None:
    """A project under /root must work: the directory is entered, and the log opened, before root's rights are given up."""
    closed = directory / "closed" / "work"
    closed.mkdir(parents=True)
    closed.parent.chmod(0o700)
    os.chown(closed, 65534, 65534)

    async def scenario() -> None:
        script = "id -u; id -G; touch /proc/self/cwd/made; ls -A ."
        process = Process.start("child", command(closed, "sh", "-c", script, account=Account(65534, 65534)))
        assert await process.wait_exit() == 0

    asyncio.run(scenario())
    assert (closed / "log").read_text().split() == ["65534", "65534", "log", "made"]


def test_one_that_was_started_by_somebody_else_is_adopted_and_stopped(directory: Path) -> None:
    """A supervisor that was killed leaves its engines running; the next one must see them end and be able to end them."""
    script = "import subprocess; print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)"
    with Killable(script) as supervisor:
        pid = int(supervisor.read_line())
    identity = identify(pid)
    assert identity is not None

    async def scenario() -> None:
        process = Process.adopt("orphan", identity)
        assert process.is_running
        await process.stop()
        assert not process.is_running
        gone = Process.adopt("orphan", identity)
        assert not gone.is_running

    try:
        asyncio.run(scenario())
    finally:
        end_process(pid)


def test_a_program_that_is_not_there_is_an_error_with_its_path(directory: Path) -> None:
    """The message names the program, since the reader has to install it."""

    async def scenario() -> None:
        with pytest.raises(EngineFailed, match=r"No such file.*missing"):
            Process.start("child", command(directory, str(directory / "missing")))

    asyncio.run(scenario())


def test_a_log_does_not_grow_for_ever(directory: Path) -> None:
    """A start moves a large log aside, so a directory holds two at most; it is private, as it may hold what users sent."""
    log = directory / "log"
    with log.open("wb") as file:
        file.truncate(LOG_MAX_BYTES + 1)

    async def scenario() -> None:
        await Process.start("child", command(directory, "echo", "new")).wait_exit()

    asyncio.run(scenario())
    assert log.read_text() == "new\n"
    assert (directory / "log.1").stat().st_size == LOG_MAX_BYTES + 1
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_child_that_is_let_go_goes_on(directory: Path) -> None:
    """Handing over to another supervisor must not end what is handed over, nor warn that it still runs."""

    async def scenario() -> int:
        process = Process.start("child", command(directory, "sleep", "60"))
        process.detach()
        return process.pid

    pid = asyncio.run(scenario())
    assert identify(pid) is not None
    subprocess.run(["kill", "-9", str(pid)], check=True)
