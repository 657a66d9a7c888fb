"""Have instances host modules no more. They have no share of them, so what is left is what they have in hand."""

from ramet.model.steps import Drop
from ramet.operate.world import World


async def apply(step: Drop, world: World) -> None:
    await world.reach(step.after(world.system))
    await world.drop(step.instances, step.modules)


async def undo(step: Drop, world: World) -> None:
    await world.host(step.instances, step.modules)
    await world.reach(step.before(world.system))
