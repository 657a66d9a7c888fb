"""The databases of the modules that an instance hosts: opened, verified, closed."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import unquote, urlsplit

from ramet.calls.ledger import Ledger
from ramet.data import materialized, migrations, revisions
from ramet.data.address import Address
from ramet.data.hosts import Role
from ramet.data.insight.collecting import QueryLog
from ramet.data.once import DurableLedger
from ramet.data.opening import open_placed
from ramet.data.ownership import Fence
from ramet.data.pool import Limits, Pool
from ramet.data.queries import Blocks, Opened
from ramet.data.shards import Shards
from ramet.errors import ConfigError
from ramet.model.insight import QueryUse
from ramet.model.launch import Launch
from ramet.model.sharding import DatabaseAt, Slice
from ramet.module import DEFAULT_DEADLINE_S, Module
from ramet.observe import names
from ramet.observe.record import Recorder
from ramet.process.outcomes import CallOutcomes

logger = logging.getLogger("ramet.process")

SESSIONS = Limits(min_connections=0, max_connections=1)
"""There while a schedule runs, and for 300 s after it."""
_STATES = ("idle", "busy", "waiting", "connecting")


class Databases:
    """packages: module -> import path. There once it is open, by module: ledgers, which keep its `once` calls; fences, which
    guard its schedules and materialised results where it has some."""

    def __init__(
        self,
        modules: Iterable[Module],
        packages: Mapping[str, str],
        launch: Launch,
        recorder: Recorder,
        *,
        keeps_parameters: bool = True,
    ) -> None:
        self._packages = packages
        self._modules = [module for module in modules if module.db is not None]
        self._placed = dict(launch.databases)
        self._launch = launch
        self._recorder = recorder
        self._keeps_parameters = keeps_parameters
        self._shards: dict[str, Shards] = {}
        self._sessions: dict[str, Pool] = {}
        """Of modules with schedules behind a pooler: of the server itself, one session each, which holds their lock."""
        recorder.gauge(names.DB_CONNECTIONS, self._connections)
        self.ledgers: dict[str, Ledger] = {}
        self.fences: dict[str, Fence] = {}

    def __repr__(self) -> str:
        return f"<Databases: {', '.join(map(repr, self._shards.values())) or 'none'}>"

    async def open(self) -> None:
        """Raises ConfigError for a module without a URL, MigrationsPending, MaterializedMismatch, DatabaseUnavailable."""
        for module in self._modules:
            self._check_url(module)
        await asyncio.gather(*(self._open(module) for module in self._modules))

    async def host(self, module: Module, placed: DatabaseAt | None) -> None:
        """Open the database of one more module, if it has one. Raises as `open`."""
        if module.db is None or module.name in self._shards:
            return
        if placed is not None:
            self._placed[module.name] = placed
        self._check_url(module)
        await self._open(module)
        self._modules.append(module)

    async def drop(self, module: Module) -> None:
        """Give its connections back. Nothing of the module runs here any more."""
        shards, sessions = self._shards.pop(module.name, None), self._sessions.pop(module.name, None)
        self.ledgers.pop(module.name, None)
        self.fences.pop(module.name, None)
        if shards is not None and module.db is not None:
            self._modules.remove(module)
            await shards.close()
            if sessions is not None:
                await sessions.close()
            module.db.unbind()

    def tell_queries(self) -> tuple[list[QueryUse], int]:
        """What the databases that are open were asked since they were opened, and how many texts were too many to be counted."""
        logs = [pool.queries for pool in self._pools()]
        return [use for log in logs for use in log.tell()], sum(log.dropped for log in logs)

    async def place(self, placed: Mapping[str, DatabaseAt]) -> dict[str, int]:
        """Take what is newer. Returns the epoch of each module's database that is open here, as it is then."""
        known = {name: self._shards[name] for name in placed if name in self._shards}
        epochs = await asyncio.gather(*(shards.apply(placed[name]) for name, shards in known.items()))
        self._placed |= {name: shards.placed for name, shards in known.items()}
        return dict(zip(known, epochs, strict=True))

    async def hold(self, module: str, name: str, of: Slice, seconds: float) -> None:
        """See `Shards.hold`; nothing happens where the module is not hosted."""
        if (shards := self._shards.get(module)) is not None:
            await shards.hold(name, of, seconds)

    def release(self, module: str, name: str) -> None:
        if (shards := self._shards.get(module)) is not None:
            shards.release(name)

    @property
    def waiting(self) -> int:
        """Work that waits for a connection."""
        return sum(pool.statistics()["waiting"] for pool in self._pools())

    def _pools(self) -> Iterator[Pool]:
        for shards in self._shards.values():
            yield from shards.pools

    def _check_url(self, module: Module) -> None:
        if module.name not in self._placed:
            raise ConfigError(f"module `{module.name}` has a database, and this instance was told no URL for it")

    async def _open(self, module: Module) -> None:
        assert module.db is not None
        placed = self._placed[module.name]
        folder = revisions.folder_of(self._packages[module.name])
        if folder.is_dir():
            for at in placed.shards:
                await migrations.verify(module.name, folder, self._behind(self._address(module.name, at.url)))
        make = partial(self._make_pool, module.name)
        shards = await open_placed(module.db, placed, make=make)
        try:
            await self._verify_results(module, module.db.all_opened)
        except BaseException:
            module.db.unbind()
            await shards.close()
            raise
        self._shards[module.name] = shards
        outcomes = CallOutcomes({call.contract.qualified: call for call in module.calls.values()})
        self.ledgers[module.name] = DurableLedger(module.db, outcomes)
        if module.schedules or module.results:
            # Not of refreshes: between the statements of one, its session is never idle for long.
            longest_s = max((each.deadline_s for each in module.schedules.values()), default=DEFAULT_DEADLINE_S)
            sessions = await self._open_sessions(module.name, placed)
            self.fences[module.name] = Fence(
                module.db, module.name, self._launch.instance, longest_s=longest_s, sessions=sessions
            )

    @staticmethod
    async def _verify_results(module: Module, places: Iterable[Opened]) -> None:
        """Raises MaterializedMismatch. Tells of results that nobody declares, since their changes are noted for ever."""
        for place in places:
            for each in module.results.values():
                await materialized.verify(place, each.declared)
            if left := await materialized.undeclared(place, module.results):
                told = {
                    "owned": module.name,
                    "results": ",".join(left),
                    "hint": f"ramet migrate new {module.name} --materialized",
                }
                logger.warning("results.undeclared", extra=told)

    async def _open_sessions(self, module: str, placed: DatabaseAt) -> Callable[[Blocks], Blocks]:
        """For the pool of the module's home the one whose sessions stay. Its home may move, past the pooler or to it."""
        pooled = next((address for each in placed.shards if self._is_pooled(address := self._address(module, each.url))), None)
        if pooled is None:
            return lambda pool: pool
        made = self._sessions[module] = Pool(
            self._behind(pooled), module=module, limits=SESSIONS, recorder=self._recorder, role=Role.PRIMARY
        )
        await made.open()
        return lambda pool: made if isinstance(pool, Pool) and self._is_pooled(pool.address) else pool

    def _make_pool(self, module: str, url: str, tracked: str, role: Role) -> Pool:
        address = self._address(module, url)
        return Pool(
            replace(address, is_pooled=self._is_pooled(address)),
            module=module,
            limits=Limits(max_connections=self._launch.pool_size),
            recorder=self._recorder,
            queries=QueryLog(module, keeps_parameters=self._keeps_parameters),
            tracked=tracked,
            role=role,
        )

    def _address(self, module: str, url: str) -> Address:
        return address_of(module, url, application_name=self._launch.instance)

    def _is_pooled(self, address: Address) -> bool:
        return bool(self._launch.pooler) and address.hosts == Address(dsn=self._launch.pooler).hosts

    def _behind(self, address: Address) -> Address:
        """Itself, or the server behind the pooler."""
        return behind(address, self._launch.direct) if self._is_pooled(address) else address

    def _connections(self) -> Iterator[tuple[dict[str, str], float]]:
        counts: dict[tuple[str, str], int] = {}
        for pool in (*self._pools(), *self._sessions.values()):
            for state, count in pool.statistics().items():
                if state in _STATES:
                    counts[pool.module, state] = counts.get((pool.module, state), 0) + count
        for (module, state), count in counts.items():
            yield {"module": module, "state": state}, float(count)

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in (*self._shards.values(), *self._sessions.values())))
        for module in self._modules:
            if module.db is not None:
                module.db.unbind()


def address_of(module: str, url: str, *, application_name: str) -> Address:
    """The module's own schema, by its name."""
    return Address(dsn=url, schema=module, application_name=application_name)


def behind(pooler: Address, direct: str) -> Address:
    """The server behind a pooler, as the same role. direct: its URL without a role."""
    parts = urlsplit(pooler.dsn)
    role, password = unquote(parts.username or ""), unquote(parts.password or "")
    return replace(pooler, dsn=direct, is_pooled=False).as_role(role, password, schema=pooler.schema)
