"""The controller: keeps the services of a topology running on this machine, and takes them to another one by plans.

    up:     lock the folder - database - lease - the instances that run already are taken over, else all are started - Envoy -
            the plan that was under way goes on - the API opens
    watch:  every change of a process is reported; an instance that hangs is killed, and started again
    down:   the API closes - the plan in hand pauses - Envoy drains - instances drain, all at once - database - the lock

Instances, Envoy and PostgreSQL do not depend on it: they are in sessions of their own and go on when it dies. Whatever fails on
the way up is put back before the error leaves; what ran before goes on.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ramet.data.control import LEASE_S, ControlSchema
from ramet.engines.envoy import Envoy
from ramet.engines.errors import EngineBusy
from ramet.engines.identity import identify
from ramet.engines.locks import DirectoryLock
from ramet.engines.ports import free_port
from ramet.engines.supervision import Change, Status
from ramet.errors import JournalUnreadable, PlanBusy, PlanImpossible, RametError
from ramet.model.autoscale import Limits
from ramet.model.divisions import described
from ramet.model.launch import FleetRecord, Launch
from ramet.model.planning import refuse, separated
from ramet.model.recorded import Kept, Recorded
from ramet.model.system import Deployed, System, initial
from ramet.model.topology import Application, Topology
from ramet.model.wishes import Wish, limits_of
from ramet.module import Module
from ramet.operate import files
from ramet.operate.autoscaler import Autoscaler
from ramet.operate.databases import DatabaseServer
from ramet.operate.divided import DividedData
from ramet.operate.folder import Folder
from ramet.operate.gates import Gates
from ramet.operate.holder import may_live, own_name
from ramet.operate.keeper import Keeper
from ramet.operate.leftovers import end_instances
from ramet.operate.live import LiveWorld
from ramet.operate.liveness import Liveness
from ramet.operate.planner import Planner
from ramet.operate.plans import Plans
from ramet.operate.servers import Servers
from ramet.operate.standing_in import StandingIn
from ramet.process.describe import describe
from ramet.wire import values

logger = logging.getLogger("ramet.operate")

_SEEN = {Status.WAITING: True, Status.FAILED: True, Status.RUNNING: False}
"""Whether an instance is down, by what its supervisor says."""

Report = Callable[[str], None]
"""Told what is happening, in a sentence for a person."""


class Controller:
    """port: of the HTTP entrance; 0 for a free one. file: ramet.toml. topology: what to start where nothing runs yet.
    on_lost: called when another controller has taken the lease."""

    def __init__(
        self,
        application: Application,
        file: Path,
        modules: Mapping[str, Module],
        topology: Topology,
        folder: Folder,
        *,
        port: int = 0,
        report: Report,
        settings: Mapping[str, str],
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.application = application
        self.topology = topology
        self.folder = folder
        self.file = file.resolve()
        self._modules = modules
        self._port = port
        self._report = report
        self._settings = dict(settings)
        self._on_lost = on_lost
        self._databases = DatabaseServer(application, modules.values(), folder, self._on_change)
        self._servers = Servers(self._databases, folder, urls=application.servers, on_change=self._on_change)
        self._stopped: Recorded | None = None
        """What is written down of a system that does not run: where its databases are."""
        self._envoy = Envoy(folder.root / "envoy", on_change=self._on_change)
        self._stack = AsyncExitStack()
        self._is_up = False
        self._marking: set[asyncio.Task[None]] = set()
        self._found_running = False
        self._schema: ControlSchema | None = None
        self._world: LiveWorld | None = None
        self._plans: Plans | None = None
        self._planner: Planner | None = None

    def __repr__(self) -> str:
        return f"<Controller of {self.application.name}: {self._world!r}, {self._plans!r}>"

    @property
    def world(self) -> LiveWorld:
        assert self._world is not None, "it is there once it is up"
        return self._world

    @property
    def plans(self) -> Plans:
        assert self._plans is not None, "they are there once it is up"
        return self._plans

    @property
    def planner(self) -> Planner:
        assert self._planner is not None, "it is there once it is up"
        return self._planner

    @property
    def schema(self) -> ControlSchema:
        assert self._schema is not None, "it is there once the database is"
        return self._schema

    @property
    def url(self) -> str:
        return f"http://{self.world.listener.host}:{self.world.listener.port}"

    # Up and down

    async def up(self) -> None:
        """Raises EngineBusy where another one runs here, and whatever keeps a part from starting."""
        self.folder.make()
        try:
            await self._lock()
            await self._open_database()
            recorded = await self._recorded()
            self._found_running = recorded is not None
            if recorded is None:
                await self._start()
            else:
                await self._take_over(recorded)
            self._stack.push_async_callback(self._stop)
            self._keep()
            self._is_up = True
            self.folder.save(self._record())
            if recorded is None:
                await self._divide()
        except BaseException:
            await self._stack.aclose()
            raise
        self._report(f"{self.application.name} runs as {self.world.system.topology} on {self.url}")

    async def _lock(self) -> None:
        lock = DirectoryLock(self.folder.root / "lock", what=f"{self.application.name} in {self.folder.root}")
        try:
            lock.acquire()
        except EngineBusy as error:
            raise EngineBusy(error.message, pid=error.pid, where=error.where, hint="ramet status; ramet down") from None
        self._stack.callback(lock.release)

    async def _open_database(self) -> None:
        self._report("starting the database")
        self._stack.push_async_callback(self._leave_database)
        await self._databases.start()
        self._schema = ControlSchema(lambda: self._databases.admin, holder=own_name(), is_alive=may_live)
        self._stack.push_async_callback(self.schema.close)
        await self.schema.open()
        self._stack.push_async_callback(self.schema.give_up)
        self._go_on("lease", self._renew())

    async def _leave_database(self) -> None:
        """Stop it; or let it run, where the way up failed and there are instances that use it."""
        if self._found_running and not self._is_up:
            await self._servers.release_all()
            await self._databases.release()
        else:
            await self._servers.stop_all()
            await self._databases.stop()

    async def _recorded(self) -> Recorded | None:
        """What runs already. None where nothing does, or nothing is left of what did."""
        body = await self.schema.load_system()
        if body is None:
            return None
        try:
            recorded = values.decode_json_as(body, Recorded)
        except values.DECODE_ERRORS as error:
            raise JournalUnreadable(
                f"what runs was written down by another version of Ramet: {error}", hint="ramet down, with that version"
            ) from error
        self._stopped = recorded
        await self._servers.start(recorded.system.servers)
        await self._servers.look()
        pids = [self.folder.instance(name) / "pid" for name in recorded.instances]
        return recorded if any(path.exists() for path in pids) else None

    def _make_world(self, recorded: Recorded) -> None:
        gates = Gates(
            self.folder.root / "gates",
            self.application.gates,
            memory_limits=self.application.memory_limits,
            promised_s=min((each.latency_s for each in self.application.objectives.values() if each.latency_s), default=None),
            is_asked=lambda: self._plans is not None and self._plans.is_asked,
        )
        self._world = LiveWorld(
            recorded,
            folder=self.folder,
            databases=self._databases,
            envoy=self._envoy,
            save=self._save,
            gates=gates,
            keeper=self._keeper,
            settings=self._settings,
            data=DividedData(self._servers, self._modules, self._report),
        )
        self._databases.locate = lambda module: self.world.data.addresses(self.world.system, module)
        self._plans = Plans(self.schema, self.world, gates, report=self._report, lost=self._on_lost)
        self._planner = Planner(self.file, self.world, self._plans, self._databases)

    async def _start(self) -> None:
        homes = {module: each.name for each in self.topology.services.values() for module in each.modules}
        refuse(list(separated(homes, self.application.inseparable)))
        self._databases.check_budget(self.topology)
        await end_instances(self.folder)
        await self._databases.provision()
        await self._databases.migrate(lambda module, revision: self._report(f"migrated {module}: {revision}"))
        release = describe(
            self.application, self._modules, version=self.application.version, file=self.file, python=sys.executable
        )
        services = [
            Deployed(each.name, release.version, each.modules, each.instances) for each in self.topology.services.values()
        ]
        self._make_world(
            Recorded(
                system=self._first(initial(self.topology.name, services, release.scheduled)),
                epoch=0,
                host="127.0.0.1",
                port=self._port or free_port(),
                instances={},
                releases={release.version: release},
            )
        )
        await self.plans.forget("the system was stopped before the plan was over")
        self._report(f"starting {', '.join(each.instance for each in self.world.system.instances)}")
        self._stack.push_async_callback(self.world.end_all)
        await self.world.start_all()

    async def _divide(self) -> None:
        """What the topology divides, at its first start: by the same plan as later, over what is there by now."""
        system = self.world.system
        layouts = self.topology.databases
        if all(len(system.division(name).map.shards) == each.shards and not each.replicas for name, each in layouts.items()):
            return
        try:
            await self.planner.apply(Wish(topology=self.topology.name))
        except PlanImpossible as error:  # they are so already; or cannot be, and the system runs without
            self._report(str(error))
        else:
            await self.plans.wait()

    def _first(self, system: System) -> System:
        """With databases where they were when it was stopped."""
        if self._stopped is None:
            return system
        return system.on_data_of(self._stopped.system)

    async def _take_over(self, recorded: Recorded) -> None:
        self._make_world(recorded)
        system = self.world.system
        self._report(f"taking over {len(system.instances)} instances of {system.topology}")
        if system.topology != self.topology.name:
            self._report(f"it runs as {system.topology}; `ramet apply {self.topology.name}` takes it there")
        await self.world.end_strangers()
        await self.world.start_all()
        await self.plans.take_up()

    async def _save(self, recorded: Recorded) -> None:
        await self.schema.save_system(values.encode_json(recorded))
        if self._is_up:
            self.folder.save(self._record())

    def _keep(self) -> None:
        """What goes on for as long as it runs."""
        liveness = Liveness(self.world.keepers.values, report=self._report)
        autoscaler = Autoscaler(self.world, self.plans, limits=self._limits, apply=self.planner.apply, report=self._report)
        self._go_on("liveness", liveness.run())
        self._go_on("autoscaler", autoscaler.run())
        standing_in = StandingIn(self._servers, tell=self._tell_databases, holds=lambda: self.schema.holds, report=self._report)
        self._go_on("failover", standing_in.run())

    async def _tell_databases(self) -> None:
        await self.world.place(self.world.system)

    def _go_on(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Beside everything else, until the end. A mistake that ends it earlier is told, not passed over."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("controller.part_ended", extra={"part": name}, exc_info=error)
                self._report(f"{name} has ended by an error: {error!r}")

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        self._stack.callback(task.cancel)

    def _limits(self) -> dict[str, Limits]:
        """As the file has them now. Raises ConfigError."""
        return limits_of(self.world.system.topology, files.load(self.file).topologies)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                await self.schema.renew()
            except PlanBusy as error:
                logger.critical("lease.lost", extra={"reason": str(error)})
                self._on_lost()
                return
            except RametError as error:  # the server is away; the lease holds until it does not
                logger.warning("lease.not_renewed", extra={"reason": str(error)})

    async def _stop(self) -> None:
        await self.plans.rest()
        await self.world.end_all()
        await self._save(self.world.recorded.at_rest)  # where databases are stays
        await self.plans.forget("the system was stopped before the plan was over")
        self.folder.forget()
        self.folder.forget_sockets()

    async def down(self) -> None:
        """Stop everything, in the order in which nobody is cut off. Safe to call again."""
        await self._stack.aclose()

    def _keeper(self, of: Kept | Launch, python: str) -> Keeper:
        if isinstance(of, Launch):
            return Keeper(of, self.folder, self.application.name, self._on_change, python=python)
        return Keeper(
            of.launch,
            self.folder,
            self.application.name,
            self._on_change,
            python=python,
            http=(of.host, of.port),
            revision=of.revision,
        )

    def _record(self) -> FleetRecord:
        identity = identify(os.getpid())
        known = {each.instance for each in self.world.system.instances}
        return FleetRecord(
            pid=os.getpid(),
            process_started=identity.started if identity is not None else "",
            app=self.application.name,
            topology=self.world.system.topology,
            url=self.url,
            log=str(self.folder.root / "up.log"),
            instances=[keeper.record for name, keeper in self.world.keepers.items() if name in known],
            data=described(self.world.system.databases),
        )

    def _on_change(self, change: Change) -> None:
        logger.info("fleet.changed", extra={"name_": change.name, "status": change.status.value, "detail": change.detail})
        self._report(f"{change.name}: {change.status.value}{f' ({change.detail})' if change.detail else ''}")
        if self._is_up and change.status in _SEEN:
            task = asyncio.create_task(self._mark(change.name, down=_SEEN[change.status]), name=f"mark {change.name}")
            self._marking.add(task)
            task.add_done_callback(self._marking.discard)

    async def _mark(self, instance: str, *, down: bool) -> None:
        try:
            await self.world.mark(instance, down=down)
        except (RametError, OSError) as error:  # its health checks see it too, a second later
            logger.warning("envoy.not_told", extra={"instance": instance, "reason": str(error)})
