"""One child process: started apart from the terminal, watched until its end, stopped by the signals that it deserves.

A process is either ours (started here) or adopted (started by a supervisor that is gone). Both are watched and signalled
through a pidfd where the system has them, which names a process and not a number. Elsewhere the end is polled for, and the
start time is compared before each signal.
"""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ramet.engines.accounts import Account
from ramet.engines.errors import EngineFailed, EngineUnfit
from ramet.engines.files import size_of
from ramet.engines.identity import Identity, identify, is_alive

POLL_S = 0.05
"""How often the end of a process is looked for where there is no pidfd. A guess: its cost is not measurable."""

LOG_MAX_BYTES = 16 * 1024 * 1024
"""A log that is larger when a process starts is moved to `<name>.1` first, so that a directory holds at most two of them."""

StopStep = tuple[signal.Signals, float]
"""A signal, and the seconds that the process has to end after it."""

TERMINATE: tuple[StopStep, ...] = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))

_detached: list[subprocess.Popen[bytes]] = []
"""Children that were let go: kept, so that Popen neither complains that they still run nor waits for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    argv: Sequence[str | Path]
    directory: Path
    """Working directory. Entered before the account changes, so it may lie where the account could not walk to."""
    log: Path
    """Takes standard output and error, appended; opened by us, so the account needs no right to it."""
    account: Account | None = None
    """None: as ourselves."""
    environment: Mapping[str, str] | None = None
    """The whole environment; None passes ours on."""
    pass_fds: Sequence[int] = ()


class Process:
    """Made by `start` or `adopt`, on a running event loop."""

    def __init__(self, name: str, identity: Identity, popen: subprocess.Popen[bytes] | None) -> None:
        self.name = name
        self.identity = identity
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int | None] = self._loop.create_future()
        self._pidfd: int | None = None
        self._poll: asyncio.TimerHandle | None = None
        self._watch()

    def __repr__(self) -> str:
        kind = "adopted" if self._popen is None else "child"
        state = f"exited with {self._exit.result()}" if self._exit.done() else "running"
        return f"<Process {self.name}: pid {self.pid}, {kind}, {state}>"

    @classmethod
    def start(cls, name: str, command: Command) -> "Process":
        """Start in a session of its own: Ctrl-C at the terminal does not reach it.

        Raises EngineFailed if it cannot be executed, EngineUnfit if we may not become its account.
        """
        if size_of(command.log) > LOG_MAX_BYTES:
            command.log.replace(command.log.with_name(f"{command.log.name}.1"))
        user, group, extra_groups = _credentials(command.account)
        with open(command.log, "ab", opener=_private) as log:
            try:
                popen = subprocess.Popen(  # noqa: S603  (commands are made by us)
                    [os.fspath(part) for part in command.argv],
                    cwd=command.directory,
                    env=command.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=command.pass_fds,
                    user=user,
                    group=group,
                    extra_groups=extra_groups,
                )
            except OSError as error:
                raise _cannot_start(name, command, error) from error
        # Not reaped before we do so, so the pid is still its own, even if it has already ended.
        return cls(name, identify(popen.pid) or Identity(popen.pid, "ended"), popen)

    @classmethod
    def adopt(cls, name: str, identity: Identity) -> "Process":
        return cls(name, identity, None)

    @property
    def pid(self) -> int:
        return self.identity.pid

    @property
    def is_running(self) -> bool:
        return not self._exit.done()

    async def wait_exit(self, *, timeout_s: float | None = None) -> int | None:
        """The exit status, negative for a signal; None for an adopted process, whose status is its parent's to know.

        Raises TimeoutError. Cancelling the wait does nothing to the process.
        """
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._exit)

    def send(self, number: signal.Signals) -> None:
        """Nothing happens if it has ended. SIGKILL goes to its whole session's group: nobody is left to do that later."""
        if not self.is_running:
            return
        try:
            if number is signal.SIGKILL and os.getpgid(self.pid) == self.pid and is_alive(self.identity):
                os.killpg(self.pid, number)
            elif sys.platform == "linux" and self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)
            elif is_alive(self.identity):
                os.kill(self.pid, number)
        except ProcessLookupError:
            return

    async def stop(self, steps: Sequence[StopStep] = TERMINATE) -> int | None:
        """Send each signal in turn until it ends. Raises EngineFailed if it outlives the last one.

        Cancelled: it keeps the signals that it has got, and may still run.
        """
        for number, patience_s in steps:
            self.send(number)
            try:
                return await self.wait_exit(timeout_s=patience_s)
            except TimeoutError:
                continue
        raise EngineFailed(f"{self.name} (pid {self.pid}) did not end after {steps[-1][0].name}")

    def detach(self) -> None:
        """Stop watching and leave it running."""
        self._unwatch()
        if self._popen is not None:
            _detached.append(self._popen)

    def _watch(self) -> None:
        if sys.platform == "linux":
            try:
                self._pidfd = os.pidfd_open(self.pid)
            except ProcessLookupError:
                self._exit.set_result(None)
                return
            if self._popen is None and not is_alive(self.identity):  # the pidfd was opened for a successor of that number
                self._unwatch()
                self._exit.set_result(None)
                return
            self._loop.add_reader(self._pidfd, self._on_end)
        else:
            self._on_poll()

    def _on_poll(self) -> None:
        ended = self._popen.poll() is not None if self._popen is not None else not is_alive(self.identity)
        if ended:
            self._on_end()
        else:
            self._poll = self._loop.call_later(POLL_S, self._on_poll)

    def _on_end(self) -> None:
        self._unwatch()
        status = self._popen.wait() if self._popen is not None else None  # it has ended, so this returns at once
        if not self._exit.done():
            self._exit.set_result(status)

    def _unwatch(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None


def run_brief(
    argv: Sequence[str | Path],
    *,
    account: Account | None,
    directory: Path = Path("/"),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program that ends at once, such as `--version`, and return its output. Raises OSError as Popen does.

    environment: the whole of it; None passes ours on.
    """
    user, group, extra_groups = _credentials(account)
    return subprocess.run(  # noqa: S603  (commands are made by us)
        [os.fspath(part) for part in argv],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        user=user,
        group=group,
        extra_groups=extra_groups,
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # a log may hold what users sent


def _credentials(account: Account | None) -> tuple[int | None, int | None, list[str | int] | None]:
    return (None, None, None) if account is None else (account.uid, account.gid, [])


def _cannot_start(name: str, command: Command, error: OSError) -> EngineFailed | EngineUnfit:
    if error.errno == errno.EPERM and command.account is not None:
        return EngineUnfit(
            f"{name} cannot run as user {command.account.uid}: we are root without the right to change users",
            hint="give the container CAP_SETUID and CAP_SETGID, or start it as an ordinary user",
        )
    return EngineFailed(f"{name} cannot be executed: {error}", where=command.argv[0])
