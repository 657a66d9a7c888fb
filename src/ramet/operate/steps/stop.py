"""Stop instances. Everyone is told before they end, so that nobody asks them any more."""

from ramet.model.steps import Stop
from ramet.operate.world import World


async def apply(step: Stop, world: World) -> None:
    await world.reach(step.after(world.system))
    await world.stop(step.instances)


async def undo(step: Stop, world: World) -> None:
    await world.start(step.place, step.instances, step.modules)
    await world.reach(step.before(world.system))
