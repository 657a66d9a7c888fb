"""Remove a replica. Nobody is sent there any more before it ends."""

from ramet.model.replica_steps import RemoveReplica
from ramet.operate.world import World


async def apply(step: RemoveReplica, world: World) -> None:
    await world.reach(step.after(world.system))
    await world.data.remove_replica(step.server, step.node)


async def undo(step: RemoveReplica, world: World) -> None:
    await world.data.add_replica(step.server, step.node)
    await world.reach(step.before(world.system))
