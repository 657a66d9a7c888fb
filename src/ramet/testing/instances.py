"""Instances in processes of their own, started once for all tests that run in one layout, and kept between them."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from ramet.engines.files import read_tail, size_of
from ramet.engines.supervision import Change
from ramet.model.launch import Launch
from ramet.model.routing import Address, RoutingTable
from ramet.model.sharding import whole
from ramet.model.topology import Application, Service, Topology
from ramet.module import Module
from ramet.operate import files
from ramet.operate.folder import Folder
from ramet.operate.keeper import Keeper
from ramet.testing.background import Background
from ramet.testing.errors import PlacementRefused


def apart(application: Application) -> Topology:
    """Each module in a service of its own."""
    return Topology("", {name: Service(name, (name,)) for name in application.modules})


def _ignore(change: Change) -> None: ...


class Instances:
    """Of one topology. Everything that runs belongs to the background's loop; the methods are for the test's side."""

    def __init__(
        self,
        application: Application,
        file: Path,
        topology: Topology,
        folder: Folder,
        urls: Mapping[str, str],
        background: Background,
    ) -> None:
        self.topology = topology
        self._background = background
        self._folder = folder
        self._keepers: list[Keeper] = []
        self._logged: dict[str, int] = {}
        folder.make()
        for service in topology.services.values():
            for number in range(1, service.instances + 1):
                name = f"{service.name}-{number}"
                launch = Launch(
                    application=str(file),
                    service=service.name,
                    instance=name,
                    modules=list(service.modules),
                    state=str(folder.sockets / name),
                    databases={module: whole(url) for module, url in urls.items() if module in service.modules},
                    drain_delay_s=0.0,
                    settings={"RAMET_STRICT": "1", **files.as_environment(application)},
                )
                self._keepers.append(Keeper(launch, folder, application.name, _ignore))
        self.table = RoutingTable(1, {module: self._addresses(module) for module in application.modules})

    def __repr__(self) -> str:
        return f"<Instances of {self.topology.name or 'each module'}: {', '.join(map(repr, self._keepers))}>"

    def _addresses(self, module: str) -> list[Address]:
        service = self.topology.service_of(module)
        return [keeper.address for keeper in self._keepers if keeper.launch.service == service.name]

    def http(self, service: str) -> tuple[str, int]:
        """Host and port of the first instance of a service."""
        return next(keeper.http for keeper in self._keepers if keeper.launch.service == service)

    def start(self) -> None:
        """Raises what keeps one from starting; then none runs."""
        for keeper in self._keepers:
            keeper.make_folders()
            keeper.table = self.table
        try:
            self._background.run(self._start())
        except BaseException:
            self.stop()
            raise

    async def _start(self) -> None:
        for outcome in await asyncio.gather(*(each.supervisor.start() for each in self._keepers), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome  # the first; the others are in the logs

    def stop(self) -> None:
        async def stop() -> None:
            await asyncio.gather(*(keeper.stop() for keeper in self._keepers))

        self._background.run(stop())
        self._folder.forget_sockets()

    async def redirect(self, module: str, addresses: Sequence[Address] | None) -> RoutingTable:
        """Tell all instances that a module is hosted there, or (None) where it was. Returns the table."""
        modules = {**self.table.modules, module: self._addresses(module) if addresses is None else list(addresses)}
        self.table = table = RoutingTable(self.table.epoch + 1, modules)

        async def tell() -> None:
            await asyncio.gather(*(keeper.tell(table) for keeper in self._keepers))

        await self._background.await_(tell())
        return table

    def check_replaceable(self, module: str, modules: Mapping[str, Module]) -> None:
        """Raises PlacementRefused where a module's callers run beside it: they do not look at a routing table."""
        service = self.topology.service_of(module)
        for name in service.modules:
            if module in modules[name].uses:
                raise PlacementRefused(
                    f"`{module}` cannot be faked in topology {self.topology.name}: `{name}`, which calls it, runs in the same"
                    f" service, {service.name}",
                    hint='leave topology= out, so that each module runs apart: @pytest.mark.ramet("processes")',
                )

    def mark_logs(self) -> None:
        """From here on `logged` tells."""
        self._logged = {keeper.launch.instance: size_of(keeper.log) for keeper in self._keepers}

    def logged(self) -> dict[str, str]:
        """What each instance has written since the mark, at most the end of it; those that wrote nothing are left out."""
        told = {
            keeper.launch.instance: read_tail(keeper.log, since=self._logged.get(keeper.launch.instance, 0))
            for keeper in self._keepers
        }
        return {name: text for name, text in told.items() if text}
