"""Fill in rows, on all shards. What is filled in is dropped by the undo of the expand before."""

from ramet.model.schema_steps import Backfill
from ramet.operate.world import World


async def apply(step: Backfill, world: World) -> str:
    """What was done, for the journal."""
    return await world.advance(step.module, step.revisions)


async def undo(step: Backfill, world: World) -> None:
    await world.retreat(step.module, step.revisions)
