"""Runs client/server subjects against each other: every subject once per round, so that a noisy minute hits all alike.

All processes are started before the first measurement and live until the last. While one subject is measured the others
wait in epoll, and the harness itself waits for a line from a pipe.
"""

import itertools
import select
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar, cast

import msgspec

from bench.child import SHUTDOWN_S, Answer, Order, Ready, Refused, Sample
from bench.results import NotMeasured, say

REPOSITORY = Path(__file__).parent.parent
START_S = 30.0
"""Until a side has imported its stack and is ready."""
DRAIN_S = 5.0
"""Beyond a measurement's seconds, for calls in flight. Only httpx with 128 in flight needs more than a blink."""
WARM_UP_S = 0.1
LOG_TAIL = 2000
"""Characters of a side's stderr that a failure shows."""

Said = TypeVar("Said", Ready, Sample)


@dataclass(frozen=True)
class Effort:
    rounds: int = 5
    seconds: float = 1.0
    """Length of one measurement of one subject at one concurrency."""


@dataclass(frozen=True)
class Cell:
    """One subject at one concurrency over all rounds. CPU is per call and of the best round; the rest of the median."""

    cpu_us: float
    """Client and server together, in the round where that sum was least: not the sum of the next two."""
    client_us: float
    server_us: float
    rps: float
    p50_us: float
    p99_us: float
    is_cut_short: bool

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> "Cell | None":
        """None if not one call finished."""
        done = [sample for sample in samples if sample.calls]
        if not done:
            return None
        return cls(
            cpu_us=min((s.client_cpu_s + s.server_cpu_s) / s.calls for s in done) * 1e6,
            client_us=min(s.client_cpu_s / s.calls for s in done) * 1e6,
            server_us=min(s.server_cpu_s / s.calls for s in done) * 1e6,
            rps=statistics.median(s.calls / s.wall_s for s in done),
            p50_us=statistics.median(s.p50_us for s in done),
            p99_us=statistics.median(s.p99_us for s in done),
            is_cut_short=any(s.is_cut_short for s in done),
        )


@dataclass(frozen=True)
class Calls:
    """What was measured, by subject and concurrency. A subject that could not run is in `refused`, with the reason."""

    cells: dict[tuple[str, int], Cell]
    refused: dict[str, str]

    def at(self, subject: str, concurrency: int) -> Cell:
        if (subject, concurrency) not in self.cells:
            reason = self.refused.get(subject, "not among the subjects")
            raise NotMeasured(f"{subject} at {concurrency}: {reason}")
        return self.cells[subject, concurrency]

    def at_each(self, concurrency: int) -> dict[str, Cell]:
        return {subject: cell for (subject, at), cell in self.cells.items() if at == concurrency}


def run(subjects: Mapping[str, str], concurrencies: Iterable[int], effort: Effort) -> Calls:
    """`subjects` maps a name to `module[:attribute]`, where its `Subject` is; the attribute is `SUBJECT` unless given.

    A subject that cannot start, or breaks on the way, is reported, and the others go on without it.
    """
    refused: dict[str, str] = {}
    samples: dict[tuple[str, int], list[Sample]] = {}

    def refuse(name: str, failure: SubjectFailed) -> None:
        refused[name] = str(failure)
        say(f"SKIPPED {name}: {failure}")

    with ExitStack() as stack:
        clients: dict[str, Side] = {}
        for name, reference in subjects.items():
            try:
                clients[name] = stack.enter_context(started(reference))
            except SubjectFailed as failure:
                refuse(name, failure)
        for turn in range(effort.rounds):
            say(f"calls: round {turn + 1} of {effort.rounds}, {len(clients)} subjects")
            for concurrency, name in itertools.product(concurrencies, list(clients)):
                if name in refused:
                    continue
                try:
                    take(clients[name], samples.setdefault((name, concurrency), []), concurrency, effort.seconds)
                except SubjectFailed as failure:
                    refuse(name, failure)
    whole = {key: taken for key, taken in samples.items() if key[0] not in refused}
    return Calls({key: cell for key, taken in whole.items() if (cell := Cell.of(taken))}, refused)


def take(client: "Side", taken: list[Sample], concurrency: int, seconds: float) -> None:
    """Add a turn's sample to those that were taken. The first turn is preceded by a short one that does not count."""
    if taken and taken[-1].is_cut_short:
        return  # it would be again, and take the longest of all
    if not taken:
        client.measure(concurrency, WARM_UP_S)
    taken.append(client.measure(concurrency, seconds))


class SubjectFailed(Exception):
    """A side refused to start, broke, or did not answer in time."""


@contextmanager
def started(reference: str) -> Generator["Side", None, None]:
    """The client's side of a subject that is ready to be measured. Its server is up before the client starts."""
    with tempfile.TemporaryDirectory(prefix="ramet-bench-") as folder:
        place = (reference, folder, str(free_port()))
        with Side("serve", *place) as server, Side("call", *place, *map(str, server.pids)) as client:
            yield client


class Side:
    """A child process (see `bench.child`), seen from here. Entered once it is ready; killed if it does not end."""

    def __init__(self, side: str, reference: str, folder: str, port: str, *server_pids: str) -> None:
        self._command = [sys.executable, "-m", "bench.child", side, reference, folder, port, *server_pids]
        self._log = Path(folder, f"{side}.log")
        self.pids: list[int] = []

    def __repr__(self) -> str:
        return f"<{' '.join(self._command[2:5])}, pids {self.pids}>"

    def __enter__(self) -> "Side":
        pipe = subprocess.PIPE
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=REPOSITORY, bufsize=0, stdin=pipe, stdout=pipe, stderr=log)
        self._orders, self._answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            self.pids = self._hear(Ready, START_S).pids
        except SubjectFailed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()
        try:
            self._process.wait(SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def measure(self, concurrency: int, seconds: float) -> Sample:
        order = Order(concurrency=concurrency, seconds=seconds, limit_s=seconds + DRAIN_S)
        try:
            self._orders.write(msgspec.json.encode(order) + b"\n")
        except BrokenPipeError:
            raise SubjectFailed(f"{self} has ended\n{self._log_tail()}") from None
        return self._hear(Sample, order.limit_s + SHUTDOWN_S + START_S)

    def _hear(self, expected: type[Said], timeout_s: float) -> Said:
        if not select.select([self._answers], [], [], timeout_s)[0]:
            raise SubjectFailed(f"{self}: no answer within {timeout_s:.0f} s\n{self._log_tail()}")
        line = self._answers.readline()
        if not line:
            raise SubjectFailed(f"{self} ended with {self._process.wait()}\n{self._log_tail()}")
        said: Answer = msgspec.json.decode(line, type=Answer)
        if isinstance(said, Refused):
            raise SubjectFailed(said.reason if not said.is_defect else f"{said.reason}\n{self._log_tail()}")
        if not isinstance(said, expected):
            raise SubjectFailed(f"{self} said {said}")
        return said

    def _log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_TAIL:]


def free_port() -> int:
    """Free a moment ago. The server that gets it binds it within the second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
