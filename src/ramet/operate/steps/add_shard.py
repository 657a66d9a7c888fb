"""Make the schema of a new shard. Nobody is told of it: it owns nothing."""

from ramet.model.data_steps import AddShard
from ramet.operate.world import World


async def apply(step: AddShard, world: World) -> None:
    await world.data.add_shard(world.system, step.module, step.shard)
    await world.reach(step.after(world.system))


async def undo(step: AddShard, world: World) -> None:
    await world.reach(step.before(world.system))
    await world.data.drop_shard(step.module, step.shard)
