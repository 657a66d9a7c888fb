"""The database server of a fleet on this machine: started or reached, with a schema and a role for each module, and migrated."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from ramet.data import budget, capacity, migrations, ownership, pressure, revisions, schemas, stages
from ramet.data.address import Address
from ramet.data.backfilling import Progress
from ramet.data.budget import Demand
from ramet.data.errors import MigrationRefused
from ramet.data.insight import server_side
from ramet.data.revisions import Phase, Revision
from ramet.data.stages import Shards, Told, nobody
from ramet.engines.errors import EngineBusy
from ramet.engines.passwords import Passwords
from ramet.engines.postgres_binaries import Source
from ramet.engines.postgres_cluster import PostgresCluster
from ramet.engines.postgres_remote import RemotePostgres
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.postgres_url import with_parts, without_role
from ramet.engines.supervision import Change
from ramet.model.changes import SchemaChange
from ramet.model.release import Release
from ramet.model.topology import Application, Topology
from ramet.module import Module
from ramet.operate.folder import Folder

MAX_CONNECTIONS = 100


class DatabaseServer:
    """modules: those of the application that have a database."""

    def __init__(
        self, application: Application, modules: Iterable[Module], folder: Folder, on_change: Callable[[Change], None]
    ) -> None:
        self._application = application
        self._modules = [module for module in modules if module.db is not None]
        self._folder = folder.root / "postgres"
        self._server: PostgresCluster | RemotePostgres | None = None
        self._capacity: budget.Server | None = None
        self._on_change = on_change
        self._is_guest = False
        self.locate: Callable[[str], Shards] | None = None
        """The shards of a module, once a world knows them."""

    @property
    def has_started(self) -> bool:
        return self._server is not None

    @property
    def is_needed(self) -> bool:
        return bool(self._modules)

    async def start(self) -> None:
        """Raises an EngineError, DatabaseUnavailable, PoolerUnfit."""
        source = self._application.postgres
        if self.is_embedded:
            server = PostgresCluster(
                self._folder,
                settings=PostgresSettings(max_connections=MAX_CONNECTIONS),
                source=self.source,
                on_change=self._on_change,
            )
            await server.start()
            self._server = server
        else:
            remote = RemotePostgres(source)
            await remote.start()
            self._server = remote
        await self._measure()

    async def _measure(self) -> None:
        name = "the embedded PostgreSQL" if self.is_embedded else str(self.admin)
        self._capacity = await capacity.ask(self.admin, name=name)

    async def attach(self) -> None:
        """Use the server that runs already, or start it for this command alone. `release` ends what this began."""
        try:
            await self.start()
        except EngineBusy:
            running = PostgresCluster(self._folder)
            running.use_running()
            self._server = running
            self._is_guest = True
            await self._measure()

    async def release(self) -> None:
        """A server that ran before goes on: a fleet whose supervisor died may be using it."""
        if self._is_guest:
            return
        if isinstance(self._server, PostgresCluster) and self._server.primary.server.was_running:
            await self._server.detach()
        else:
            await self.stop()

    async def provision(self) -> None:
        """A schema and a role for each module, and the migrations that are missing."""
        owners = [schemas.Owner(module.name, self.password(module.name)) for module in self._modules]
        measures = self.is_embedded and await server_side.can_measure(self.admin)  # another's server is not ours to extend
        extensions = [server_side.EXTENSION] if measures else []
        await schemas.provision(self.admin, owners, extensions=extensions, is_pooled=self.is_pooled)

    async def migrate(
        self, report: Callable[[str, Revision], None], *, only: Collection[str] | None = None, is_alone: bool = True
    ) -> None:
        """Apply what is missing, to all modules or to some; up to a contract where others may be at work. Raises MigrationFailed;
        what was applied before it stays."""
        for name, folder in self._folders():
            if only is None or name in only:
                lacks = await self._lacks(name, folder) if is_alone else await self._before_contract(name, folder)
                if lacks:

                    def tell(_: int, what: Revision | Progress, name: str = name) -> None:
                        if isinstance(what, Revision):
                            report(name, what)

                    await stages.apply(name, folder, self.shards(name), lacks[-1].id, told=tell)

    @property
    def modules(self) -> list[str]:
        """Those that have a database and migrations."""
        return [name for name, _ in self._folders()]

    def shards(self, module: str) -> Shards:
        """Where the module's schema is: all that `locate` names, else the one here."""
        return self.locate(module) if self.locate is not None else [(0, self.address(module))]

    async def lacking(self, modules: Iterable[str], phase: str = "") -> list[SchemaChange]:
        """Stages of migrations that at least one shard lacks, in order. phase: the last one; empty for all."""
        folders = dict(self._folders())
        found: list[SchemaChange] = []
        for module in modules:
            folder = folders[module]
            lacks = await self._lacks(module, folder)
            wanted = stages.up_to(stages.stages(lacks), Phase(phase) if phase else None)
            found += [SchemaChange(module, stage.phase.value, stage.ids) for stage in wanted]
        return found

    async def last_change(self, module: str) -> tuple[str, ...]:
        """Migrations that one undo takes back, in order: of the shard that is furthest. Raises MigrationRefused for a contract,
        or where there is none."""
        folder = dict(self._folders())[module]
        history = revisions.read(folder)
        found = await stages.statuses(module, folder, self.shards(module))
        current = {revision for status in found.values() for revision in status.current}
        last = stages.last_sequence(history.applied(current))
        if not last:
            raise MigrationRefused(f"`{module}` has no migration that could be taken back", hint="ramet migrate status")
        if contract := next((each for each in last if each.phase is Phase.CONTRACT), None):
            raise MigrationRefused(
                f"{contract} of `{module}` took away what it would have to bring back",
                where=str(contract.path),
                hint=f"the way from here is forward: ramet migrate new {module} ...",
            )
        return tuple(each.id for each in last)

    async def advance(self, module: str, wanted: Sequence[str], told: Told = nobody) -> str:
        """Apply migrations, the last of which brings the others. What was done, in a sentence. Raises MigrationFailed."""
        folder, shards = dict(self._folders())[module], self.shards(module)
        done: list[Revision] = []

        def note(shard: int, what: Revision | Progress) -> None:
            if isinstance(what, Revision):
                done.append(what)
            told(shard, what)

        await stages.apply(module, folder, shards, wanted[-1], told=note, hold=partial(pressure.why_wait, self.admin))
        return f"{len(done)} applied" if len(shards) == 1 else f"{len(done)} applied on {len(shards)} shards"

    async def retreat(self, module: str, undone: Collection[str], told: Told = nobody) -> None:
        """Take migrations back. Raises MigrationRefused, MigrationFailed."""
        await stages.undo(module, dict(self._folders())[module], self.shards(module), undone, told=told)

    async def applied(self, running: Iterable[Release]) -> dict[str, dict[str, str]]:
        """What each database has: module -> id -> phase. Read from the migrations of the first that knows where it is: this
        folder, or a version that runs."""
        releases = list(running)
        own = dict(self._folders())
        found: dict[str, dict[str, str]] = {}
        for name, folder_here in own.items():
            status = await migrations.status(name, folder_here, self.address(name))
            parts = [release.modules[name] for release in releases if name in release.modules]
            for folder in (folder_here, *(Path(part.migrations) for part in parts if part.migrations)):
                history = revisions.read(folder)
                if not history.is_behind(status.current):
                    found[name] = {each.id: each.phase.value for each in history.applied(status.current)}
                    break
        return found

    async def reserve(self, modules: Iterable[str]) -> Mapping[str, int]:
        """For each of these modules an epoch under which nobody has owned its schedules yet. Whoever owned them does no more.

        1 for a module without a database: it has nothing to be compared with.
        """
        known = {module.name for module in self._modules}
        return {name: await ownership.reserve(self.address(name)) if name in known else 1 for name in modules}

    async def migrate_release(self, release: Release, modules: Iterable[str]) -> None:
        """Apply what a release's own folders have before a contract and the databases lack. A migration imports nothing of the
        application, whose other version this process has loaded. Raises MigrationFailed."""
        for name in modules:
            if folder := release.modules[name].migrations:
                lacks = await self._before_contract(name, Path(folder))
                hold = partial(pressure.why_wait, self.admin)
                if lacks:
                    await stages.apply(name, Path(folder), self.shards(name), lacks[-1].id, hold=hold)

    async def missing(self, release: Release) -> dict[str, tuple[str, ...]]:
        """Migrations of a release that the databases lack, up to a contract: module -> what each is. A module that is new to the
        application has no database yet, and no service hosts it."""
        found: dict[str, tuple[str, ...]] = {}
        known = {module.name for module in self._modules}
        for name, part in release.modules.items():
            if part.migrations and name in known:
                lacks = await self._before_contract(name, Path(part.migrations))
                if lacks:
                    found[name] = tuple(map(str, lacks))
        return found

    async def _lacks(self, name: str, folder: Path) -> tuple[Revision, ...]:
        return stages.missing(folder, await stages.statuses(name, folder, self.shards(name)))

    async def _before_contract(self, name: str, folder: Path) -> list[Revision]:
        kept = stages.up_to(stages.stages(await self._lacks(name, folder)), Phase.BACKFILL)
        return [revision for stage in kept for revision in stage.revisions]

    @property
    def is_embedded(self) -> bool:
        """Whether it is ours to start."""
        return self._application.postgres in {"embedded", "path"}

    @property
    def source(self) -> Source:
        return "wheel" if self._application.postgres == "embedded" else "path"

    @property
    def admin(self) -> Address:
        """As the superuser, or whom the URL names: for the control schema."""
        return Address(dsn=url_of(self.server), application_name="ramet-controller")

    @property
    def server(self) -> PostgresCluster | RemotePostgres:
        assert self._server is not None, "start comes first"
        return self._server

    @property
    def max_connections(self) -> int | None:
        """That instances may have together; None where they go to a pooler, which has limits of its own."""
        return None if self._capacity is None or self.is_pooled else self._capacity.available

    @property
    def capacity(self) -> budget.Server:
        assert self._capacity is not None, "start comes first"
        return self._capacity

    @property
    def pool_size(self) -> int:
        return self._application.pools.web

    @property
    def is_pooled(self) -> bool:
        return bool(self._application.pooler)

    @property
    def pooler(self) -> str:
        """For `Launch`; empty for none."""
        return self._application.pooler

    @property
    def direct(self) -> str:
        """The server behind the pooler, without a role, for `Launch`."""
        return without_role(url_of(self.server)) if self.is_pooled else ""

    async def migration_status(self) -> list[tuple[int, migrations.Status]]:
        """Of each shard of each module, with its number."""
        found = [await stages.statuses(name, folder, self.shards(name)) for name, folder in self._folders()]
        return [(shard, status) for statuses in found for shard, status in statuses.items()]

    def _folders(self) -> list[tuple[str, Path]]:
        folders = [(module.name, revisions.folder_of(self._application.modules[module.name])) for module in self._modules]
        return [(name, folder) for name, folder in folders if folder.is_dir()]

    def check_budget(self, topology: Topology) -> None:
        """Raises OverBudget, before anything is started that would be refused connections."""
        if self._capacity is not None:
            budget.check(self._capacity, self.demands(topology))

    def demands(self, topology: Topology) -> list[Demand]:
        """On the server itself. Where instances go to a pooler, that is what guards schedules, which goes past it."""
        found: list[Demand] = []
        for service in topology.services.values():
            for module in (each for each in self._modules if each.name in service.modules):
                one = partial(Demand, service=service.name, module=module.name, instances=service.instances)
                if not self.is_pooled:
                    found.append(one(max_connections=self.pool_size))
                elif module.schedules or module.results:
                    found.append(one(max_connections=1, role="jobs"))
        return found

    def address(self, module: str) -> Address:
        """The server itself, past a pooler."""
        return Address(dsn=url_of(self.server, user=module, password=self.password(module)), schema=module)

    def url(self, module: str) -> str:
        """For instances, with the module's own role and password."""
        if self.is_pooled:
            return with_parts(self._application.pooler, user=module, password=self.password(module))
        return self.address(module).dsn

    def urls(self) -> Mapping[str, str]:
        return {module.name: self.url(module.name) for module in self._modules}

    def password(self, module: str) -> str:
        """Of a module's role."""
        if isinstance(self._server, PostgresCluster):
            return self._server.primary.server.password(module)
        self._folder.mkdir(parents=True, exist_ok=True)
        return Passwords(self._folder / "passwords").make(module)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()


def url_of(server: PostgresCluster | RemotePostgres, *, user: str | None = None, password: str | None = None) -> str:
    """Of its primary; as the superuser where no role is named."""
    at = server.primary.server if isinstance(server, PostgresCluster) else server
    return at.url() if user is None else at.url(user=user, password=password)


@asynccontextmanager
async def attached(application: Application, modules: Iterable[Module], folder: Folder) -> AsyncGenerator[DatabaseServer]:
    """The server of a folder for one command: the one that runs, or started for as long as the block. Raises an EngineError."""
    server = DatabaseServer(application, modules, folder, lambda _: None)
    await server.attach()
    try:
        yield server
    finally:
        await server.release()
