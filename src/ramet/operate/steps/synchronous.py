"""Let commits wait for a replica, or not."""

from ramet.model.replica_steps import Synchronous
from ramet.operate.world import World


async def apply(step: Synchronous, world: World) -> None:
    await world.data.set_synchronous(step.server, step.on)


async def undo(step: Synchronous, world: World) -> None:
    await world.data.set_synchronous(step.server, not step.on)
