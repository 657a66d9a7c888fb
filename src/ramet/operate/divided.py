"""What steps do to data on the running system: servers, shards, and slices of rows that move between them."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ramet.data import movable, moving, schemas, slices
from ramet.data.address import Address
from ramet.data.administering import session
from ramet.data.moving import Moving, Side
from ramet.engines import postgres_dump
from ramet.errors import StepFailed
from ramet.model.dividing import DataFacts
from ramet.model.divisions import MAIN, Division, ShardIn, SliceMove
from ramet.model.sharding import BUCKETS, DatabaseAt, ShardAt, Whole, reassigned
from ramet.model.system import System
from ramet.module import Module
from ramet.operate.keeper import AGAIN_S, SILENT, TELL_S, Keeper
from ramet.operate.servers import Servers
from ramet.process import control

logger = logging.getLogger("ramet.operate")

FAILOVER_S = 8.0
"""How long writers wait at most while another node becomes the primary."""
HOLD_S = 3.0
"""How long writers to a slice wait at most, before they go on where they were: more than a switch takes that gives up."""


class Places(Protocol):
    """The live world, as far as data needs it."""

    @property
    def system(self) -> System: ...
    @property
    def epoch(self) -> int: ...
    @property
    def keepers(self) -> Mapping[str, Keeper]: ...
    async def place(self, system: System) -> None: ...


class DividedData:
    """report: told how far a long step is."""

    def __init__(self, servers: Servers, modules: Mapping[str, Module], report: Callable[[str], None]) -> None:
        self.servers = servers
        self._modules = modules
        self._report = report

    def __repr__(self) -> str:
        return f"<DividedData on {self.servers!r}>"

    def placed(self, system: System, module: str, epoch: int) -> DatabaseAt:
        """What instances are told of a module's database."""
        division = system.division(module)
        shards = tuple(
            ShardAt(
                shard=each.shard,
                url=self.servers.url(each.server, module),
                server=each.server,
                timeline=self.servers.timeline(each.server),
                tracks=each.server in system.tracked,
                replicas=self.servers.replicas(each.server, system.replicas.get(each.server, ()), module),
            )
            for each in division.shards
            if each.shard in division.map.shards or each.shard in division.moving
        )
        return DatabaseAt(epoch=epoch, shards=shards, map=division.map)

    def addresses(self, system: System, module: str) -> list[tuple[int, Address]]:
        """Number and address of each shard, as the module's own role: for migrations, which also reach those that own nothing."""
        return [
            (each.shard, Address(dsn=self.servers.url(each.server, module), schema=module))
            for each in system.division(module).shards
        ]

    async def facts(self, system: System, module: str) -> DataFacts:
        """Raises KeyMisuse for a key that cannot be one."""
        db = self._modules[module].db if module in self._modules else None
        division = system.division(module)
        if db is None:
            return DataFacts()
        homes = [each for each in division.shards if each.shard in division.map.shards]
        admin = self.servers.admin(homes[0].server)
        key_type = ""
        weights: list[float] = []
        if db.key is not None:
            async with session(admin) as connection:
                key_type = await slices.key_type(connection, module, db.key)
            weights = await self._weights(module, db.key, key_type, homes) if key_type else []
        obstacles = await movable.obstacles(admin, module, db.key, is_whole=False) if db.key is not None else []
        whole = await movable.obstacles(admin, module, db.key, is_whole=True)
        problems = await movable.problems_of_server(admin)
        return DataFacts(
            key=db.key or "",
            key_type=key_type,
            weights=tuple(weights),
            primaries={name: cluster.primary.name for name, cluster in self.servers.clusters.items()},
            replicas={name: tuple(sorted(cluster.replicas)) for name, cluster in self.servers.clusters.items()},
            is_ours=self.servers.are_ours,
            synchronous=tuple(name for name, cluster in self.servers.clusters.items() if cluster.is_synchronous),
            obstacles=(*obstacles, *problems),
            whole=(*whole, *problems),
        )

    async def _weights(self, module: str, key: str, key_type: str, homes: Sequence[ShardIn]) -> list[float]:
        """Rows of each bucket, over all tables and shards."""
        rows_of = [0.0] * BUCKETS
        at = slices.bucket(key, key_type)
        for home in homes:
            async with session(self.servers.admin(home.server), statement_timeout="30s") as connection:
                for table in await movable.keyed_tables(connection, module, key):
                    name = f"{schemas.quote(module)}.{schemas.quote(table)}"
                    for bucket, rows in await connection.fetch(f"SELECT ({at})::int, count(*) FROM {name} GROUP BY 1"):  # noqa: S608
                        rows_of[bucket] += rows
        # Half by what is there, half by what may come: empty buckets are not given away for nothing.
        even = max(sum(rows_of) / BUCKETS, 1.0)
        return [rows + even for rows in rows_of]

    # Servers and shards

    async def add_server(self, name: str) -> None:
        await self.servers.start([name])

    async def remove_server(self, name: str) -> None:
        await self.servers.stop(name)

    async def add_shard(self, system: System, module: str, shard: ShardIn) -> None:
        """Begun anew where an earlier try ended half way: nothing is there that anybody owns."""
        division = system.division(module)
        source = self.servers.admin(division.server_of(min(division.map.shards)))
        target = self.servers.admin(shard.server)
        if shard.server == MAIN:
            raise StepFailed(
                f"{module} would have two shards on {MAIN}, in one schema", hint="leave the server out, for one of its own"
            )
        await schemas.provision(target, [schemas.Owner(module, self.servers.password(shard.server, module))])
        async with session(target) as connection:
            await connection.execute(f"DROP SCHEMA {schemas.quote(module)} CASCADE")
        await postgres_dump.copy_schema(source.dsn, target.dsn, module, keep=lambda line: "ramet_guard_" not in line)
        async with session(source) as old, session(target) as new:
            table = f"{schemas.quote(module)}.ramet_migrations"
            if await old.fetchval("SELECT to_regclass($1)", table) is not None:
                for (number,) in await old.fetch(f"SELECT version_num FROM {table}"):  # noqa: S608  (quoted)
                    await new.fetchval(f"INSERT INTO {table} VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1", number)  # noqa: S608

    async def drop_shard(self, module: str, shard: ShardIn) -> None:
        async with session(self.servers.admin(shard.server)) as connection:
            await connection.execute(f"DROP SCHEMA IF EXISTS {schemas.quote(module)} CASCADE")

    async def add_replica(self, server: str, node: str) -> str:
        return await self.servers.add_replica(server, node, self._report)

    async def remove_replica(self, server: str, node: str) -> None:
        await self.servers.remove_replica(server, node)

    async def fail_over(self, places: Places, server: str, to: str) -> str:
        """Writers wait meanwhile, as for a switch; those that had begun are in doubt, and say so."""
        modules = [name for name in self._modules if any(each.server == server for each in places.system.division(name).shards)]
        asks = [
            _ask(keeper, control.hold, module, f"failover of {server}", Whole(), FAILOVER_S)
            for keeper in places.keepers.values()
            for module in modules
            if module in keeper.launch.databases
        ]
        await asyncio.gather(*asks)
        said = await self.servers.fail_over(server, to)
        await places.place(places.system)
        await self.servers.rejoin_all(server)
        return said

    async def set_synchronous(self, server: str, on: bool) -> None:
        await self.servers.set_synchronous(server, on)

    # Slices

    def _moving(self, system: System, module: str, move: SliceMove) -> Moving:
        division = system.division(module)
        db = self._modules[module].db
        assert db is not None, "a module without a database has no moves"
        return Moving(
            name=f"{move.name}_{module}"[:40].lower(),
            module=module,
            of=move.of,
            column=db.key,
            map=division.with_move(move).map,
            source=self._side(division, move.source),
            target=self._side(division, move.target),
        )

    def _side(self, division: Division, shard: int) -> Side:
        admin = self.servers.admin(division.server_of(shard))
        return Side(shard, admin, admin.dsn)

    async def copy(self, system: System, module: str, move: SliceMove) -> None:
        what = self._moving(system, module, move)
        await moving.close_target(what)
        await moving.copy(what, self._report)
        await moving.prepare_back(what)

    async def clean(self, system: System, module: str, move: SliceMove, *, at_target: bool) -> None:
        what = self._moving(system, module, move)
        await moving.forget(what)
        await moving.delete_rows(what, self._report, at_target=at_target)

    async def verify(self, system: System, module: str, move: SliceMove) -> str:
        return await moving.verify(self._moving(system, module, move), self._report)

    async def switch(self, places: Places, module: str, move: SliceMove, after: System, *, back: bool) -> str:
        """Hold the writers, change the owner at the servers, tell everyone, all of it in the time that a writer waits."""
        what = self._moving(places.system, module, move)
        wanted = reassigned(what.map, move.of, move.source if back else move.target)
        began = 0.0

        async def hold() -> None:
            nonlocal began
            began = time.monotonic()
            await self._hold(places, module, move)

        try:
            said = await moving.switch(what, wanted, hold, back=back)
            await places.place(after)
        except BaseException:
            await asyncio.shield(self._release(places, module, move))
            raise
        ended = time.monotonic()
        return f"writers waited {(ended - began) * 1000:.0f} ms at most; {said}"

    async def _hold(self, places: Places, module: str, move: SliceMove) -> None:
        """An instance that does not answer is refused by the guard, and its writers with it."""
        await asyncio.gather(
            *(_ask(keeper, control.hold, module, move.name, move.of, HOLD_S) for keeper in places.keepers.values())
        )

    async def _release(self, places: Places, module: str, move: SliceMove) -> None:
        await asyncio.gather(*(_ask(keeper, control.release, module, move.name) for keeper in places.keepers.values()))


async def _ask(keeper: Keeper, facade: Callable[..., object], *args: object) -> None:
    try:
        await keeper.call(facade, *args, deadline_s=HOLD_S)
    except SILENT as error:
        logger.warning("instance.not_asked", extra={"instance": keeper.launch.instance, "reason": str(error)})


async def tell(keeper: Keeper, placed: Mapping[str, DatabaseAt]) -> bool:
    """Give an instance where its databases are, and return when it has taken it. One that is not running reads it when it starts.
    False if it did not answer in the time, and may go on with what it knew."""
    mine = {module: each for module, each in placed.items() if module in keeper.launch.databases}
    if not mine:
        return True
    keeper.launch = keeper.launch.placing(mine)
    keeper.save()
    until = time.monotonic() + TELL_S
    while True:
        try:
            epochs = await keeper.call(control.place, mine, deadline_s=TELL_S)
            return all(epochs.get(module, each.epoch) >= each.epoch for module, each in mine.items())
        except SILENT:
            if keeper.supervisor.pid is None:
                return True
            if time.monotonic() > until:
                return False
        await asyncio.sleep(AGAIN_S)
