"""Group `data`: one SELECT by key and one INSERT, by `db.read` and `db.write`, against asyncpg bare and asyncpg's pool.

The CPU of the client's process alone, over a Unix socket, with 16 tasks in flight on 16 connections; all in one process, in
turns, with the collector and the deadline that an instance has. The bare ones hold a connection per task and never let go of it.
The server is an embedded PostgreSQL on another core, without fsync: its time is in nobody's figure.
"""

import asyncio
import gc
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import uvloop

from bench.child import CLIENT_CORE, SERVER_CORE, pin
from bench.harness import Effort
from bench.results import Figure, Goal, NotMeasured, Report, at_most, say, table
from ramet.data.address import Address
from ramet.data.database import Database
from ramet.data.opening import open_database
from ramet.data.pool import Limits
from ramet.engines.errors import EngineMissing
from ramet.engines.postgres import Postgres
from ramet.engines.postgres_settings import PostgresSettings
from ramet.observe.record import Recorder, new_span_id, new_trace_id
from ramet.process.__main__ import tune_collector
from ramet.wire.context import Context, current

IN_FLIGHT = 16
ROWS = 10_000
MIN_ROUNDS = 7
OPERATIONS_PER_SECOND = 500
"""Of each task, per second of effort: a turn takes a quarter to a whole second."""

READ = "SELECT id, n, title, body, price, created, meta, flag FROM item WHERE id = $1"
WRITE = "INSERT INTO event (item, note) VALUES ($1, $2) RETURNING id"
NOTE = "hello"
TABLES = f"""
    CREATE TABLE item (
        id int PRIMARY KEY, n bigint, title text, body text, price numeric, created timestamptz, meta jsonb, flag bool
    );
    INSERT INTO item SELECT g, g, 'title ' || g, repeat('x', 50), g * 1.25, now(), '{{"a": 1}}', true
        FROM generate_series(1, {ROWS}) g;
    CREATE TABLE event (id bigserial PRIMARY KEY, item int, note text);
    ANALYZE
"""
SERVER = PostgresSettings(extra={"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"})

BARE_READ, POOL_READ, POOL_READ_BLOCK = "bare fetchrow", "asyncpg pool.fetchrow", "asyncpg acquire + fetchrow"
OUR_READ, OUR_READ_BLOCK = "ramet db.read().fetchrow", "ramet async with db.read()"
BARE_WRITE, BARE_WRITE_BLOCK = "bare INSERT", "bare transaction + INSERT"
POOL_WRITE, POOL_WRITE_BLOCK = "asyncpg pool INSERT", "asyncpg acquire + transaction + INSERT"
OUR_WRITE, OUR_WRITE_BLOCK = "ramet db.write().fetchrow", "ramet async with db.write()"
READS = (BARE_READ, OUR_READ, OUR_READ_BLOCK, POOL_READ, POOL_READ_BLOCK)
WRITES = (BARE_WRITE, OUR_WRITE, OUR_WRITE_BLOCK, BARE_WRITE_BLOCK, POOL_WRITE, POOL_WRITE_BLOCK)

Row = asyncpg.Record | None
Operation = Callable[[int, int], Awaitable[Row]]
"""(which task, id of the item) -> the row."""


class Costs(dict[str, float]):
    """CPU microseconds of this process per operation, of the best round, by candidate."""

    def __missing__(self, name: str) -> float:
        raise NotMeasured(f"{name} is not among {', '.join(self)}")


@dataclass(frozen=True)
class Hands:
    """What the operations are done with."""

    held: list[asyncpg.Connection]
    theirs: asyncpg.Pool
    db: Database


@asynccontextmanager
async def opened(server: Postgres) -> AsyncGenerator[Hands, None]:
    dsn = server.url(over_socket=True)
    held = [await asyncpg.connect(dsn) for _ in range(IN_FLIGHT)]
    await held[0].execute(TABLES)
    theirs = await asyncpg.create_pool(dsn, min_size=IN_FLIGHT, max_size=IN_FLIGHT)
    db = Database("bench")
    limits = Limits(min_connections=IN_FLIGHT, max_connections=IN_FLIGHT)
    recorder = Recorder(service="bench", version="1", instance="bench-1")
    ours = await open_database(db, Address(dsn=dsn), limits=limits, recorder=recorder)
    yield Hands(held, theirs, db)
    await ours.close()
    await theirs.close()
    for connection in held:
        await connection.close()


def reads(hands: Hands) -> dict[str, Operation]:
    held, theirs, db = hands.held, hands.theirs, hands.db

    async def bare(task: int, item: int) -> Row:
        return await held[task].fetchrow(READ, item)

    async def ours(_: int, item: int) -> Row:
        return await db.read().fetchrow(READ, item)

    async def our_block(_: int, item: int) -> Row:
        async with db.read() as tx:
            return await tx.fetchrow(READ, item)

    async def pool(_: int, item: int) -> Row:
        return await theirs.fetchrow(READ, item)

    async def pool_block(_: int, item: int) -> Row:
        async with theirs.acquire() as connection:
            return await connection.fetchrow(READ, item)

    return dict(zip(READS, (bare, ours, our_block, pool, pool_block), strict=True))


def writes(hands: Hands) -> dict[str, Operation]:
    held, theirs, db = hands.held, hands.theirs, hands.db

    async def bare(task: int, item: int) -> Row:
        return await held[task].fetchrow(WRITE, item, NOTE)

    async def ours(_: int, item: int) -> Row:
        return await db.write().fetchrow(WRITE, item, NOTE)

    async def our_block(_: int, item: int) -> Row:
        async with db.write() as tx:
            return await tx.fetchrow(WRITE, item, NOTE)

    async def bare_block(task: int, item: int) -> Row:
        async with held[task].transaction():
            return await held[task].fetchrow(WRITE, item, NOTE)

    async def pool(_: int, item: int) -> Row:
        return await theirs.fetchrow(WRITE, item, NOTE)

    async def pool_block(_: int, item: int) -> Row:
        async with theirs.acquire() as connection, connection.transaction():
            return await connection.fetchrow(WRITE, item, NOTE)

    return dict(zip(WRITES, (bare, ours, our_block, bare_block, pool, pool_block), strict=True))


async def cost_us(run: Operation, times: int) -> float:
    async def work(task: int) -> None:
        for turn in range(times):
            row = await run(task, (turn * 7 + task) % ROWS + 1)
        if row is None or not row["id"]:
            raise AssertionError(f"no row: {row}")

    gc.collect()
    start = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for task in range(IN_FLIGHT):
            tasks.create_task(work(task))
    return (time.process_time() - start) / (times * IN_FLIGHT) * 1e6


async def compare(folder: Path, effort: Effort) -> Costs:
    times = max(20, round(OPERATIONS_PER_SECOND * effort.seconds))
    server = Postgres(folder, settings=SERVER)
    pin(SERVER_CORE)  # what is started from here stays there
    await server.start()
    pin(CLIENT_CORE)
    best = Costs()
    try:
        async with opened(server) as hands:
            found = reads(hands) | writes(hands)
            deadline = time.monotonic() + 3600
            current.set(Context(deadline=deadline, budget_s=3600, trace_id=new_trace_id(), span_id=new_span_id()))
            for run in found.values():  # prepares the statements
                await cost_us(run, 20)
            for turn in range(max(MIN_ROUNDS, effort.rounds)):
                say(f"data: round {turn + 1} of {max(MIN_ROUNDS, effort.rounds)}, {len(found)} candidates")
                for name, run in found.items():
                    best[name] = min(best.get(name, float("inf")), await cost_us(run, times))
    finally:
        await server.stop()
    return best


@contextmanager
def as_an_instance() -> Generator[None, None, None]:
    """The collector's thresholds of an instance, and the cores as they were afterwards."""
    cores, thresholds = os.sched_getaffinity(0), gc.get_threshold()
    tune_collector()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        os.sched_setaffinity(0, cores)


# The figures


def plain(name: str, ours: str, among: tuple[str, ...]) -> Figure[Costs]:
    return Figure(name, "us CPU", lambda costs: costs[ours], lambda costs: {one: costs[one] for one in among if one != ours})


def ratio(name: str, ours: str, base: str, goal: Goal | None = None, *, among: tuple[str, ...]) -> Figure[Costs]:
    return Figure(
        name,
        f"x {base}",
        value=lambda costs: costs[ours] / costs[base],
        peers=lambda costs: {one: costs[one] / costs[base] for one in among if one not in {ours, base}},
        goal=goal,
    )


FIGURES: list[Figure[Costs]] = [
    plain("data.read_cpu_us", OUR_READ, READS),
    plain("data.write_cpu_us", OUR_WRITE_BLOCK, WRITES),
    ratio("data.read_over_bare", OUR_READ, BARE_READ, at_most(1.15), among=READS),
    ratio("data.write_over_bare", OUR_WRITE_BLOCK, BARE_WRITE, at_most(2), among=WRITES),
    ratio("data.read_over_asyncpg_pool", OUR_READ, POOL_READ, at_most(0.45), among=READS),
    ratio("data.write_over_asyncpg_pool", OUR_WRITE_BLOCK, POOL_WRITE_BLOCK, at_most(0.45), among=WRITES),
    ratio("data.read_block_over_bare", OUR_READ_BLOCK, BARE_READ, among=READS),
    ratio("data.write_once_over_bare", OUR_WRITE, BARE_WRITE, among=WRITES),
    ratio("data.write_once_over_asyncpg_pool", OUR_WRITE, POOL_WRITE, among=WRITES),
]
"""A write is the transaction; `write_once` the one statement without a block. Each against the same form of asyncpg's pool."""


def measure(effort: Effort) -> Report:
    folder = Path(tempfile.mkdtemp(prefix="ramet-bench-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user where we are root
    try:
        with as_an_instance(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            costs = runner.run(compare(folder / "postgres", effort))
    except EngineMissing as error:
        return Report.of(f"SKIPPED data: {error}", FIGURES, Costs())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tables = [
        costs_table("SELECT by key", READS, costs, bare=BARE_READ, pool=POOL_READ),
        costs_table("INSERT", WRITES, costs, bare=BARE_WRITE, pool=POOL_WRITE_BLOCK),
    ]
    return Report.of("\n\n".join(tables), FIGURES, costs)


def costs_table(title: str, names: tuple[str, ...], costs: Costs, *, bare: str, pool: str) -> str:
    rows = [
        (name, f"{costs[name]:.1f}", f"{costs[name] / costs[bare]:.2f}", f"{costs[name] / costs[pool]:.2f}") for name in names
    ]
    head = ("candidate", "client us", f"x {bare}", f"x {pool}")
    said = f"data, one {title}, {IN_FLIGHT} in flight (CPU of the client's process per operation: best round)"
    return f"{said}\n{table(head, rows)}"
