"""One side of a subject, in its own process: `python -m bench.child (serve|call) MODULE[:NAME] FOLDER PORT [PID...]`.

It answers on stdout, a JSON line each: `Ready` or `Refused` once it has started, then, if it calls, a `Sample` for each
`Order` that it reads from stdin. Between orders both sides wait in epoll, so a paused subject takes no CPU. The end of
stdin ends the process, so none outlives the harness.

The server's CPU is read here, by the client, from the kernel's clock of that process: at the same instants as its own,
to the nanosecond, and without asking the server anything.
"""

import asyncio
import gc
import importlib
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import uvloop

from bench.subject import CannotRun, Drive, Place, Subject

CLIENT_CORE, SERVER_CORE = 0, 1
SHUTDOWN_S = 5.0
"""Given to calls that were cut short, to end in order."""


class Ready(msgspec.Struct, tag=True):
    pids: list[int]
    """Processes whose CPU time is this side's."""


class Refused(msgspec.Struct, tag=True):
    reason: str
    is_defect: bool
    """False if something that the subject needs is not on this machine."""


class Order(msgspec.Struct):
    concurrency: int
    seconds: float
    limit_s: float
    """Calls that are still in flight by then are cancelled."""


class Sample(msgspec.Struct, tag=True):
    """One closed loop. Times are for all calls together, latencies for one."""

    calls: int
    wall_s: float
    client_cpu_s: float
    server_cpu_s: float
    p50_us: float
    p99_us: float
    is_cut_short: bool


Answer = Ready | Refused | Sample


def pin(core: int) -> None:
    """Also holds for the threads and processes that are started from here. With one core there is nothing to choose."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def cpu_s(pids: Sequence[int]) -> float:
    """User and system time of all threads of these processes, by the clock of `clock_getcpuclockid(3)`. Linux only."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def answer(what: Answer) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


def percentile(ascending: Sequence[float], share: float) -> float:
    """0 of nothing: a sample without a call counts nowhere, and JSON has no infinity."""
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))] if ascending else 0.0


async def measure(drive: Drive, order: Order, server_pids: Sequence[int]) -> Sample:
    """Whole calls only: the CPU of those that finish after the last second is in, and so are they."""
    gc.collect()
    latencies: list[float] = []
    server_before, client_before, start = cpu_s(server_pids), time.process_time(), time.perf_counter()
    loop = asyncio.create_task(drive(order.concurrency, start + order.seconds, latencies))
    await asyncio.wait({loop}, timeout=order.limit_s)
    wall, client, server = time.perf_counter() - start, time.process_time(), cpu_s(server_pids)
    is_cut_short = not loop.done()
    if is_cut_short:
        loop.cancel()
        await asyncio.wait({loop}, timeout=SHUTDOWN_S)
    else:
        loop.result()
    latencies.sort()
    return Sample(
        calls=len(latencies),
        wall_s=wall,
        client_cpu_s=client - client_before,
        server_cpu_s=server - server_before,
        p50_us=percentile(latencies, 0.5) * 1e6,
        p99_us=percentile(latencies, 0.99) * 1e6,
        is_cut_short=is_cut_short,
    )


async def call_side(subject: Subject, place: Place, server_pids: Sequence[int]) -> None:
    """A client for each concurrency: a pool that has seen 128 in flight is slower at 1 ever after (httpx scans it)."""
    orders = await stdin_lines()
    drives: dict[int, Drive] = {}
    async with AsyncExitStack() as clients:
        answer(Ready([os.getpid()]))
        while line := await orders.readline():
            order = msgspec.json.decode(line, type=Order)
            if order.concurrency not in drives:
                drives[order.concurrency] = await clients.enter_async_context(subject.connect(place))
            sample = await measure(drives[order.concurrency], order, server_pids)
            if sample.is_cut_short:
                del drives[order.concurrency]  # a client that had calls cancelled may be unsound
            answer(sample)


async def serve_side(subject: Subject, place: Place) -> None:
    orders = await stdin_lines()
    async with subject.serve(place) as further_pids:
        answer(Ready([os.getpid(), *further_pids]))
        await orders.read()


async def stdin_lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def main(side: str, reference: str, folder: str, port: str, *server_pids: str) -> None:
    pin(SERVER_CORE if side == "serve" else CLIENT_CORE)
    place = Place(folder=Path(folder), port=int(port))
    module, _, name = reference.partition(":")
    try:
        subject: Subject = getattr(importlib.import_module(module), name or "SUBJECT")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if side == "serve":
                runner.run(serve_side(subject, place))
            else:
                runner.run(call_side(subject, place, [int(pid) for pid in server_pids]))
    except (CannotRun, ModuleNotFoundError) as error:
        answer(Refused(reason=str(error), is_defect=False))
    except BaseException as error:  # whatever it is, the harness has to hear of it, and says it
        answer(Refused(reason=f"{error!r}\n{traceback.format_exc()}", is_defect=True))
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
