"""From a wish to a plan of the running system: reads the file, looks at the release of a roll, measures, asks the model."""

from pathlib import Path

from ramet.model import changes
from ramet.model.explaining import Told, told
from ramet.model.facts import Facts, needs
from ramet.model.planning import Plan, plan, plan_data, refuse
from ramet.model.release import Release
from ramet.model.routing import version_of
from ramet.model.topology import Layout
from ramet.model.wishes import Wish, wanted_of
from ramet.operate import files, memory, releases, schemas
from ramet.operate.databases import DatabaseServer
from ramet.operate.live import LiveWorld
from ramet.operate.plans import Plans, rehearse


class Planner:
    """file: ramet.toml, read each time, since a topology may have been added."""

    def __init__(self, file: Path, world: LiveWorld, plans: Plans, databases: DatabaseServer) -> None:
        self._file = file
        self._world = world
        self._plans = plans
        self._databases = databases

    def __repr__(self) -> str:
        return f"<Planner of {self._file}: {self._plans!r}>"

    async def explain(self, wish: Wish) -> Told:
        """The plan in words, with what a dry run does. Changes nothing. Raises PlanImpossible, and PlanBusy while another plan is
        under way: what the system will be after that is not known."""
        self._plans.check_free()
        made, facts = await self._plan(wish)
        return told(made, facts, await rehearse(self._world.system, made))

    async def apply(self, wish: Wish) -> int:
        """Begin a plan; returns its number. Raises PlanImpossible, PlanBusy."""
        before = self._world.releases

        async def make() -> Plan:
            made, facts = await self._plan(wish)
            await self._world.keep_releases(facts.releases)  # before the plan is written down that needs them
            return made

        try:
            return await self._plans.begin(make)
        except BaseException:
            if not self._plans.is_moving:
                await self._world.keep_releases(before)
            raise

    async def _plan(self, wish: Wish) -> tuple[Plan, Facts]:
        """The plan, and what it was made from: the releases that run, and the one that it brings."""
        application = files.load(self._file)
        system = self._world.system
        known = {version: self._world.releases[version] for version in {version_of(each.place) for each in system.instances}}
        version = min(known)
        missing: dict[str, tuple[str, ...]] = {}
        if wish.is_of_schema:
            title, steps = await schemas.steps(wish, self._databases, known, self._world.moving)
            facts = await self._facts(known, application.inseparable)
            return Plan(title=title, steps=tuple(steps), needs=needs([system], facts)), facts
        if wish.roll:
            release = await releases.look(Path(wish.roll), known)
            refuse(changes.misfits(release, await self._databases.applied(known.values())))
            version, known[release.version] = release.version, release
            missing = await self._databases.missing(release)
            refuse(changes.held(missing, self._world.moving))
        facts = await self._facts(known, application.inseparable)
        if wish.data is not None:
            facts = facts.with_data({wish.data.module: await self._world.data.facts(system, wish.data.module)})
            return plan_data(system, wish.data, facts), facts
        wanted = wanted_of(wish, system, application.topologies, version, missing=missing, gate_s=application.gates.bake_s)
        layouts = {module: layout for module, layout in wanted.databases.items() if self._differs(module, layout)}
        facts = facts.with_data({module: await self._world.data.facts(system, module) for module in layouts})
        return plan(system, wanted, facts), facts

    def _differs(self, module: str, layout: Layout) -> bool:
        division = self._world.system.division(module)
        clusters = self._world.data.servers.clusters
        replicas = [len(clusters[each.server].replicas) if each.server in clusters else 0 for each in division.shards]
        return layout.shards != len(division.map.shards) or any(count != layout.replicas for count in replicas)

    async def _facts(self, known: dict[str, Release], inseparable: tuple[tuple[str, ...], ...]) -> Facts:
        used = [each.memory_bytes for each in (await self._world.statuses()).values() if not isinstance(each, str)]
        return Facts(
            releases=known,
            pool_size=self._databases.pool_size,
            max_connections=self._databases.max_connections,
            instance_bytes=sum(used) // len(used) if used else 0,
            free_bytes=memory.free_bytes() or 0,
            start_s=self._world.start_s,
            inseparable=inseparable,
        )
