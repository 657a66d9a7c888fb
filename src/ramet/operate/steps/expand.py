"""Bring a schema up to the last of an expand's migrations, on all shards."""

from ramet.model.schema_steps import Expand
from ramet.operate.world import World


async def apply(step: Expand, world: World) -> str:
    """What was done, for the journal."""
    return await world.advance(step.module, step.revisions)


async def undo(step: Expand, world: World) -> None:
    await world.retreat(step.module, step.revisions)
