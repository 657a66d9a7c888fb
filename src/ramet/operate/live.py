"""The running system on this machine, as the world of steps: instances that are kept, Envoy in front, the database behind.

What is to be is written down before it is done: the system with its instances in the control schema, from which another
controller takes over. Then instances and Envoy are told, and asked whether they have taken it. A routing table has an epoch that
only grows, so what is told late does no harm.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from ramet.data.errors import DatabaseUnavailable
from ramet.engines.envoy import Envoy
from ramet.engines.envoy_config import Files, render
from ramet.engines.envoy_model import Listener
from ramet.engines.supervision import Status as Run
from ramet.errors import StepFailed
from ramet.model import changes
from ramet.model.control import Status
from ramet.model.divisions import SliceMove
from ramet.model.launch import Launch
from ramet.model.recorded import Kept, Recorded
from ramet.model.release import Release
from ramet.model.routing import Owner, RoutingTable, service_of, version_of
from ramet.model.sharding import DatabaseAt
from ramet.model.steps import Watch
from ramet.model.system import System
from ramet.operate import traffic
from ramet.operate.databases import DatabaseServer
from ramet.operate.divided import DividedData, tell
from ramet.operate.folder import Folder
from ramet.operate.gates import Gates
from ramet.operate.keeper import AGAIN_S, SILENT, Keeper
from ramet.process import control

logger = logging.getLogger("ramet.operate")

PATIENCE_S = 30.0
"""How long a database that is away is waited for, as the journal's."""
FIRST_START_S = 1.5
"""How long an instance takes to be ready, before any was measured: conduit's, on two shared cores."""
WARM_S = 10.0
"""How long a new instance may take to connect to those that it calls."""
DROP_S = 30.0
"""How long the last calls of a module may take in a place that it leaves. A stream that lasts longer fails the step."""
HOST_S = 30.0
RELEASE_S = 30.0
"""How long the runs in hand of an owner's schedules may take. One that lasts longer is fenced off in the database."""

Save = Callable[[Recorded], Awaitable[None]]


class LiveWorld:
    """save: writes the record down; raises where another controller has taken over. keeper: makes one for a launch.
    settings: RAMET_* of every instance."""

    def __init__(
        self,
        recorded: Recorded,
        *,
        folder: Folder,
        databases: DatabaseServer,
        envoy: Envoy,
        save: Save,
        gates: Gates,
        keeper: Callable[[Kept | Launch, str], Keeper],
        settings: Mapping[str, str],
        data: DividedData,
    ) -> None:
        self.data = data
        self.system = recorded.system
        self.releases = dict(recorded.releases)
        self.epoch = recorded.epoch
        self.owners = dict(recorded.owners)
        self.listener = Listener(host=recorded.host, port=recorded.port)
        self.keepers: dict[str, Keeper] = {}
        self._folder = folder
        self._databases = databases
        self._envoy = envoy
        self._save = save
        self._gates = gates
        self._make = keeper
        self._settings = dict(settings)
        self._down: set[str] = set()
        self._told: dict[str, DatabaseAt] = {}
        """What instances know of databases, but for its epoch."""
        self.start_s = FIRST_START_S
        """How long the last instance took to be ready."""
        for name, kept in recorded.instances.items():
            self.keepers[name] = keeper(kept, self.releases[kept.launch.version].python)

    def __repr__(self) -> str:
        return f"<LiveWorld {self.system.topology}: {', '.join(map(repr, self.keepers.values()))}, epoch {self.epoch}>"

    @property
    def recorded(self) -> Recorded:
        return Recorded(
            system=self.system,
            epoch=self.epoch,
            host=self.listener.host,
            port=self.listener.port,
            instances={name: Kept(keeper.launch, *keeper.http, keeper.revision) for name, keeper in self.keepers.items()},
            releases=self.releases,
            owners=self.owners,
        )

    def keepers_of(self, names: Iterable[str]) -> list[Keeper]:
        return [self.keepers[name] for name in names if name in self.keepers]

    async def keep_releases(self, releases: Mapping[str, Release]) -> None:
        """Those that run, and those that a plan brings; of the others nothing is kept."""
        self.releases = dict(releases)
        await self._save(self.recorded)

    # Traffic

    async def reach(self, system: System) -> None:
        self.system = system
        self.epoch += 1
        await self._name_owners()
        await self._save(self.recorded)
        await self.tell_instances()
        await self.tell_databases()
        await self.tell_envoy()

    def _table(self) -> RoutingTable:
        return traffic.table(self.system, {name: each.address for name, each in self.keepers.items()}, self.owners, self.epoch)

    async def _name_owners(self) -> None:
        """As the system has them. Each new one gets an epoch of its own, which fences off the one before in the database."""
        nobody = Owner("", 0)
        held = {module: self.owners.get(module, nobody) for module in self.system.owners}
        changed = [module for module, instance in self.system.owners.items() if held[module].instance != instance]
        epochs: Mapping[str, int] = await self._reserved(changed) if changed else {}
        new = {name: Owner(self.system.owners[name], max(epochs[name], held[name].epoch + 1)) for name in changed}
        self.owners = held | new

    async def _reserved(self, modules: Sequence[str]) -> Mapping[str, int]:
        """Waits for a database that starts again, as the journal does."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await self._databases.reserve(modules)
            except DatabaseUnavailable:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def tell_instances(self) -> None:
        """Raises StepFailed where one did not take the table: it could send calls to where nobody serves them any more."""
        table = self._table()
        keepers = list(self.keepers.values())
        taken = await asyncio.gather(*(keeper.tell(table) for keeper in keepers))
        if deaf := [keeper.launch.instance for keeper, took in zip(keepers, taken, strict=True) if not took]:
            raise StepFailed(f"{', '.join(deaf)} did not take routing table {self.epoch}", hint="ramet logs")

    def _placed(self) -> dict[str, DatabaseAt]:
        """Where the database of each module is that an instance hosts."""
        modules = {module for keeper in self.keepers.values() for module in keeper.launch.databases}
        return {module: self.data.placed(self.system, module, self.epoch) for module in modules}

    async def tell_databases(self) -> None:
        """Only if anything about them has changed. Raises StepFailed where an instance did not take it."""
        placed = self._placed()
        told = {module: each.undated for module, each in placed.items()}
        if told == self._told:
            return
        keepers = list(self.keepers.values())
        taken = await asyncio.gather(*(tell(keeper, placed) for keeper in keepers))
        if deaf := [keeper.launch.instance for keeper, took in zip(keepers, taken, strict=True) if not took]:
            raise StepFailed(
                f"{', '.join(deaf)} did not learn where databases are now",
                hint="ramet logs; what it writes to the old place is refused, and nothing of it is lost",
            )
        self._told = told

    async def place(self, system: System) -> None:
        """As `reach`, where only databases have changed: nothing else is in the way of who waits for it."""
        self.system = system
        self.epoch += 1
        await self._save(self.recorded)
        await self.tell_databases()

    async def switch(self, module: str, move: SliceMove, after: System, *, back: bool) -> str:
        return await self.data.switch(self, module, move, after, back=back)

    async def fail_over(self, server: str, to: str) -> str:
        return await self.data.fail_over(self, server, to)

    async def tell_envoy(self) -> None:
        await self._envoy.apply(self.envoy_files())

    async def mark(self, instance: str, *, down: bool) -> None:
        """An instance ended by itself, or is back. Envoy is told at once: connections to it wait in its socket, which is kept for
        its successor, and nothing else would tell Envoy before its second health check. The last one of a place stays: there
        waiting is all that one can do."""
        before = set(self._down)
        (self._down.add if down else self._down.discard)(instance)
        if self._down == before or instance not in self.keepers:
            return
        try:
            await self.tell_envoy()
        except BaseException:
            self._down = before  # so that the next change says it again
            raise

    def envoy_files(self) -> Files:
        down = {name for place in self.system.places for name in self._down_at(place)}
        http = {name: keeper.http for name, keeper in self.keepers.items() if name not in down}
        return render(
            routes=traffic.routes(self.system, self.releases),
            clusters=traffic.clusters(self.system, http),
            listener=self.listener,
        )

    def _down_at(self, place: str) -> set[str]:
        """Those of a place that are down, if others are not."""
        names = {each.instance for each in self.system.at(place)}
        return names & self._down if names - self._down else set()

    # Instances

    async def start(self, place: str, instances: Sequence[str], modules: Sequence[str]) -> None:
        release = self.releases[version_of(place)]
        new = [name for name in instances if name not in self.keepers]
        for name in new:
            self.keepers[name] = self._make(self._launch(name, place, modules, release), release.python)
        await self._save(self.recorded)  # before they are there, so that whoever takes over knows what to end
        table = self._table()
        keepers = self.keepers_of(instances)
        for keeper in keepers:
            keeper.table = table
        try:
            await _all(self._start(keeper) for keeper in keepers)
        except BaseException:
            await asyncio.shield(self._end(new))  # what was there before may be serving
            raise

    async def start_all(self) -> None:
        """All instances of the system, whether they run already or not, and Envoy in front of them."""
        for running in self.system.instances:
            release = self.releases[version_of(running.place)]
            if running.instance not in self.keepers:
                launch = self._launch(running.instance, running.place, running.modules, release)
                self.keepers[running.instance] = self._make(launch, release.python)
        self.epoch += 1
        await self._name_owners()
        await self._save(self.recorded)
        table = self._table()
        for keeper in self.keepers.values():
            keeper.table = table
            keeper.make_folders()
        await _all(keeper.supervise() for keeper in self.keepers.values())
        await self.tell_instances()
        await self.tell_databases()
        await self._envoy.start(self.envoy_files())

    async def end_all(self) -> None:
        """Envoy first, so that nobody is cut off."""
        await self._envoy.stop()
        await self._end(list(self.keepers))

    async def end_strangers(self) -> None:
        """Instances that are written down and in no system: a controller died while it started or stopped them."""
        known = {running.instance for running in self.system.instances}
        strangers = [name for name in self.keepers if name not in known]
        await _all(keeper.end() for keeper in self.keepers_of(strangers))
        for name in strangers:
            del self.keepers[name]

    async def _start(self, keeper: Keeper) -> None:
        if keeper.supervisor.status is Run.STOPPED:
            began = time.monotonic()
            keeper.make_folders()
            await keeper.supervise()
            self.start_s = time.monotonic() - began

        async def once() -> bool:
            await keeper.call(control.warm, deadline_s=WARM_S)
            return True

        await self._until(keeper, once, WARM_S, "could not connect to those that it calls")

    def _launch(self, name: str, place: str, modules: Sequence[str], release: Release) -> Launch:
        return Launch(
            application=release.file,
            service=service_of(place),
            instance=name,
            version=version_of(place),
            modules=[module for module in release.modules if module in modules],  # in the order of the application
            state=str(self._folder.sockets / name),
            databases={module: at for module in modules if (at := self._database(module, release)) is not None},
            pooler=self._databases.pooler,
            direct=self._databases.direct,
            pool_size=self._databases.pool_size,
            settings=self._settings,
        )

    def _database(self, module: str, release: Release) -> DatabaseAt | None:
        has_one = release.modules[module].has_database
        return self.data.placed(self.system, module, self.epoch) if has_one else None

    async def stop(self, instances: Sequence[str]) -> None:
        await self._end(instances)
        await self._save(self.recorded)

    async def _end(self, instances: Sequence[str]) -> None:
        keepers = self.keepers_of(instances)
        await _all(keeper.stop() for keeper in keepers)
        for name in instances:
            self.keepers.pop(name, None)
            self._down.discard(name)

    # Modules

    async def host(self, instances: Sequence[str], modules: Sequence[str]) -> None:
        for keeper in self.keepers_of(instances):
            release = self.releases[keeper.launch.version]
            for module in modules:
                if module not in keeper.launch.modules:
                    keeper.launch = keeper.launch.hosting(module, self._database(module, release))
                    keeper.revision += 1
            keeper.save()
        await self._save(self.recorded)
        await _all(self._host(keeper, modules) for keeper in self.keepers_of(instances))

    async def _host(self, keeper: Keeper, modules: Sequence[str]) -> None:
        """As often as it takes: an instance that dies meanwhile comes back with all that its launch file says."""

        async def once() -> bool:
            for module in modules:
                placed = self._database(module, self.releases[keeper.launch.version])
                await keeper.call(control.host, module, placed, deadline_s=HOST_S)
            return True

        await self._until(keeper, once, HOST_S, f"did not host {', '.join(modules)}")

    async def drop(self, instances: Sequence[str], modules: Sequence[str]) -> None:
        for keeper in self.keepers_of(instances):
            keeper.launch = keeper.launch.without(modules)
            keeper.save()
        await self._save(self.recorded)
        await _all(self._drop(keeper, modules) for keeper in self.keepers_of(instances))

    async def _drop(self, keeper: Keeper, modules: Sequence[str]) -> None:
        async def once() -> bool:
            gone = [await keeper.call(control.drop, module, DROP_S, deadline_s=DROP_S + 5) for module in modules]
            return all(gone)

        await self._until(keeper, once, DROP_S, f"still has calls of {', '.join(modules)} in hand")

    async def _until(self, keeper: Keeper, once: Callable[[], Awaitable[bool]], within_s: float, what: str) -> None:
        """Try again while it does not answer, since it may be starting again. Raises StepFailed at the end of the time."""
        until = time.monotonic() + within_s
        last: Exception | None = None
        while time.monotonic() < until:
            try:
                if await once():
                    return
            except SILENT as error:
                last = error
            await asyncio.sleep(AGAIN_S)
        raise StepFailed(f"{keeper.launch.instance} {what} after {within_s:g} s{f': {last}' if last else ''}", hint="ramet logs")

    # What a plan asks

    async def release_owners(self, owners: Mapping[str, str]) -> None:
        """An owner that does not answer is fenced off where its module has a database. Raises StepFailed where it has none."""
        for module, instance in owners.items():
            held = self.owners.get(module)
            if held is not None and held.instance == instance:
                self.owners[module] = Owner("", held.epoch)
        self.epoch += 1
        await self._save(self.recorded)
        table = self._table()
        for keeper in self.keepers_of(sorted(set(owners.values()))):
            if await keeper.tell(table, within_s=RELEASE_S, until_settled=True):
                continue
            release = self.releases[keeper.launch.version]
            unfenced = [name for name, owner in owners.items() if owner == keeper.launch.instance]
            if unfenced := [name for name in unfenced if not release.modules[name].has_database]:
                raise StepFailed(
                    f"{keeper.launch.instance} did not say that it stopped the schedules of {', '.join(unfenced)}",
                    hint="ramet logs; such a module has no database that could fence it off",
                )

    async def compare(self, modules: Sequence[str], old: str, new: str) -> None:
        """By hash, from the instances themselves: the same version must have the same contracts wherever it runs."""
        calls = [f"{module}.{call}" for module in modules for call in self.releases[version_of(old)].modules[module].calls]
        hashes: dict[str, dict[str, list[str]]] = {}
        for running in self.system.instances:
            if running.place in (old, new) and set(modules) <= set(running.modules):
                told = await self._contracts(self.keepers[running.instance])
                for call in calls:
                    hashes.setdefault(call, {}).setdefault(told.get(call, "none"), []).append(running.instance)
        different = [
            f"{call}: {' but '.join(', '.join(names) + ' have ' + value for value, names in found.items())}"
            for call, found in hashes.items()
            if len(found) > 1
        ]
        if different:
            raise StepFailed(
                f"contracts differ: {'; '.join(different)}", hint="the files of the running version were changed; ramet roll"
            )

    async def _contracts(self, keeper: Keeper) -> dict[str, str]:
        told: dict[str, str] = {}

        async def once() -> bool:
            told.update(await keeper.call(control.contracts))
            return True

        await self._until(keeper, once, HOST_S, "did not tell its contracts")
        return told

    async def watch(self, gate: Watch) -> str:
        return await self._gates.watch(gate, self)

    async def migrate(self, version: str, modules: Sequence[str]) -> None:
        await self._databases.migrate_release(self.releases[version], modules)

    @property
    def moving(self) -> set[str]:
        """Modules of which rows are on the way between shards, or may yet go back."""
        return {module for module, division in self.system.databases.items() if division.moves}

    async def advance(self, module: str, revisions: Sequence[str]) -> str:
        return await self._databases.advance(module, revisions)

    async def retreat(self, module: str, revisions: Sequence[str]) -> None:
        await self._databases.retreat(module, revisions)

    async def check_contract(self, module: str, revisions: Sequence[str]) -> None:
        running = {version: self.releases[version] for version in {version_of(each.place) for each in self.system.instances}}
        contract = changes.SchemaChange(module, changes.CONTRACT, tuple(revisions))
        _, reasons = changes.possible([contract], running, self.moving)
        if reasons:
            raise StepFailed("; ".join(reasons), hint=f"ramet migrate apply {module}, after that")

    async def statuses(self) -> dict[str, Status | str]:
        """What each instance says of itself, or why it does not answer."""
        keepers = dict(self.keepers)
        answers = await asyncio.gather(*(keeper.ask_or_why() for keeper in keepers.values()))
        return dict(zip(keepers, answers, strict=True))


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """All of them to their end; then raise the first that failed, with what engines say of themselves as it is."""
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for also in failed[1:]:
        logger.error("world.failed_too", extra={"reason": str(also)})
    if failed:
        raise failed[0]
