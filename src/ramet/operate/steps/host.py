"""Have running instances host more modules. Their shares are another step's."""

from ramet.model.steps import Host
from ramet.operate.world import World


async def apply(step: Host, world: World) -> None:
    await world.host(step.instances, step.modules)
    await world.reach(step.after(world.system))


async def undo(step: Host, world: World) -> None:
    await world.reach(step.before(world.system))
    await world.drop(step.instances, step.modules)
