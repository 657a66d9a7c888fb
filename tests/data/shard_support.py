"""Two shards for tests of moves: two databases of one server, with the schema of one module in both."""

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from ramet.data import schemas
from ramet.data.address import Address
from ramet.data.administering import session
from ramet.data.database import Database
from ramet.data.hosts import Role
from ramet.data.moving import Moving, Side, close_target, switch
from ramet.data.opening import open_placed
from ramet.data.pool import Limits, Pool
from ramet.data.shards import Shards
from ramet.model.sharding import Buckets, DatabaseAt, ShardAt, ShardMap, Slice, reassigned
from tests.data.support import Server

TABLE = "CREATE TABLE notes (author_id bigint, id uuid, text text NOT NULL, PRIMARY KEY (author_id, id))"
_numbers = itertools.count(1)


@dataclass
class Divided:
    """A module `module` with shard 0 in one database and shard 1 in another."""

    server: Server
    module: str
    sides: list[Side]
    db: Database
    shards: Shards
    placed: DatabaseAt

    def move(self, of: Slice, name: str = "mv1", *, source: int = 0, target: int = 1) -> Moving:
        return Moving(
            name=f"{self.module}_{name}",
            module=self.module,
            of=of,
            column=self.db.key,
            map=self.placed.map,
            source=self.sides[source],
            target=self.sides[target],
        )

    async def switch(self, move: Moving, *, back: bool = False) -> str:
        """As a plan does it: writers wait, the servers change owners, the map follows."""
        wanted = reassigned(self.placed.map, move.of, (move.source if back else move.target).shard)
        hold = partial(self.shards.hold, move.name, move.of, 2.0)
        said = await switch(replace(move, map=self.placed.map), wanted, hold, back=back)
        await self.tell(wanted)
        return said

    async def tell(self, shard_map: ShardMap) -> None:
        self.placed = at(self.placed, shard_map)
        await self.shards.apply(self.placed)

    async def rows(self, shard: int, query: str = "SELECT * FROM notes") -> list[tuple[object, ...]]:
        async with session(self.sides[shard].admin) as connection:
            await connection.execute(f'SET search_path = "{self.module}"')
            return [tuple(row) for row in await connection.fetch(query)]


def at(placed: DatabaseAt, shard_map: ShardMap) -> DatabaseAt:
    return DatabaseAt(epoch=placed.epoch + 1, shards=placed.shards, map=shard_map)


@asynccontextmanager
async def divided(
    server: Server, *statements: str, key: str | None = "author_id", connections: int = 8
) -> AsyncGenerator[Divided]:
    """statements: the schema; by default one table."""
    module = server.module()
    names = [f"shard{next(_numbers)}" for _ in range(2)]
    async with server.superuser() as connection:
        for name in names:
            await connection.execute(f"CREATE DATABASE {name}")
    sides: list[Side] = []
    for shard, name in enumerate(names):
        admin = Address(dsn=f"postgresql://ramet@/{name}?host={server.folder}")
        await schemas.provision(admin, [schemas.Owner(module, "secret")])
        async with session(admin.as_role(module, "secret")) as connection:
            for statement in statements or (TABLE,):
                await connection.execute(statement)
        sides.append(Side(shard, admin, f"host={server.folder} dbname={name} user=ramet"))
    urls = [side.admin.as_role(module, "secret").dsn for side in sides]
    placed = DatabaseAt(
        shards=tuple(ShardAt(shard=shard, url=url) for shard, url in enumerate(urls)),
        map=ShardMap(key_type="int8" if key else ""),
    )
    db = Database(module, key=key)

    def make(url: str, tracked: str, role: Role) -> Pool:
        limits = Limits(max_connections=connections)
        return Pool(Address(dsn=url, schema=module), module=module, limits=limits, tracked=tracked, role=role)

    shards = await open_placed(db, placed, make=make)
    made = Divided(server, module, sides, db, shards, placed)
    await close_target(made.move(Buckets(512, 1023), "close"))
    try:
        yield made
    finally:
        db.unbind()
        await shards.close(drain_s=1)
        for side in sides:
            await forget(side)
        async with server.superuser() as connection:
            for name in names:
                await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def forget(side: Side) -> None:
    """Whatever moves have left."""
    async with session(side.admin) as connection:
        for (name,) in await connection.fetch(
            "SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ):
            await connection.execute(f"ALTER SUBSCRIPTION {name} DISABLE; ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
            await connection.execute(f"DROP SUBSCRIPTION {name}")
        while slots := await connection.fetch(
            "SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = current_database()"
        ):
            for slot, pid in slots:
                if pid is None:
                    await connection.fetchval("SELECT pg_drop_replication_slot($1)::text", slot)
                else:
                    await connection.fetchval("SELECT pg_terminate_backend($1)", pid)
