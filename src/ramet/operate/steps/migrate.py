"""Apply migrations. They stay when the plan is undone: both versions run on the schema that they make."""

from ramet.model.steps import Migrate
from ramet.operate.world import World


async def apply(step: Migrate, world: World) -> None:
    await world.migrate(step.version, tuple(step.revisions))


async def undo(step: Migrate, world: World) -> None: ...
