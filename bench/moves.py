"""Group `moves`: half of the buckets of a table go to another server, ten times, while eight writers write without pause.

Two embedded PostgreSQLs with fsync, one process. Each time the slice is copied, compared, switched, and taken back. What a writer
waited is measured by the writers: the longest write to a bucket that moved, in each switch; the pause is what `switch` says, the
time in which nobody owned the slice. Acknowledged rows are counted at the end. A reader goes on all the time.
"""

import asyncio
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

from bench.harness import Effort
from bench.results import Figure, Report, at_most, say, table
from ramet.data import moving, schemas
from ramet.data.address import Address
from ramet.data.administering import session
from ramet.data.database import Database
from ramet.data.errors import DatabaseError
from ramet.data.hosts import Role
from ramet.data.moving import Moving, Side
from ramet.data.opening import open_placed
from ramet.data.pool import Limits, Pool
from ramet.data.shards import Shards
from ramet.engines import postgres_dump
from ramet.engines.postgres import Postgres
from ramet.model.sharding import Buckets, DatabaseAt, ShardAt, ShardMap, holds, reassigned

MODULE = "shop"
HALF = Buckets(512, 1023)
WRITERS = 8
RUNS = 10
ROWS = 100_000
TABLE = f"""
    CREATE TABLE orders (customer bigint, id uuid, note text NOT NULL, PRIMARY KEY (customer, id));
    INSERT INTO orders SELECT n % 5000, gen_random_uuid(), repeat('x', 40) FROM generate_series(1, {ROWS}) n
"""


@dataclass
class Seen:
    """pauses_ms: without an owner, by `switch`. worst_ms: the longest write to the slice around each switch. reads_ms: the
    longest read. acknowledged: id -> key."""

    pauses_ms: list[float] = field(default_factory=list)
    worst_ms: list[float] = field(default_factory=list)
    reads_ms: list[float] = field(default_factory=list)
    acknowledged: dict[UUID, int] = field(default_factory=dict)
    failed: int = 0
    lost: int = 0
    longest_s: float = 0.0
    longest_read_s: float = 0.0
    is_over: bool = False


FIGURES = (
    Figure[Seen](
        "move of half of the buckets: time without an owner, median",
        "ms",
        lambda it: statistics.median(it.pauses_ms),
        goal=at_most(50),
    ),
    Figure[Seen]("move of half of the buckets: longest write, worst of all", "ms", lambda it: max(it.worst_ms)),
    Figure[Seen]("move of half of the buckets: longest read, worst of all", "ms", lambda it: max(it.reads_ms)),
    Figure[Seen](
        "move of half of the buckets: acknowledged writes lost or doubled", "", lambda it: float(it.lost), goal=at_most(0)
    ),
    Figure[Seen]("move of half of the buckets: writes that failed", "", lambda it: float(it.failed), goal=at_most(0)),
)


def measure(_: Effort) -> Report:
    with tempfile.TemporaryDirectory(prefix="ramet-moves-") as name:
        Path(name).chmod(0o711)
        seen = asyncio.run(_measured(Path(name)))
    rows = [
        ["pause, ms", *(f"{each:.0f}" for each in sorted(seen.pauses_ms))],
        ["longest write, ms", *(f"{each:.0f}" for each in sorted(seen.worst_ms))],
        ["longest read, ms", *(f"{each:.0f}" for each in sorted(seen.reads_ms))],
    ]
    title = f"512 of 1024 buckets, {ROWS:,} rows, {WRITERS} writers, {len(seen.acknowledged):,} writes; {RUNS} switches, sorted"
    return Report.of(f"{title}\n{table(['', *map(str, range(1, RUNS + 1))], rows)}", FIGURES, seen)


async def _measured(folder: Path) -> Seen:
    servers = [Postgres(folder / f"s{number}") for number in range(2)]
    for server in servers:
        await server.start()
    try:
        return await _run(servers)
    finally:
        for server in servers:
            await server.stop()


async def _run(servers: list[Postgres]) -> Seen:
    admins = [Address(dsn=server.url()) for server in servers]
    owners = [schemas.Owner(MODULE, server.password(MODULE)) for server in servers]
    for admin, owner in zip(admins, owners, strict=True):
        await schemas.provision(admin, [owner])
    async with session(Address(dsn=servers[0].url(user=MODULE), schema=MODULE)) as connection:
        await connection.execute(TABLE)
    async with session(admins[1]) as connection:
        await connection.execute(f"DROP SCHEMA {MODULE} CASCADE")
    await postgres_dump.copy_schema(admins[0].dsn, admins[1].dsn, MODULE, keep=lambda _: True)
    shards = tuple(ShardAt(shard=number, url=server.url(user=MODULE)) for number, server in enumerate(servers))
    placed = DatabaseAt(shards=shards, map=ShardMap(key_type="int8"))
    db = Database(MODULE, key="customer")

    def make(url: str, tracked: str, role: Role) -> Pool:
        return Pool(Address(dsn=url, schema=MODULE), module=MODULE, limits=Limits(max_connections=16), tracked=tracked, role=role)

    opened = await open_placed(db, placed, make=make)
    sides = [Side(number, admin, admin.dsn) for number, admin in enumerate(admins)]
    seen = Seen()
    tasks = [asyncio.create_task(_write(db, seen, random.Random(number))) for number in range(WRITERS)]
    tasks.append(asyncio.create_task(_read(db, seen)))
    try:
        for number in range(RUNS):
            say(f"switch {number + 1} of {RUNS}")
            move = Moving(
                name=f"m{number}", module=MODULE, of=HALF, column="customer", map=placed.map, source=sides[0], target=sides[1]
            )
            await moving.close_target(move)
            await moving.copy(move, lambda _: None)
            await moving.prepare_back(move)
            await moving.verify(move, lambda _: None)
            seen.longest_s = seen.longest_read_s = 0.0
            placed = await _switched(opened, placed, move, seen)
            await asyncio.sleep(0.3)  # what waited ends, and is counted
            seen.worst_ms.append(seen.longest_s * 1000)
            seen.reads_ms.append(seen.longest_read_s * 1000)
            if number < RUNS - 1:
                placed = await _switched(opened, placed, move, Seen(), back=True)
                await moving.forget(move)
                await moving.delete_rows(move, lambda _: None, at_target=True)
    finally:
        seen.is_over = True
        await asyncio.gather(*tasks)
    seen.lost = await _missing(admins, placed, seen)
    await opened.close()
    return seen


async def _switched(shards: Shards, placed: DatabaseAt, move: Moving, seen: Seen, *, back: bool = False) -> DatabaseAt:
    move = replace(move, map=placed.map)
    wanted = reassigned(placed.map, HALF, 0 if back else 1)
    said = await moving.switch(move, wanted, lambda: shards.hold(move.name, HALF, 3.0), back=back)
    seen.pauses_ms.append(float(said.partition(" ms")[0]))
    after = DatabaseAt(epoch=placed.epoch + 1, shards=placed.shards, map=wanted)
    await shards.apply(after)
    return after


async def _write(db: Database, seen: Seen, chance: random.Random) -> None:
    while not seen.is_over:
        key, name = chance.randrange(5000), uuid4()
        began = time.monotonic()
        try:
            async with db.write(key) as tx:
                await tx.execute("INSERT INTO orders VALUES ($1, $2, 'new')", key, name)
        except DatabaseError:
            seen.failed += 1
        else:
            seen.acknowledged[name] = key
        if holds(HALF, key, "int8"):
            seen.longest_s = max(seen.longest_s, time.monotonic() - began)


async def _read(db: Database, seen: Seen) -> None:
    chance = random.Random(99)
    while not seen.is_over:
        key, began = chance.randrange(5000), time.monotonic()
        await db.read(key).fetchval("SELECT count(*) FROM orders WHERE customer = $1", key)
        seen.longest_read_s = max(seen.longest_read_s, time.monotonic() - began)


async def _missing(admins: list[Address], placed: DatabaseAt, seen: Seen) -> int:
    """Acknowledged rows that are not where their key is owned."""
    there: set[UUID] = set()
    for number, admin in enumerate(admins):
        async with session(admin) as connection:
            rows = await connection.fetch(f"SELECT customer, id FROM {MODULE}.orders WHERE note = 'new'")
            owned = placed.map.of(number)
            there |= {name for key, name in rows if any(holds(of, key, "int8") for of in owned)}
    return len(set(seen.acknowledged) - there) + len(there - set(seen.acknowledged))
