"""Make a replica. Every instance notes the positions of its writes before the first read there."""

from ramet.model.replica_steps import AddReplica
from ramet.operate.world import World


async def apply(step: AddReplica, world: World) -> str:
    """What it took, for the journal."""
    await world.reach(step.tracked(world.system))
    said = await world.data.add_replica(step.server, step.node)
    await world.reach(step.after(world.system))
    return said


async def undo(step: AddReplica, world: World) -> None:
    await world.reach(step.before(world.system))
    await world.data.remove_replica(step.server, step.node)
