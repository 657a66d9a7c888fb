"""Send traffic by other shares: routing tables to all instances, weights to Envoy, each confirmed."""

from ramet.model.steps import Shift
from ramet.operate.world import World


async def apply(step: Shift, world: World) -> None:
    await world.reach(step.after(world.system))


async def undo(step: Shift, world: World) -> None:
    await world.reach(step.before(world.system))
