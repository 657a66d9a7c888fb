"""Group `migration`: a column of a table of a million rows is renamed by dual write while two versions read and write.

The load comes at a fixed rate, a late answer counting from when it was due, so a stall is in the figures with all that queued
behind it. Before: 10 s without a migration. During: from the expand to the end of the contract; the old version leaves before
that, as a roll makes it. The server is an embedded PostgreSQL with fsync, on the same machine.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from bench.harness import Effort
from bench.results import Figure, Report, at_most, say, table
from ramet.data import schemas, sequences, stages
from ramet.data.address import Address
from ramet.engines.postgres import Postgres

ROWS = 1_000_000
RATE = 200
"""Operations a second, of all versions together."""
CONNECTIONS = 16
BEFORE_S = 10.0
MODULE = "shop"
TABLE = f"""
    CREATE TABLE orders (id bigint PRIMARY KEY, total int NOT NULL, note text);
    INSERT INTO orders SELECT n, n, repeat('x', 40) FROM generate_series(1, {ROWS}) n
"""


@dataclass
class Seen:
    """seconds: of each operation that was answered, from when it was due."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def p99_ms(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)] * 1000

    @property
    def worst_ms(self) -> float:
        return max(self.seconds) * 1000


@dataclass
class Measured:
    before: Seen
    during: Seen
    took_s: float
    differing: int


class Load:
    """columns: those that the versions that are at work write, taking turns. seen: where answers are counted."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.columns = ["total"]
        self.seen = Seen()
        self._pool = pool
        self._next = ROWS

    async def once(self, due: float) -> None:
        column, seen = random.choice(self.columns), self.seen
        kind, some = random.random(), random.randrange(1, ROWS)
        try:
            async with self._pool.acquire() as connection:
                if kind < 0.5:
                    await connection.fetchrow("SELECT * FROM orders WHERE id = $1", some)
                elif kind < 0.8:
                    await connection.execute(f"UPDATE orders SET {column} = $2 WHERE id = $1", some, some % 999)
                else:
                    self._next += 1
                    await connection.execute(f"INSERT INTO orders (id, {column}) VALUES ($1, $2)", self._next, some)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            seen.failed += 1
            say(f"failed: {error}")
        else:
            seen.seconds.append(time.perf_counter() - due)

    async def run(self) -> None:
        due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while True:
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self.once(due))


@asynccontextmanager
async def prepared(folder: Path) -> AsyncGenerator[Address, None]:
    """A module's schema with the table."""
    server = Postgres(folder / "postgres")
    await server.start()
    try:
        admin = Address(dsn=server.url())
        await schemas.provision(admin, [schemas.Owner(MODULE, server.password(MODULE))])
        address = Address(dsn=server.url(user=MODULE, password=server.password(MODULE)), schema=MODULE)
        connection = await asyncpg.connect(address.dsn, server_settings={"search_path": MODULE})
        await connection.execute(TABLE)
        await connection.execute("VACUUM ANALYZE orders")
        await connection.close()
        yield address
    finally:
        await server.stop()


async def run() -> Measured:
    folder = Path(tempfile.mkdtemp(prefix="ramet-bench"))
    try:
        async with prepared(folder) as address:
            return await renamed(folder / "migrations", address)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def renamed(migrations: Path, address: Address) -> Measured:
    parts = sequences.rename("orders", "total", "sum", key=["id"])
    paths = sequences.write(migrations, "rename", parts, now=datetime.now(UTC))
    expand, fill, carry, contract = (path.name.partition("_")[0] for path in paths)
    shards = [(0, address)]
    # The columns change under a prepared SELECT *. A pool of Ramet's own prepares it anew; asyncpg is told not to keep it.
    pool = await asyncpg.create_pool(
        address.dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, statement_cache_size=0, server_settings={"search_path": MODULE}
    )
    load = Load(pool)
    work = asyncio.create_task(load.run())
    await asyncio.sleep(BEFORE_S)
    before, load.seen = load.seen, Seen()
    began = time.perf_counter()
    await stages.apply(MODULE, migrations, shards, expand)
    load.columns = ["total", "sum"]
    say(f"expanded after {time.perf_counter() - began:.1f} s")
    await stages.apply(MODULE, migrations, shards, fill)
    say(f"filled in after {time.perf_counter() - began:.1f} s")
    await stages.apply(MODULE, migrations, shards, carry)
    differing = await pool.fetchval("SELECT count(*) FROM orders WHERE total IS DISTINCT FROM sum")
    load.columns = ["sum"]
    await asyncio.sleep(1.0)  # what the old version has in hand
    await stages.apply(MODULE, migrations, shards, contract)
    took = time.perf_counter() - began
    work.cancel()
    await asyncio.wait([work])
    await pool.close()
    return Measured(before, load.seen, took, differing)


FIGURES: list[Figure[Measured]] = [
    Figure("rename of a million rows: requests that failed", "", lambda it: float(it.during.failed), goal=at_most(0)),
    Figure("rename of a million rows: rows that differ", "", lambda it: float(it.differing), goal=at_most(0)),
    Figure(
        "rename of a million rows: p99 during over p99 before",
        "x",
        lambda it: it.during.p99_ms / it.before.p99_ms,
        goal=at_most(2),
    ),
    Figure("rename of a million rows: it took", "s", lambda it: it.took_s),
]


def measure(_: Effort) -> Report:
    it = asyncio.run(run())
    rows = [
        [name, str(len(seen.seconds)), str(seen.failed), f"{seen.p99_ms:.1f} ms", f"{seen.worst_ms:.0f} ms"]
        for name, seen in (("before", it.before), (f"during, {it.took_s:.0f} s", it.during))
    ]
    text = table(["rename of a million rows", "requests", "failed", "p99", "worst"], rows)
    return Report.of(text, FIGURES, it)
