"""From a wish about schemas to the steps of its plan: what the databases lack and have, against the versions that run."""

from collections.abc import Collection, Mapping

from ramet.data.stages import Told
from ramet.errors import PlanImpossible
from ramet.kit.near import did_you_mean
from ramet.model import changes
from ramet.model.planning import refuse
from ramet.model.release import Release
from ramet.model.schema_steps import Backfill, Contract, Expand, Retract, SchemaStep
from ramet.model.wishes import Wish
from ramet.operate.databases import DatabaseServer

ALL = "*"


async def steps(
    wish: Wish, databases: DatabaseServer, running: Mapping[str, Release], moving: Collection[str] = ()
) -> tuple[str, list[SchemaStep]]:
    """Title and steps. running: the versions that run; empty for none. moving: modules of which rows are on the way between
    shards, or may yet go back. Raises PlanImpossible where nothing can be done, though
    something is wanted; no steps where nothing is lacking."""
    shards = {module: len(databases.shards(module)) for module in databases.modules}
    for module in (*wish.migrate, wish.retract):
        if module not in shards and module not in {"", ALL}:
            hint = did_you_mean(module, shards) or f"known: {', '.join(shards)}"
            raise PlanImpossible(f"there is no module `{module}` with a database", hint=hint)
    if wish.retract:
        undone = await databases.last_change(wish.retract)
        refuse(changes.kept_from(undone, wish.retract, running))
        return f"take back a change of {wish.retract}", changes.retracting(wish.retract, undone, shards[wish.retract])
    modules = list(shards) if ALL in wish.migrate else list(wish.migrate)
    wanted = await databases.lacking(modules, wish.phase)
    found, waiting = changes.possible(wanted, running, moving)
    if waiting and not found:
        raise PlanImpossible("; ".join(waiting), hint="nothing was changed")
    named = dict.fromkeys(each.module for each in found)
    title = f"migrate {', '.join(named)}" + (f"; {'; '.join(waiting)}" if waiting else "")
    return title, changes.steps_of(found, shards)


async def take(step: SchemaStep, databases: DatabaseServer, told: Told) -> None:
    """One of these steps where no fleet runs, so that nobody could need what a contract takes away."""
    match step:
        case Retract():
            await databases.retreat(step.module, step.revisions, told)
        case Expand() | Backfill() | Contract():
            await databases.advance(step.module, step.revisions, told)
