"""The services of a topology as processes on this machine, with the engines that they need and Envoy in front.

up:    lock the folder - end what an earlier supervisor left - database, schemas, migrations - instances - routing - Envoy
watch: every change of an instance or engine is reported; an instance that comes back is told the routing table again
down:  Envoy drains - instances drain, all at once - database - the folder is let go

Whatever fails on the way up is put back before the error leaves.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from ramet.engines.envoy import Envoy
from ramet.engines.envoy_config import render
from ramet.engines.envoy_model import Listener
from ramet.engines.errors import EngineBusy
from ramet.engines.identity import identify
from ramet.engines.locks import DirectoryLock
from ramet.engines.supervision import Change
from ramet.model.launch import FleetRecord, Launch
from ramet.model.routing import Owner, RoutingTable
from ramet.model.topology import Application, Topology
from ramet.module import Module
from ramet.operate import ingress
from ramet.operate.databases import POOL_SIZE, DatabaseServer
from ramet.operate.folder import Folder
from ramet.operate.keeper import Keeper
from ramet.operate.leftovers import end_instances

logger = logging.getLogger("ramet.operate")

Report = Callable[[str], None]
"""Told what is happening, in a sentence for a person."""


class Fleet:
    """port: of the HTTP entrance; 0 for a free one. application_file: ramet.toml."""

    def __init__(
        self,
        application: Application,
        application_file: Path,
        modules: Mapping[str, Module],
        topology: Topology,
        folder: Folder,
        *,
        port: int = 0,
        report: Report,
        settings: Mapping[str, str],
    ) -> None:
        self.application = application
        self.topology = topology
        self.folder = folder
        self._file = application_file.resolve()
        self._modules = modules
        self._report = report
        self._settings = dict(settings)
        self._listener = Listener(port=port or _free_port())
        self._databases = DatabaseServer(application, modules.values(), folder, self._on_change)
        self._envoy = Envoy(folder.root / "envoy", on_change=self._on_change)
        self.keepers: list[Keeper] = []
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Fleet {self.application.name} as {self.topology.name}: {len(self.keepers)} instances on {self.url}>"

    @property
    def url(self) -> str:
        return f"http://{self._listener.host}:{self._listener.port}"

    async def up(self) -> None:
        """Raises EngineBusy where another one runs here, and whatever keeps a part from starting."""
        self._databases.check_budget(self.topology)
        self.folder.make()
        try:
            lock = DirectoryLock(self.folder.root / "lock", what=f"{self.application.name} in {self.folder.root}")
            try:
                lock.acquire()
            except EngineBusy as error:
                raise EngineBusy(error.message, pid=error.pid, where=error.where, hint="ramet status; ramet down") from None
            self._stack.callback(lock.release)
            self._stack.callback(self.folder.forget_sockets)
            await end_instances(self.folder)
            await self._start_database()
            await self._start_instances()
            await self._start_envoy()
            self.folder.save(self._record())
            self._stack.callback(self.folder.forget)
        except BaseException:
            await self.down()
            raise
        self._report(f"{self.application.name} runs as {self.topology.name} on {self.url}")

    async def _start_database(self) -> None:
        if not self._databases.is_needed:
            return
        self._report("starting the database")
        self._stack.push_async_callback(self._databases.stop)
        await self._databases.start()
        await self._databases.provision()
        await self._databases.migrate(lambda module, revision: self._report(f"migrated {module}: {revision}"))

    async def _start_instances(self) -> None:
        urls: Mapping[str, str] = self._databases.urls() if self._databases.is_needed else {}
        for service in self.topology.services.values():
            for number in range(1, service.instances + 1):
                name = f"{service.name}-{number}"
                launch = Launch(
                    application=str(self._file),
                    service=service.name,
                    instance=name,
                    modules=list(service.modules),
                    state=str(self.folder.sockets / name),
                    databases={module: url for module, url in urls.items() if module in service.modules},
                    pool_size=POOL_SIZE,
                    settings=self._settings,
                )
                self.keepers.append(Keeper(launch, self.folder, self.application.name, self._on_change))
        for keeper in self.keepers:
            keeper.make_folders()
        self._stack.push_async_callback(self._stop_instances)
        table = self._table(await self._databases.reserve(name for name, module in self._modules.items() if module.schedules))
        for keeper in self.keepers:
            keeper.table = table
        self._report(f"starting {', '.join(keeper.launch.instance for keeper in self.keepers)}")
        outcomes = await asyncio.gather(*(keeper.supervisor.start() for keeper in self.keepers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome  # the first; the others are in the logs

    def _table(self, epochs: Mapping[str, int]) -> RoutingTable:
        """epochs: of the modules that have one owner. It is the first instance of the service that hosts the module."""
        modules = {
            module: [keeper.address for keeper in self.keepers if keeper.launch.service == service.name]
            for service in self.topology.services.values()
            for module in service.modules
        }
        owners = {module: Owner(modules[module][0].instance, epoch) for module, epoch in epochs.items() if module in modules}
        return RoutingTable(1, modules, owners=owners)

    async def _start_envoy(self) -> None:
        http = {
            service: [keeper.http for keeper in self.keepers if keeper.launch.service == service]
            for service in self.topology.services
        }
        self._report("starting Envoy")
        self._stack.push_async_callback(self._envoy.stop)
        routes = ingress.routes(self._modules, self.topology, prefix=self.application.http_prefix)
        await self._envoy.start(render(routes=routes, clusters=ingress.clusters(self.topology, http), listener=self._listener))

    async def _stop_instances(self) -> None:
        await asyncio.gather(*(keeper.stop() for keeper in self.keepers))

    async def down(self) -> None:
        """Stop everything, in the order in which nobody is cut off. Safe to call again."""
        await self._stack.aclose()

    def _record(self) -> FleetRecord:
        identity = identify(os.getpid())
        return FleetRecord(
            pid=os.getpid(),
            process_started=identity.started if identity is not None else "",
            app=self.application.name,
            topology=self.topology.name,
            url=self.url,
            log=str(self.folder.root / "up.log"),
            instances=[keeper.record for keeper in self.keepers],
        )

    def _on_change(self, change: Change) -> None:
        logger.info("fleet.changed", extra={"name_": change.name, "status": change.status.value, "detail": change.detail})
        self._report(f"{change.name}: {change.status.value}{f' ({change.detail})' if change.detail else ''}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
