"""Give up the way back of a move. It is written down that it is over when nothing of it is left."""

from ramet.model.data_steps import Clean
from ramet.operate.world import World


async def apply(step: Clean, world: World) -> None:
    await world.data.clean(world.system, step.module, step.move, at_target=step.at_target)
    await world.reach(step.after(world.system))


async def undo(step: Clean, world: World) -> None:
    """The rows are gone; there is nothing to put back."""
