"""Group `http`: a route that takes and returns a typed order, against raw ASGI and the frameworks, on the same uvicorn.

Each server is one process on one core, and only its CPU counts. Ours is an Instance as production runs it: limits, deadline,
trace and record on. Neither ours nor the peers write a line per request, but for `ramet logged` (the canonical line, as an
instance has it by default) and `raw asgi logged` (uvicorn's access log, on by its default too), both to a file by way of stderr.
Goals are on what writes none; the others are shown.
"""

import datetime
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from bench import harness
from bench.harness import Calls, Effort
from bench.peers.http_order import BODY, ORDER, PATH, Order, pair
from bench.results import Figure, Goal, NotMeasured, Report, at_least, at_most, table
from bench.subject import Place, Serve

CONNECTIONS = 32
METHODS = ("get", "post")
OURS, RAW, FASTAPI = "ramet", "raw asgi", "fastapi"
LOGGED, RAW_LOGGED = "ramet logged", "raw asgi logged"
STACKS = {
    OURS: "bench.http:{}",
    LOGGED: "bench.http:LOGGED_{}",
    "ramet, mutable order": "bench.http:MUTABLE_{}",
    RAW: "bench.peers.http_raw:{}",
    "raw asgi, our collector": "bench.peers.http_raw:TUNED_{}",
    RAW_LOGGED: "bench.peers.http_raw:LOGGED_{}",
    "starlette+msgspec": "bench.peers.http_starlette:{}",
    "litestar": "bench.peers.http_litestar:{}",
    FASTAPI: "bench.peers.http_fastapi:{}",
}
"""Name -> `module:attribute` of its Subjects, the method filled in. `our collector`: the garbage collector as an
instance has it. `mutable order`: a type that a call copies, because it cannot be shared."""


# Ours


class MutableAddress(msgspec.Struct):
    street: str
    city: str
    zip: str
    country: str


class MutableLine(msgspec.Struct):
    sku: str
    quantity: int
    price: float


class MutableOrder(msgspec.Struct):
    id: int
    customer: str
    email: str
    status: str
    currency: str
    total: float
    created: datetime.datetime
    updated: datetime.datetime
    address: MutableAddress
    lines: list[MutableLine]
    note: str
    gift: bool
    weight_kg: float
    warehouse: int
    tags: list[str]
    phone: str
    coupon: str | None
    priority: int
    channel: str
    version: int


TOML = """
    [app]
    name = "bench"
    modules = ["orders"]
"""


def serve_ramet(*, is_logged: bool = False, is_mutable: bool = False) -> Serve:
    @asynccontextmanager
    async def serve(place: Place) -> AsyncGenerator[Sequence[int], None]:
        from ramet import Module
        from ramet.model.launch import Launch
        from ramet.model.topology import parse
        from ramet.observe import logs
        from ramet.process.__main__ import tune_collector
        from ramet.process.instance import Instance
        from ramet.settings import Settings

        orders = Module("orders")
        if is_mutable:
            _declare_mutable(orders)
        else:
            _declare(orders)
        settings = Settings(strict=False)
        launch = Launch(
            application="ramet.toml",
            service="main",
            instance="main-1",
            modules=["orders"],
            state=str(place.folder),
            http_port=place.port,
        )
        if is_logged:
            logs.configure(form=settings.log_format, level=settings.log_level, service="main", version="0", instance="main-1")
        instance = Instance(launch, parse(TOML), {"orders": orders}, settings)
        tune_collector()
        async with AsyncExitStack() as stack:
            await instance.start(stack)
            yield ()

    return serve


def _declare(orders: Any) -> None:
    @orders.get(PATH)
    async def get_order() -> Order:
        return ORDER

    @orders.post(PATH)
    async def post_order(order: Order) -> Order:
        return order


def _declare_mutable(orders: Any) -> None:
    made = msgspec.json.decode(BODY, type=MutableOrder)

    @orders.get(PATH)
    async def get_order() -> MutableOrder:
        return made

    @orders.post(PATH)
    async def post_order(order: MutableOrder) -> MutableOrder:
        return order


GET, POST = pair(serve_ramet())
LOGGED_GET, LOGGED_POST = pair(serve_ramet(is_logged=True))
MUTABLE_GET, MUTABLE_POST = pair(serve_ramet(is_mutable=True))


# The figures


def server_us(calls: Calls, stack: str, method: str) -> float:
    return calls.at(f"{stack} {method}", CONNECTIONS).server_us


def over(top: str, base: str, method: str) -> Callable[[Calls], float]:
    return lambda calls: server_us(calls, top, method) / server_us(calls, base, method)


def all_over(base: str, method: str, *, but: str) -> Callable[[Calls], dict[str, float]]:
    """Every other stack that ran, to the same base."""

    def peers(calls: Calls) -> dict[str, float]:
        ratios: dict[str, float] = {}
        for stack in STACKS:
            if stack not in {base, but}:
                try:
                    ratios[stack] = over(stack, base, method)(calls)
                except NotMeasured:
                    continue
        return ratios

    return peers


def ratio(name: str, top: str, base: str, method: str, goal: Goal | None = None) -> Figure[Calls]:
    return Figure(name, f"x {base}", over(top, base, method), all_over(base, method, but=top), goal)


FIGURES: list[Figure[Calls]] = [
    *(
        Figure(
            f"http.{method}_cpu_us",
            "us CPU",
            lambda calls, method=method: server_us(calls, OURS, method),
            lambda calls, method=method: {
                stack: calls.at(f"{stack} {method}", CONNECTIONS).server_us
                for stack in STACKS
                if stack != OURS and (f"{stack} {method}", CONNECTIONS) in calls.cells
            },
        )
        for method in METHODS
    ),
    *(ratio(f"http.{method}_ratio_raw_asgi", OURS, RAW, method, at_most(1.1)) for method in METHODS),
    *(ratio(f"http.{method}_logged_ratio_raw_asgi", LOGGED, RAW, method) for method in METHODS),
    *(ratio(f"http.{method}_logged_ratio_raw_asgi_logged", LOGGED, RAW_LOGGED, method) for method in METHODS),
    ratio("http.get_fastapi_over_ours", FASTAPI, OURS, "get", at_least(3)),
    ratio("http.post_fastapi_over_ours", FASTAPI, OURS, "post", at_least(4)),
    *(ratio(f"http.{method}_fastapi_over_ours_logged", FASTAPI, LOGGED, method) for method in METHODS),
]


def measure(effort: Effort) -> Report:
    subjects = {
        f"{stack} {method}": reference.format(method.upper()) for method in METHODS for stack, reference in STACKS.items()
    }
    calls = harness.run(subjects, (CONNECTIONS,), effort)
    tables = [method_table(calls, method) for method in METHODS]
    skipped = [f"SKIPPED {name}: {reason.splitlines()[0]}" for name, reason in calls.refused.items()]
    return Report.of("\n\n".join([*tables, *skipped]), FIGURES, calls)


def method_table(calls: Calls, method: str) -> str:
    cells = {stack: calls.cells.get((f"{stack} {method}", CONNECTIONS)) for stack in STACKS}
    raw, ours = cells[RAW], cells[OURS]
    rows = [
        (
            stack,
            f"{cell.server_us:.1f}",
            f"{cell.server_us / raw.server_us:.2f}" if raw else "-",
            f"{cell.server_us / ours.server_us:.2f}" if ours else "-",
            f"{cell.rps:,.0f}",
            f"{cell.p50_us:,.0f}",
            f"{cell.p99_us:,.0f}",
        )
        for stack, cell in cells.items()
        if cell
    ]
    head = ("stack", "server us", f"x {RAW}", f"x {OURS}", "requests/s", "p50 us", "p99 us")
    title = f"http, {method.upper()} {PATH}, {len(BODY)} bytes, {CONNECTIONS} connections"
    return f"{title} (CPU of the server's process: best round; the rest: median round)\n{table(head, rows)}"
