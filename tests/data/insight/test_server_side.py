"""pg_stat_statements and our own counts name a query the same."""

import asyncio
from pathlib import Path

import pytest

from ramet.data import schemas
from ramet.data.address import Address
from ramet.data.database import Database
from ramet.data.insight.fingerprint import fingerprint
from ramet.data.insight.server_side import EXTENSION, can_measure, server_side
from ramet.data.opening import open_database
from ramet.engines.postgres import Postgres
from tests.data.support import Server, pool_of

pytestmark = pytest.mark.timeout(120)

QUERIES = [
    ("SELECT name FROM item WHERE id = $1 -- by id", (1,)),
    ("SELECT name, 'x' AS x FROM item WHERE id IN (1, 2, 3) AND name LIKE 'a%' AND id > -5", ()),
    ("SELECT count(*) FROM item WHERE id = ANY ($1) AND name = $2 LIMIT 10", ([1, 2], "x")),
    ("INSERT INTO item (id, name) VALUES ($1, 'a'), ($2, 'b') ON CONFLICT DO NOTHING", (1, 2)),
    ("UPDATE item SET name = name || 'it''s' WHERE id BETWEEN 1 AND 2 AND 1.5e0 < 2", ()),
    ('WITH x AS (SELECT id, "name" FROM item) SELECT * FROM x ORDER BY id OFFSET 1', ()),
]


def test_a_query_has_the_same_fingerprint_on_both_sides(tmp_path: Path) -> None:
    """Though the server puts `$1` where a literal was, and shortens lists by itself."""

    async def main() -> None:
        server = Postgres(tmp_path / "pg")
        await server.start()
        try:
            admin = Address(dsn=server.url())
            assert await can_measure(admin)
            await schemas.provision(admin, [schemas.Owner("shop", server.password("shop"))], extensions=[EXTENSION])
            address = Address(dsn=server.url(user="shop"), schema="shop")
            db = Database("shop")
            pool = await open_database(db, address)
            try:
                await db.write().execute("CREATE TABLE item (id int, name text)")
                for text, args in QUERIES:
                    for _ in range(3):
                        await db.write().fetch(text, *args)
                ours = {use.fingerprint: use for use in pool_of(db).queries.tell()}
            finally:
                await pool.close()
            theirs = await server_side(address)
            for text, _ in QUERIES:
                name = fingerprint(text)
                assert theirs[name].executions == ours[name].executions == 3, text
                assert 0 < theirs[name].total_s < ours[name].total_s
        finally:
            await server.stop()

    asyncio.run(main())


def test_without_the_extension_nothing_is_told(server: Server) -> None:
    async def main() -> None:
        assert not await can_measure(server.admin), "it is not preloaded here"
        async with server.database() as db:
            assert await server_side(server.address(db.module)) == {}

    asyncio.run(main())
