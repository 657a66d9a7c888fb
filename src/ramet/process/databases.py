"""The databases of the modules that an instance hosts: opened, verified, closed."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from ramet.calls.ledger import Ledger
from ramet.data import migrations, revisions
from ramet.data.address import Address
from ramet.data.hosts import Role
from ramet.data.once import DurableLedger
from ramet.data.opening import open_database
from ramet.data.ownership import Fence
from ramet.data.pool import Limits, Pool
from ramet.errors import ConfigError
from ramet.model.launch import Launch
from ramet.module import Module
from ramet.observe import names
from ramet.observe.record import Recorder
from ramet.process.outcomes import CallOutcomes

JOBS = Limits(min_connections=0, max_connections=1)
"""There while a schedule runs, and for 300 s after it."""
_STATES = ("idle", "busy", "waiting", "connecting")


class Databases:
    """packages: module -> import path. There once it is open, by module: ledgers, which keep its `once` calls; fences, which
    guard its schedules where it has some."""

    def __init__(self, modules: Iterable[Module], packages: Mapping[str, str], launch: Launch, recorder: Recorder) -> None:
        self._packages = packages
        self._modules = [module for module in modules if module.db is not None]
        self._urls = dict(launch.databases)
        self._launch = launch
        self._recorder = recorder
        self._pools: dict[str, Pool] = {}
        self._jobs: dict[str, Pool] = {}
        """Of modules with schedules: one session each, which holds their lock. Of the server itself, past a pooler."""
        recorder.gauge(names.DB_CONNECTIONS, self._connections)
        self.ledgers: dict[str, Ledger] = {}
        self.fences: dict[str, Fence] = {}

    def __repr__(self) -> str:
        return f"<Databases: {', '.join(map(repr, self._pools.values())) or 'none'}>"

    async def open(self) -> None:
        """Raises ConfigError for a module without a URL, MigrationsPending, DatabaseUnavailable."""
        for module in self._modules:
            self._check_url(module)
        await asyncio.gather(*(self._open(module) for module in self._modules))

    async def host(self, module: Module, url: str) -> None:
        """Open the database of one more module, if it has one. Raises as `open`."""
        if module.db is None or module.name in self._pools:
            return
        self._urls[module.name] = url
        self._check_url(module)
        await self._open(module)
        self._modules.append(module)

    async def drop(self, module: Module) -> None:
        """Give its connections back. Nothing of the module runs here any more."""
        pool, jobs = self._pools.pop(module.name, None), self._jobs.pop(module.name, None)
        self.ledgers.pop(module.name, None)
        self.fences.pop(module.name, None)
        if pool is not None and module.db is not None:
            self._modules.remove(module)
            await pool.close()
            if jobs is not None:
                await jobs.close()
            module.db.unbind()

    @property
    def waiting(self) -> int:
        """Work that waits for a connection."""
        return sum(pool.statistics()["waiting"] for pool in self._pools.values())

    def _check_url(self, module: Module) -> None:
        if not self._urls.get(module.name):
            raise ConfigError(f"module `{module.name}` has a database, and this instance was told no URL for it")

    async def _open(self, module: Module) -> None:
        assert module.db is not None
        url, direct = self._urls[module.name], self._launch.direct
        address = address_of(module.name, url, application_name=self._launch.instance, is_pooled=bool(direct))
        server = behind(address, direct) if direct else address
        folder = revisions.folder_of(self._packages[module.name])
        if folder.is_dir():
            await migrations.verify(module.name, folder, server)
        limits = Limits(max_connections=self._launch.pool_size)
        self._pools[module.name] = await open_database(module.db, address, limits=limits, recorder=self._recorder)
        outcomes = CallOutcomes({call.contract.qualified: call for call in module.calls.values()})
        self.ledgers[module.name] = DurableLedger(module.db.opened, outcomes)
        if module.schedules:
            longest_s = max(each.deadline_s for each in module.schedules.values())
            jobs = self._jobs[module.name] = Pool(
                server, module=module.name, limits=JOBS, recorder=self._recorder, role=Role.PRIMARY
            )
            await jobs.open()
            self.fences[module.name] = Fence(
                module.db.opened, module.name, self._launch.instance, longest_s=longest_s, sessions=jobs
            )

    def _connections(self) -> Iterator[tuple[dict[str, str], float]]:
        for role, pools in (("web", self._pools), ("jobs", self._jobs)):
            for pool in pools.values():
                for state, count in pool.statistics().items():
                    if state in _STATES:
                        yield {"module": pool.module, "role": role, "state": state}, float(count)

    async def close(self) -> None:
        await asyncio.gather(*(pool.close() for pool in (*self._pools.values(), *self._jobs.values())))
        for module in self._modules:
            if module.db is not None:
                module.db.unbind()


def address_of(module: str, url: str, *, application_name: str, is_pooled: bool = False) -> Address:
    """The module's own schema, by its name."""
    return Address(dsn=url, schema=module, application_name=application_name, is_pooled=is_pooled)


def behind(pooler: Address, direct: str) -> Address:
    """The server behind a pooler, as the same role. direct: its URL without a role."""
    parts = urlsplit(pooler.dsn)
    role, password = unquote(parts.username or ""), unquote(parts.password or "")
    return replace(pooler, dsn=direct, is_pooled=False).as_role(role, password, schema=pooler.schema)
