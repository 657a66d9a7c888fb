"""Times small pieces of code against each other in this process: for groups whose subject is nanoseconds, not messages.

Candidates take turns, the garbage collector is off while one runs, and the least CPU time of this thread per operation
counts. What a candidate's other threads do (OpenTelemetry's exporter has one) is not charged to it.
"""

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.child import CLIENT_CORE, pin
from bench.harness import Effort
from bench.results import Figure, Goal, NotMeasured, table

MIN_ROUNDS = 9
TURN_S = 0.05
"""CPU time of one turn of one candidate; short, so that a round is over before the machine changes its mood."""


def nothing() -> None:
    pass


@dataclass(frozen=True)
class Candidate:
    name: str
    run: Callable[[int], None]
    """Does the operation that many times, in a loop of its own: a function call per operation would drown the rest."""
    settle: Callable[[], None] = nothing
    """After each turn, untimed: flush what has been buffered."""


class Timings(dict[str, float]):
    """CPU nanoseconds per operation, by candidate."""

    def __missing__(self, name: str) -> float:
        raise NotMeasured(f"{name} is not among {', '.join(self)}")


def awaited(loop: asyncio.AbstractEventLoop, run: Callable[[int], Awaitable[None]]) -> Callable[[int], None]:
    """`run` as a candidate's, on a real loop. Starting the loop costs about 20 us a turn, nothing per operation."""

    def on_loop(times: int) -> None:
        loop.run_until_complete(run(times))

    return on_loop


def time_all(candidates: Sequence[Candidate], effort: Effort) -> Timings:
    with pinned():
        times = {one.name: operations_per_turn(one) for one in candidates}
        best = Timings()
        for _ in range(max(MIN_ROUNDS, effort.rounds)):
            for one in candidates:
                best[one.name] = min(best.get(one.name, float("inf")), cpu_ns(one, times[one.name]) / times[one.name])
    return best


def operations_per_turn(candidate: Candidate) -> int:
    """Also the warm-up."""
    times = 1
    while (spent := cpu_ns(candidate, times)) < TURN_S * 1e9 / 4:
        times *= 4
    return max(1, round(times * TURN_S * 1e9 / spent))


def cpu_ns(candidate: Candidate, times: int) -> int:
    gc.collect()
    gc.disable()
    try:
        start = time.thread_time_ns()
        candidate.run(times)
        return time.thread_time_ns() - start
    finally:
        gc.enable()
        candidate.settle()


@contextmanager
def pinned() -> Generator[None, None, None]:
    before = os.sched_getaffinity(0)
    pin(CLIENT_CORE)
    yield
    os.sched_setaffinity(0, before)


def plain(name: str, ours: str, *, over: str | None = None, goal: Goal | None = None) -> Figure[Timings]:
    """Nanoseconds of our candidate, less those of the baseline `over`; its peers are all that do not begin with "ramet"."""
    base: Callable[[Timings], float] = (lambda timings: timings[over]) if over else lambda _: 0.0
    return Figure(
        name,
        "ns CPU",
        value=lambda timings: timings[ours] - base(timings),
        peers=lambda timings: {
            peer: ns - base(timings) for peer, ns in timings.items() if peer != over and not peer.startswith("ramet")
        },
        goal=goal,
    )


def ratio(name: str, ours: str, peer: str, goal: Goal) -> Figure[Timings]:
    return Figure(
        name,
        f"x {peer}",
        value=lambda timings: timings[ours] / timings[peer],
        peers=lambda timings: {peer: 1.0},
        goal=goal,
    )


def timings_table(title: str, timings: Timings, *, base: str) -> str:
    """Every candidate beside the one called `base`."""
    rows = [(name, f"{ns:,.0f}", f"{ns - timings[base]:+,.0f}", f"{ns / timings[base]:.2f}") for name, ns in timings.items()]
    return f"{title} (CPU per operation: best round)\n" + table(("candidate", "ns", f"over {base}", f"x {base}"), rows)
