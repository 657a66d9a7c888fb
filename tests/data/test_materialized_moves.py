"""A materialised result while the rows that it is made of move to another shard, on a real server."""

import asyncio
from collections import Counter

from ramet.data import materialized_sql, moving
from ramet.data.administering import session
from ramet.data.materialized import MaterializedResult
from ramet.module import Module
from tests.data.shard_support import Divided, divided
from tests.data.support import Server, until
from tests.data.test_materialized_faults import owner
from tests.data.test_moving import HALF, moved, silent, writing


async def counted(here: Divided) -> tuple[Module, MaterializedResult]:
    """A module that counts the notes of each author, with what its migration would make at both sides."""
    module = Module(here.module)
    module.db = here.db

    @module.materialized(depends={"notes": "author_id"}, columns={"author_id": "bigint", "notes": "bigint"}, key="author_id")
    def notes_of() -> str:
        return "SELECT author_id, count(*) AS notes FROM notes WHERE author_id = ANY($1) GROUP BY author_id"

    for side in here.sides:
        async with session(side.admin.as_role(module.name, "secret")) as connection:
            await connection.execute(materialized_sql.upgrade(notes_of.declared, replaces=False))
    return module, notes_of


async def is_right(here: Divided, result: MaterializedResult) -> bool:
    """At each shard, the rows of other keys too, where there are any."""
    query = "SELECT author_id, count(*) FROM notes GROUP BY 1 ORDER BY 1"
    kept = "SELECT author_id, notes FROM notes_of ORDER BY 1"
    return await result.staleness() == 0 and all(
        [await here.rows(shard, kept) == await here.rows(shard, query) for shard in (0, 1)]
    )


def test_rows_that_move_are_counted_where_they_arrive_and_nowhere_else(server: Server) -> None:
    """While they are written. The results themselves are not moved: replication would collide with what is computed there."""

    async def main() -> None:
        async with divided(server) as here:
            module, result = await counted(here)
            async with owner(module):
                async with writing(here, 3, count=4) as writers:
                    move = here.move(HALF)
                    await moved(here, move)
                    await until(lambda: has_rows(here))
                await moving.forget(move)
                assert writers.failed == []
                await until(lambda: is_right(here, result), seconds=10)
                await moving.delete_rows(move, silent, at_target=False)
                await until(lambda: is_right(here, result), seconds=10)
            counts = Counter(writers.acknowledged.values())
            both = [row for shard in (0, 1) for row in await here.rows(shard, "SELECT author_id, notes FROM notes_of")]
            assert sorted(both) == sorted(counts.items())

    async def has_rows(here: Divided) -> bool:
        return bool(await here.rows(1, "SELECT FROM notes_of LIMIT 1"))

    asyncio.run(main())
