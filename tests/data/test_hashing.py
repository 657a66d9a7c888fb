"""Our hash against the server's: the same value is in the same bucket, wherever it is asked."""

import asyncio
import random
from uuid import UUID

from ramet.data.slices import bucket
from ramet.model.hashing import bucket_of
from tests.data.support import Server


def test_a_key_has_the_bucket_that_the_server_gives_it(server: Server) -> None:
    """3,000 values of each type, with the ends of each; by the expression of row filters and by a partitioned table."""
    chance = random.Random(5)
    numbers = [0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), *(chance.randrange(-(2**63), 2**63) for _ in range(3000))]
    texts = ["", "a", "é", "日本", *("x" * n for n in range(40)), *(f"k{chance.random()}" for _ in range(3000))]
    uuids = [UUID(int=0), UUID(int=2**128 - 1), *(UUID(int=chance.getrandbits(128)) for _ in range(3000))]

    async def main() -> None:
        async with server.superuser() as connection:
            for key_type, values in (("int8", numbers), ("text", texts), ("uuid", uuids)):
                rows = await connection.fetch(
                    f"SELECT {bucket('v', key_type)}::int FROM unnest($1::{key_type}[]) WITH ORDINALITY u(v, n) ORDER BY n",
                    values,
                )
                assert [row[0] for row in rows] == [bucket_of(value) for value in values]

    asyncio.run(main())


def test_a_bucket_is_the_partition_of_a_table_by_hash(server: Server) -> None:
    """So that native partitions, or PgDog, can be put on the same data."""

    async def main() -> None:
        async with server.superuser() as connection:
            await connection.execute("CREATE TABLE parted (k int8) PARTITION BY HASH (k)")
            for key in (0, 1, 7, -5, 10**12, 123456789):
                fits = await connection.fetch(
                    "SELECT n FROM generate_series(0, 1023) n WHERE satisfies_hash_partition('parted'::regclass, 1024, n, $1::int8)",
                    key,
                )
                assert [row[0] for row in fits] == [bucket_of(key)]
            await connection.execute("DROP TABLE parted")

    asyncio.run(main())
