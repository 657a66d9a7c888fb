"""What is measured: a server and a client that make the same call, each in a process of its own.

A subject's module imports its stack at the top. Only the subject's two processes ever import it, so that one stack's
modules, threads and garbage do not weigh on another's figures.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where a subject's server listens. `folder` is its own, for sockets, certificates and configuration."""

    folder: Path
    port: int
    host: str = "127.0.0.1"


Drive = Callable[[int, float, list[float]], Coroutine[Any, Any, None]]
"""Keeps N calls in flight until `time.perf_counter()` passes a value, then waits for those that remain.

Appends the latency in seconds of each finished call to the list, as it goes: a time limit may cut it short."""

Serve = Callable[[Place], AbstractAsyncContextManager[Sequence[int]]]
"""Listening once entered. Yields the ids of further processes whose CPU is the server's too, such as a broker's."""

Connect = Callable[[Place], AbstractAsyncContextManager[Drive]]


@dataclass(frozen=True)
class Subject:
    serve: Serve
    connect: Connect


class CannotRun(Exception):
    """What a subject needs is not on this machine. The message says what; the run goes on without the subject."""


def closed_loop(call: Callable[[T], Awaitable[T]], sample: T) -> Drive:
    """N workers that each make their next call when the last one has answered. `sample` is what they send.

    One clock reading per call; with the append it adds about 0.1 us of client CPU, the same for every subject.
    """

    async def worker(until: float, latencies: list[float]) -> None:
        answer = sample
        start = time.perf_counter()
        while start < until:
            answer = await call(sample)
            end = time.perf_counter()
            latencies.append(end - start)
            start = end
        if answer != sample:
            raise AssertionError(f"sent {sample}, got {answer}")

    async def drive(concurrency: int, until: float, latencies: list[float]) -> None:
        async with asyncio.TaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(worker(until, latencies))

    return drive


async def wait_listening(host: str, port: int, *, timeout_s: float = 10.0) -> None:
    """Returns once something accepts connections. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.005)
            else:
                writer.close()
                return
