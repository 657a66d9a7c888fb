"""Take migrations back, on all shards; its undo applies them again."""

from ramet.model.schema_steps import Retract
from ramet.operate.world import World


async def apply(step: Retract, world: World) -> None:
    await world.retreat(step.module, step.revisions)


async def undo(step: Retract, world: World) -> None:
    await world.advance(step.module, step.revisions)
