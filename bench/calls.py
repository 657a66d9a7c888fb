"""Group `calls`: one remote call with about 200 bytes each way, at 1, 16 and 128 calls in flight.

To add a subject, write its module (see `bench.subject`) and name it in OURS or PEERS. To add a figure, append it to
FIGURES.
"""

from collections.abc import Callable
from operator import attrgetter

from bench import harness
from bench.harness import Calls, Cell, Effort
from bench.results import Figure, Goal, Report, at_least, at_most, table

OURS = {"ramet": "bench.ramet_calls", "ramet unix": "bench.ramet_calls:UNIX", "ramet mtls": "bench.ramet_calls:TLS"}
PEERS = {
    "uvloop echo": "bench.peers.echo",
    "nats": "bench.peers.nats_rr",
    "grpc.aio": "bench.peers.grpc_aio",
    "fastapi+httpx": "bench.peers.fastapi_httpx",
}
"""Name -> `module[:attribute]` of its Subject. OURS are Ramet's, and the value of figures; PEERS stand beside them."""

CONCURRENCIES = (1, 16, 128)

cpu_us = attrgetter("cpu_us")
p50_us = attrgetter("p50_us")
p99_us = attrgetter("p99_us")
rps = attrgetter("rps")


def plain(name: str, unit: str, of: Callable[[Cell], float], concurrency: int, *, ours: str = "ramet") -> Figure[Calls]:
    return Figure(
        f"{name}_{concurrency}",
        unit,
        value=lambda calls: of(calls.at(ours, concurrency)),
        peers=lambda calls: {peer: of(cell) for peer, cell in peers_at(calls, concurrency).items()},
    )


def ratio(
    name: str, of: Callable[[Cell], float], peer: str, concurrency: int, goal: Goal, *, ours: str = "ramet"
) -> Figure[Calls]:
    """Ours over the peer's; the peers' numbers are ratios to the same one."""
    return Figure(
        f"{name}_{concurrency}",
        f"x {peer}",
        value=lambda calls: of(calls.at(ours, concurrency)) / of(calls.at(peer, concurrency)),
        peers=lambda calls: {
            other: of(cell) / of(calls.at(peer, concurrency)) for other, cell in peers_at(calls, concurrency).items()
        },
        goal=goal,
    )


def peers_at(calls: Calls, concurrency: int) -> dict[str, Cell]:
    return {name: cell for name, cell in calls.at_each(concurrency).items() if name in PEERS}


FIGURES: list[Figure[Calls]] = [
    *(plain("remote.cpu_us", "us CPU", cpu_us, concurrency) for concurrency in CONCURRENCIES),
    *(plain("remote.p50_us", "us", p50_us, concurrency) for concurrency in CONCURRENCIES),
    *(plain("remote.p99_us", "us", p99_us, concurrency) for concurrency in CONCURRENCIES),
    *(plain("remote.rps", "calls/s", rps, concurrency) for concurrency in CONCURRENCIES),
    ratio("remote.cpu_ratio_grpc", cpu_us, "grpc.aio", 16, at_most(1 / 20, "<= 1/20")),
    ratio("remote.cpu_ratio_grpc", cpu_us, "grpc.aio", 128, at_most(1 / 40, "<= 1/40")),
    ratio("remote.rps_ratio_grpc", rps, "grpc.aio", 16, at_least(12)),
    ratio("remote.rps_ratio_grpc", rps, "grpc.aio", 128, at_least(20)),
    ratio("remote.p50_ratio_grpc", p50_us, "grpc.aio", 1, at_most(1 / 3, "<= 1/3")),
    ratio("remote.cpu_ratio_echo", cpu_us, "uvloop echo", 1, at_most(2.2)),
    ratio("remote.mtls_cpu_over_plain", cpu_us, "ramet", 16, at_most(1.4), ours="ramet mtls"),
    ratio("remote.mtls_cpu_over_plain", cpu_us, "ramet", 128, at_most(1.4), ours="ramet mtls"),
    ratio("remote.unix_cpu_over_tcp", cpu_us, "ramet", 1, at_most(0.95), ours="ramet unix"),
]


def measure(effort: Effort) -> Report:
    calls = harness.run(OURS | PEERS, CONCURRENCIES, effort)
    tables = [calls_table(calls, concurrency) for concurrency in CONCURRENCIES]
    skipped = [f"SKIPPED {name}: {reason.splitlines()[0]}" for name, reason in calls.refused.items()]
    return Report.of("\n\n".join(tables + skipped), FIGURES, calls)


def calls_table(calls: Calls, concurrency: int) -> str:
    """Sorted by CPU. The ratio is to ours, or to the cheapest where ours was not measured."""
    cells = sorted(calls.at_each(concurrency).items(), key=lambda named: named[1].cpu_us)
    if not cells:
        return f"calls, {concurrency} in flight: nothing was measured"
    reference, base = next(((name, cell) for name, cell in cells if name in OURS), cells[0])
    rows = [
        (
            name + (" (cut short)" if cell.is_cut_short else ""),
            f"{cell.rps:,.0f}",
            f"{cell.client_us:.1f}",
            f"{cell.server_us:.1f}",
            f"{cell.cpu_us:.1f}",
            f"{cell.cpu_us / base.cpu_us:.2f}",
            f"{cell.p50_us:,.0f}",
            f"{cell.p99_us:,.0f}",
        )
        for name, cell in cells
    ]
    head = ("subject", "calls/s", "client us", "server us", "CPU us", f"x {reference}", "p50 us", "p99 us")
    return f"calls, {concurrency} in flight (CPU per call: best round; the rest: median round)\n" + table(head, rows)
