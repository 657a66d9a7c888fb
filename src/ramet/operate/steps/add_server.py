"""Start a database server."""

from ramet.model.data_steps import AddServer
from ramet.operate.world import World


async def apply(step: AddServer, world: World) -> None:
    await world.data.add_server(step.server)
    await world.reach(step.after(world.system))


async def undo(step: AddServer, world: World) -> None:
    await world.reach(step.before(world.system))
    await world.data.remove_server(step.server)
