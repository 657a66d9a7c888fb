"""Compare both sides of a move. Changes nothing, so there is nothing to undo."""

from ramet.model.data_steps import Verify
from ramet.operate.world import World


async def apply(step: Verify, world: World) -> str:
    """What was compared, for the journal."""
    return await world.data.verify(world.system, step.module, step.move)


async def undo(step: Verify, world: World) -> None: ...
