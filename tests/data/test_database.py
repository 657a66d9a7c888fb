"""The handle, before and behind an instance."""

import asyncio
import subprocess
import sys

import pytest

from ramet.data import errors
from ramet.data.database import Database
from tests.data.support import Server


def test_the_handle_loads_neither_the_driver_nor_the_event_loop() -> None:
    """`import ramet` is on the path of every tool and every test: it stays light."""
    heavy = ("asyncpg", "asyncio", "sqlalchemy", "alembic")
    code = f"import ramet.data.database, sys; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unbound_database_says_who_opens_it() -> None:
    db = Database("articles")
    with pytest.raises(errors.DatabaseNotBound, match="articles") as caught:
        db.read()
    assert "open_database" in (caught.value.hint or "")
    assert repr(db) == "<Database of articles, not bound>"


@pytest.mark.parametrize("method", ["read", "write"])
def test_a_database_with_a_key_is_asked_with_it_while_it_has_one_shard(method: str) -> None:
    """Otherwise the day of the second shard is the day of a rewrite."""
    db = Database("articles", key="author_id")
    with pytest.raises(errors.KeyMisuse, match="needs the key `author_id`"):
        getattr(db, method)()
    with pytest.raises(TypeError, match="needs the key"):
        getattr(db, method)(None)


@pytest.mark.parametrize("method", ["read", "write"])
def test_a_key_where_none_is_declared_is_refused(method: str) -> None:
    with pytest.raises(errors.KeyMisuse, match="declares no key"):
        getattr(Database("articles"), method)("x")


def test_a_key_takes_the_same_way(server: Server) -> None:
    async def main() -> None:
        async with server.database("CREATE TABLE t (id int)", key="id") as db:
            await db.write(0).execute("INSERT INTO t VALUES ($1)", 0)
            async with db.read(0) as tx:
                assert await tx.fetchval("SELECT id FROM t") == 0

    asyncio.run(main())


def test_an_unknown_isolation_level_is_named(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            with pytest.raises(errors.BlockMisuse, match="chaos") as caught:
                db.write(isolation="chaos")  # type: ignore[arg-type]
            assert "serializable" in (caught.value.hint or "")

    asyncio.run(main())


def test_an_unbound_handle_can_be_bound_again(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            opened, run = db.opened, db._run
            db.unbind()
            with pytest.raises(errors.DatabaseNotBound):
                db.write()
            assert run is not None
            db.bind(opened, run)
            assert await db.read().fetchval("SELECT 1") == 1

    asyncio.run(main())
