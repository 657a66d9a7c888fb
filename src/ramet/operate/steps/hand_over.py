"""Hand over what has one owner. The old owner has said that it stopped, or is fenced off, before the new one is named."""

from ramet.model.steps import HandOver
from ramet.operate.world import World


async def apply(step: HandOver, world: World) -> None:
    await world.release_owners(step.old)
    await world.reach(step.after(world.system))


async def undo(step: HandOver, world: World) -> None:
    await world.release_owners(step.new)
    await world.reach(step.before(world.system))
