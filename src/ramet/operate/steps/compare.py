"""Compare contracts. Changes nothing, so there is nothing to undo."""

from ramet.model.steps import Compare
from ramet.operate.world import World


async def apply(step: Compare, world: World) -> None:
    await world.compare(step.modules, step.old, step.new)


async def undo(step: Compare, world: World) -> None: ...
