"""Stop a database server on which nothing is any more."""

from ramet.model.data_steps import RemoveServer
from ramet.operate.world import World


async def apply(step: RemoveServer, world: World) -> None:
    await world.reach(step.after(world.system))
    await world.data.remove_server(step.server)


async def undo(step: RemoveServer, world: World) -> None:
    await world.data.add_server(step.server)
    await world.reach(step.before(world.system))
