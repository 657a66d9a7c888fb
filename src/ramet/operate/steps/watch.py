"""The gate. It only looks, so there is nothing to undo."""

from ramet.model.steps import Watch
from ramet.operate.world import World


async def apply(step: Watch, world: World) -> str:
    """The verdict, for the journal."""
    return await world.watch(step)


async def undo(step: Watch, world: World) -> None: ...
