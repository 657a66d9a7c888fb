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

import msgspec
import prometheus_client
import uvloop

from bench import inprocess
from bench.harness import Effort
from bench.inprocess import Candidate, Timings, awaited, timings_table
from bench.payload import SAMPLE
from bench.results import Figure, Report, at_most
from ramet import Module
from ramet.calls.runtime import Calls
from ramet.settings import Settings
from ramet.wire.context import Context, current

OURS = "ramet call"
OURS_COPIED = "ramet call, argument and result copied"
BARE = "bare await"
BARE_STRUCT = "bare await, 8-field struct"

Function = Callable[[int], Awaitable[int]]

FIGURES: list[Figure[Timings]] = [
    inprocess.plain("local.immutable_over_bare_ns", OURS, over=BARE, goal=at_most(150)),
    inprocess.plain("local.copied_over_bare_ns", OURS_COPIED, over=BARE_STRUCT, goal=at_most(800)),
]


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
        *ramet_candidates(loop),
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


class Order(msgspec.Struct):
    """Mutable, so it is copied on the way in and on the way out."""

    number: int
    customer: str
    sku: str
    quantity: int
    price: float
    currency: str
    note: str
    is_paid: bool


ORDER = Order(7, "customer-1", "sku-2", 3, 9.99, "EUR", "leave it at the door", True)
numbers = Module("numbers")


@numbers.expose
async def ramet_double(number: int) -> int:
    return number + number


@numbers.expose
async def ramet_keep(order: Order) -> Order:
    return order


async def keep(order: Order) -> Order:
    return order


def ramet_candidates(loop: asyncio.AbstractEventLoop) -> list[Candidate]:
    """As in a production instance that hosts both modules, inside a request whose deadline the calls share."""

    async def place() -> None:
        Calls(
            [numbers], local=["numbers"], app="bench", service="main", instance="main-1", settings=Settings(strict=False)
        ).place()

    loop.run_until_complete(place())
    return [
        Candidate(OURS, awaited(loop, in_request(calling(ramet_double)))),
        Candidate(BARE_STRUCT, awaited(loop, keeping(keep))),
        Candidate(OURS_COPIED, awaited(loop, in_request(keeping(ramet_keep)))),
    ]


def in_request(run: Callable[[int], Awaitable[None]]) -> Callable[[int], Awaitable[None]]:
    async def inside(times: int) -> None:
        current.set(Context(time.monotonic() + 5, 5.0))
        await run(times)

    return inside


def keeping(function: Callable[[Order], Awaitable[Order]]) -> Callable[[int], Awaitable[None]]:
    async def run(times: int) -> None:
        for order in repeat(ORDER, times):
            await function(order)

    return run
