"""Give a slice to its new owner. The way back is the same, with the roles exchanged."""

from ramet.model.data_steps import Switch
from ramet.operate.world import World


async def apply(step: Switch, world: World) -> str:
    """How long writers waited, for the journal."""
    return await world.switch(step.module, step.move, step.after(world.system), back=step.back)


async def undo(step: Switch, world: World) -> None:
    await world.switch(step.module, step.move, step.before(world.system), back=not step.back)
