"""Take away from a schema, on all shards. What runs is asked once more: a roll may have brought an old version since the plan was
made. It is not undone; what is left is whole."""

from ramet.model.schema_steps import Contract
from ramet.operate.world import World


async def apply(step: Contract, world: World) -> str:
    """What was done, for the journal. Raises StepFailed while a version runs that needs it."""
    await world.check_contract(step.module, step.revisions)
    return await world.advance(step.module, step.revisions)


async def undo(step: Contract, world: World) -> None: ...
