"""Copy a slice. It is written down before it is begun, so that whoever takes over knows what to clean up."""

from ramet.model.data_steps import Copy
from ramet.operate.world import World


async def apply(step: Copy, world: World) -> None:
    await world.reach(step.after(world.system))
    await world.data.copy(world.system, step.module, step.move)


async def undo(step: Copy, world: World) -> None:
    await world.data.clean(world.system, step.module, step.move, at_target=True)
    await world.reach(step.before(world.system))
