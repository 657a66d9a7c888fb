"""Change the primary of a server. Who it is then, everyone is told at once."""

from ramet.model.replica_steps import FailOver
from ramet.operate.world import World


async def apply(step: FailOver, world: World) -> str:
    """What it took and what it lost, for the journal."""
    said = await world.fail_over(step.server, step.to)
    await world.reach(world.system)
    return said


async def undo(step: FailOver, world: World) -> None:
    await world.fail_over(step.server, step.old)
    await world.reach(world.system)
