"""Group `local`: what a local call costs over a bare `await f(x)`. Peers are the usual ways to put something between.

To add a candidate, append it in `candidates`; a figure, to FIGURES.
"""

import asyncio
import copy
import functools
import time
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any

import prometheus_client
import uvloop

from bench import inprocess
from bench.harness import Effort
from bench.inprocess import Candidate, Timings, awaited, timings_table
from bench.payload import SAMPLE
from bench.results import Figure, Report

OURS = "ramet call"
BARE = "bare await"

Function = Callable[[int], Awaitable[int]]

FIGURES: list[Figure[Timings]] = [inprocess.plain("local.over_bare_ns", OURS, over=BARE)]


def measure(effort: Effort) -> Report:
    loop = uvloop.new_event_loop()
    try:
        timings = inprocess.time_all(candidates(loop), effort)
    finally:
        loop.close()
    return Report.of(timings_table("one local call", timings, base=BARE), FIGURES, timings)


def candidates(loop: asyncio.AbstractEventLoop) -> list[Candidate]:
    functions: dict[str, Function] = {
        BARE: double,
        "async decorator (*args, **kwargs)": decorated(double),
        "prometheus_client, bound labels": observed(double),
        "asyncio.timeout": limited(double),
        "copy.deepcopy of a 12-field argument": isolated(double),
    }
    clients = {"attribute in a slot": Slot(double), "__getattr__ proxy": Proxy(Slot(double))}
    return [
        *(Candidate(name, awaited(loop, calling(function))) for name, function in functions.items()),
        *(Candidate(name, awaited(loop, calling_double_of(client))) for name, client in clients.items()),
    ]


def calling(function: Function) -> Callable[[int], Awaitable[None]]:
    async def run(times: int) -> None:
        for number in repeat(7, times):
            await function(number)

    return run


def calling_double_of(client: Any) -> Callable[[int], Awaitable[None]]:
    """Looks the attribute up at each call, as a caller's code does."""

    async def run(times: int) -> None:
        for number in repeat(7, times):
            await client.double(number)

    return run


class Slot:
    __slots__ = ("double",)

    def __init__(self, function: Function) -> None:
        self.double = function


class Proxy:
    def __init__(self, target: object) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


async def double(number: int) -> int:
    return number + number


def decorated(function: Function) -> Function:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> int:
        return await function(*args, **kwargs)

    return wrapper


def observed(function: Function) -> Function:
    registry = prometheus_client.CollectorRegistry()
    histogram = prometheus_client.Histogram("local_call_seconds", "-", ["call"], registry=registry).labels("double")

    async def wrapper(number: int) -> int:
        start = time.perf_counter()
        try:
            return await function(number)
        finally:
            histogram.observe(time.perf_counter() - start)

    return wrapper


def limited(function: Function) -> Function:
    async def wrapper(number: int) -> int:
        async with asyncio.timeout(5):
            return await function(number)

    return wrapper


def isolated(function: Function) -> Function:
    """Copies what crosses a module's border, as most who want isolation do."""

    async def wrapper(number: int) -> int:
        copy.deepcopy(SAMPLE)
        return await function(number)

    return wrapper
