import asyncio
import os
import signal
from pathlib import Path

import pytest
from engine_support import wait_until

from ramet.engines.errors import EngineFailed
from ramet.engines.processes import Command
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import Change, Status, Supervisor

QUICK = RestartPolicy(first_delay_s=0.001, max_delay_s=0.002)


class Watched:
    """A supervisor of a shell command, whose changes can be waited for."""

    def __init__(self, directory: Path, script: str, *, policy: RestartPolicy = QUICK, deadline_s: float = 10.0) -> None:
        self.directory = directory
        self.script = script
        self.ready = True
        self.changes: asyncio.Queue[Change] = asyncio.Queue()
        self.supervisor = Supervisor(
            "sleeper",
            pidfile=directory / "pid",
            prepare=self.prepare,
            is_ready=self.is_ready,
            start_deadline_s=deadline_s,
            policy=policy,
            on_change=self.changes.put_nowait,
        )

    async def prepare(self) -> Command:
        return Command(argv=["sh", "-c", self.script], directory=self.directory, log=self.directory / "log")

    async def is_ready(self) -> bool:
        return self.ready

    async def wait_status(self, status: Status) -> Change:
        async with asyncio.timeout(10):
            while True:
                change = await self.changes.get()
                if change.status is status:
                    return change


def test_one_that_is_killed_is_started_again(directory: Path) -> None:
    """The point of supervision: the out-of-memory killer or a bug takes the process, and it comes back by itself."""

    async def scenario() -> None:
        watched = Watched(directory, "exec sleep 60")
        await watched.supervisor.start()
        await watched.wait_status(Status.RUNNING)
        first = watched.supervisor.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        waiting = await watched.wait_status(Status.WAITING)
        assert "killed by signal 9" in waiting.detail
        await watched.wait_status(Status.RUNNING)
        assert watched.supervisor.pid not in (None, first)
        assert watched.supervisor.statistics()["restarts"] == 1
        assert "1 restarts, last was killed by signal 9" in repr(watched.supervisor)
        await watched.supervisor.stop()
        assert watched.supervisor.status is Status.STOPPED
        assert not (directory / "pid").exists()

    asyncio.run(scenario())


def test_one_that_never_comes_up_is_given_up_and_told(directory: Path) -> None:
    """With a limit, somebody is told that it failed instead of reading it from a growing log."""

    async def scenario() -> None:
        watched = Watched(directory, "exec sleep 60", policy=RestartPolicy(first_delay_s=0.001, give_up_after=2))
        await watched.supervisor.start()
        watched.script, watched.ready = "exit 1", False
        os.kill(watched.supervisor.pid or 0, signal.SIGKILL)
        failed = await watched.wait_status(Status.FAILED)
        assert "3 failures in a row" in failed.detail
        assert "exited with 1" in failed.detail
        await watched.supervisor.stop()

    asyncio.run(scenario())


def test_a_first_start_that_fails_raises_with_the_end_of_the_log(directory: Path) -> None:
    """A person waits for it: the reason belongs into the error, not into a file to be found."""

    async def scenario() -> None:
        watched = Watched(directory, "echo the reason; exit 7")
        watched.ready = False
        with pytest.raises(EngineFailed, match="exited with 7 before it was ready") as raised:
            await watched.supervisor.start()
        assert raised.value.log_tail == "the reason"
        assert watched.supervisor.status is Status.STOPPED

    asyncio.run(scenario())


def test_one_that_is_not_ready_in_time_is_not_left_running(directory: Path) -> None:
    """Half-started engines hold ports and locks against the next attempt."""

    async def scenario() -> None:
        watched = Watched(directory, "exec sleep 60", deadline_s=0.05)
        watched.ready = False
        with pytest.raises(EngineFailed, match=r"not ready within 0\.05 s"):
            await watched.supervisor.start()
        assert watched.supervisor.pid is None

    asyncio.run(scenario())


def test_a_cancelled_start_leaves_nothing_running(directory: Path) -> None:
    """Ctrl-C while an engine starts must not leave one behind."""

    async def scenario() -> None:
        watched = Watched(directory, "exec sleep 60")
        watched.ready = False
        starting = asyncio.create_task(watched.supervisor.start())
        await watched.wait_status(Status.STARTING)
        await wait_until(lambda: watched.supervisor.pid)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert watched.supervisor.pid is None

    asyncio.run(scenario())


def test_the_next_supervisor_adopts_and_keeps_it(directory: Path) -> None:
    """What was handed over is watched like one's own: it is not started twice, and comes back when it dies."""

    async def scenario() -> None:
        first = Watched(directory, "exec sleep 60")
        await first.supervisor.start()
        pid = first.supervisor.pid
        await first.supervisor.detach()
        second = Watched(directory, "exec sleep 60")
        assert await second.supervisor.start(), "it was not adopted"
        assert second.supervisor.pid == pid
        await second.wait_status(Status.RUNNING)
        os.kill(pid or 0, signal.SIGKILL)
        await second.wait_status(Status.RUNNING)
        assert second.supervisor.pid not in (None, pid)
        await second.supervisor.stop()

    asyncio.run(scenario())


def test_a_listener_that_fails_does_not_end_the_supervision(directory: Path) -> None:
    """Whoever listens is not part of what is supervised."""

    def fail(change: Change) -> None:
        raise ValueError(change.name)

    async def scenario() -> None:
        watched = Watched(directory, "exec sleep 60")
        supervisor = Supervisor(
            "sleeper", pidfile=directory / "pid", prepare=watched.prepare, is_ready=watched.is_ready, on_change=fail
        )
        await supervisor.start()
        assert supervisor.status is Status.RUNNING
        await supervisor.stop()

    asyncio.run(scenario())
