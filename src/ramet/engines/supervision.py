"""Keeping one process running: start or adopt, wait until ready, start again when it ends by itself, stop.

    STOPPED ──start()──> STARTING ──ready──> RUNNING ──ended by itself──> WAITING ──delay over──> STARTING ...
                             │                  │                            │
                             └ error: STOPPED   └──stop()──> STOPPED         └ given up: FAILED

`start` brings the first run up and raises if it does not come up: a person is waiting there. From then on a task keeps it
running by the policy, and `on_change` is told of every change. Nothing else moves the state.

The process outlives us if we are killed. The next supervisor of the same pid file adopts it.
"""

import asyncio
import contextlib
import enum
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ramet.engines.errors import EngineError, EngineFailed
from ramet.engines.files import read_tail, size_of
from ramet.engines.identity import Identity, read_pidfile, write_pidfile
from ramet.engines.processes import TERMINATE, Command, Process, StopStep
from ramet.engines.restarts import GiveUp, RestartPolicy, decide_restart

logger = logging.getLogger("ramet.engines")

FIRST_POLL_S = 0.002
MAX_POLL_S = 0.1


class Status(enum.Enum):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    """It ended by itself, and is started again after a delay."""
    STOPPING = "stopping"
    FAILED = "failed"
    """It ended by itself too often, and is left alone."""


@dataclass(frozen=True, slots=True)
class Change:
    name: str
    status: Status
    detail: str = ""


def _ignore(change: Change) -> None: ...


class Supervisor:
    """Keeps the process of one pid file running.

    prepare: makes what the next run needs, and returns its command; called before every start, so it may choose anew.
    is_ready: whether the run that was started serves; polled from 2 ms up to every 100 ms.
    find: the process of an earlier supervisor, if one lives; by default the one that the pid file names.
    on_change: told of every change of status, on the event loop; what it raises is logged.
    chance: from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        name: str,
        *,
        pidfile: Path,
        prepare: Callable[[], Awaitable[Command]],
        is_ready: Callable[[], Awaitable[bool]],
        find: Callable[[], Identity | None] | None = None,
        start_deadline_s: float = 30.0,
        stop_steps: Sequence[StopStep] = TERMINATE,
        policy: RestartPolicy | None = None,
        on_change: Callable[[Change], None] = _ignore,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.status = Status.STOPPED
        self.restarts = 0
        self.last_exit = ""
        """How the run before this one ended, for people; empty if none has."""
        self._pidfile = pidfile
        self._prepare = prepare
        self._is_ready = is_ready
        self._find = find or (lambda: read_pidfile(pidfile))
        self._start_deadline_s = start_deadline_s
        self._stop_steps = stop_steps
        self._policy = policy or RestartPolicy()
        self._on_change = on_change
        self._chance = chance
        self._process: Process | None = None
        self._log = Path()
        self._log_start = 0
        self._ready_at = 0.0
        self._keeper: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        pid = f", pid {self.pid}" if self.pid else ""
        ended = f", last {self.last_exit}" if self.last_exit else ""
        return f"<Supervisor {self.name}: {self.status.value}{pid}, {self.restarts} restarts{ended}>"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.is_running else None

    def statistics(self) -> dict[str, int | str | None]:
        return {
            "status": self.status.value,
            "pid": self.pid,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
        }

    async def start(self) -> bool:
        """Adopt the process of an earlier supervisor, or start one; return when it is ready. True if it was adopted.

        Raises EngineFailed with the end of the log, and whatever `prepare` raises; then, and when it is cancelled, nothing
        that was started here is left running.
        """
        assert self._keeper is None, "started twice"
        try:
            found = self._find()
            adopted = found is not None and await self._adopt(found)
            if not adopted:
                await self._launch()
        except BaseException:
            if self._process is not None and self._process.is_running:
                await self._process.stop(self._stop_steps)
            self._change(Status.STOPPED)
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        return adopted

    async def stop(self, steps: Sequence[StopStep] | None = None) -> None:
        """Nothing happens if it is stopped. `steps` replaces the signals and times given at the beginning, this once."""
        await self._stop_keeping()
        if self._process is not None and self._process.is_running:
            self._change(Status.STOPPING)
            await self._process.stop(steps or self._stop_steps)
        self._pidfile.unlink(missing_ok=True)
        self._change(Status.STOPPED)

    async def detach(self) -> None:
        """Leave it running, to be adopted by the next supervisor."""
        await self._stop_keeping()
        if self._process is not None:
            self._process.detach()
            self._process = None
        self._change(Status.STOPPED, "left running")

    def send(self, number: signal.Signals) -> None:
        """Send a signal that does not end it, such as SIGHUP. Nothing happens if it does not run."""
        if self._process is not None:
            self._process.send(number)

    async def _stop_keeping(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    async def _adopt(self, identity: Identity) -> bool:
        """False if it ended meanwhile: it was already dying when it was found."""
        self._change(Status.STARTING, f"adopting process {identity.pid}")
        self._process = Process.adopt(self.name, identity)
        write_pidfile(self._pidfile, identity)
        try:
            await self._wait_ready(self._process)
        except EngineFailed:
            if self._process.is_running:
                raise
            return False
        return True

    async def _launch(self) -> None:
        self._change(Status.STARTING)
        command = await self._prepare()
        self._log, self._log_start = command.log, size_of(command.log)
        self._process = Process.start(self.name, command)
        write_pidfile(self._pidfile, self._process.identity)
        await self._wait_ready(self._process)

    async def _wait_ready(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        deadline, poll_s = loop.time() + self._start_deadline_s, FIRST_POLL_S
        while not await self._is_ready():
            if loop.time() > deadline:
                raise self._failed(f"was not ready within {self._start_deadline_s:g} s")
            with contextlib.suppress(TimeoutError):
                raise self._failed(_ended(await process.wait_exit(timeout_s=poll_s)) + " before it was ready")
            poll_s = min(poll_s * 1.5, MAX_POLL_S)
        self._ready_at = loop.time()
        self._change(Status.RUNNING, f"pid {process.pid}")

    async def _keep(self) -> None:
        try:
            await self._keep_running()
        except Exception as error:  # a mistake in prepare or is_ready must show as a failed engine, not as a silent one
            logger.exception("supervision ended by an error", extra={"engine": self.name})
            self._change(Status.FAILED, f"supervision ended by {error!r}")

    async def _keep_running(self) -> None:
        failures = 0
        while True:
            ran_s = await self._wait_end()
            decision = decide_restart(self._policy, failures=failures, ran_s=ran_s, chance=self._chance())
            failures = decision.failures
            if isinstance(decision, GiveUp):
                self._change(Status.FAILED, f"{self.last_exit}; {failures} failures in a row")
                return
            self._change(Status.WAITING, f"{self.last_exit}; starting again in {decision.delay_s:.2g} s")
            await asyncio.sleep(decision.delay_s)
            self.restarts += 1
            try:
                await self._launch()
            except (EngineError, OSError) as error:
                await self._end_failed_start(str(error))

    async def _wait_end(self) -> float:
        """How long it was ready, in seconds, when it ends; 0 if there is no run to wait for."""
        if self._process is None:
            return 0.0
        self.last_exit = _ended(await self._process.wait_exit())
        self._process = None
        return asyncio.get_running_loop().time() - self._ready_at

    async def _end_failed_start(self, reason: str) -> None:
        if self._process is not None and self._process.is_running:
            await self._process.stop(self._stop_steps)
        self._process = None
        self.last_exit = reason

    def _failed(self, what: str) -> EngineFailed:
        return EngineFailed(f"{self.name} {what}", log_tail=read_tail(self._log, since=self._log_start), where=self._log)

    def _change(self, status: Status, detail: str = "") -> None:
        if status is self.status and not detail:
            return
        self.status = status
        level = logging.WARNING if status in (Status.WAITING, Status.FAILED) else logging.INFO
        logger.log(level, "engine %s", status.value, extra={"engine": self.name, "detail": detail})
        try:
            self._on_change(Change(self.name, status, detail))
        except Exception:  # a listener's mistake must not end the supervision that it listens to
            logger.exception("a listener of an engine's changes failed", extra={"engine": self.name})


def _ended(status: int | None) -> str:
    if status is None:
        return "ended"
    return f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
