"""Remove the schema of a shard that owns nothing."""

from ramet.model.data_steps import DropShard
from ramet.operate.world import World


async def apply(step: DropShard, world: World) -> None:
    await world.reach(step.after(world.system))
    await world.data.drop_shard(step.module, step.shard)


async def undo(step: DropShard, world: World) -> None:
    await world.data.add_shard(world.system, step.module, step.shard)
    await world.reach(step.before(world.system))
