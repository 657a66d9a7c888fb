"""Name the system after the topology that it is equal to now."""

from ramet.model.steps import Settle
from ramet.operate.world import World


async def apply(step: Settle, world: World) -> None:
    await world.reach(step.after(world.system))


async def undo(step: Settle, world: World) -> None:
    await world.reach(step.before(world.system))
