"""Start instances. They are ready and warm before anyone is told of them."""

from ramet.model.steps import Start
from ramet.operate.world import World


async def apply(step: Start, world: World) -> None:
    await world.start(step.place, step.instances, step.modules)
    await world.reach(step.after(world.system))


async def undo(step: Start, world: World) -> None:
    await world.reach(step.before(world.system))
    await world.stop(step.instances)
