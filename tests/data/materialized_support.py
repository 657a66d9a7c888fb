"""A module with articles and favorites, and results made of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ramet.data import materialized_sql, schemas
from ramet.data.materialized import MaterializedResult
from ramet.data.opening import open_database
from ramet.data.pool import Limits
from ramet.module import Module
from tests.data.support import Server

TABLES = """
CREATE TABLE articles (id bigint PRIMARY KEY, author_id bigint NOT NULL, title text NOT NULL, likes json NOT NULL DEFAULT '[]');
CREATE TABLE favorites (article_id bigint NOT NULL REFERENCES articles ON DELETE CASCADE, user_id bigint NOT NULL,
                        PRIMARY KEY (article_id, user_id))
"""
STATS = """
    SELECT a.id AS article_id, a.title, count(f.user_id) AS favorites, a.likes
    FROM articles AS a LEFT JOIN favorites AS f ON f.article_id = a.id
    {only} GROUP BY a.id
"""
TOP = """
    SELECT row_number() OVER (ORDER BY count(*) DESC, article_id) AS rank, article_id, count(*) AS favorites, sum(count(*)) OVER () AS total
    FROM favorites GROUP BY article_id
"""


def stats(module: Module, **options: Any) -> MaterializedResult:
    """By key, from two tables; with a row for each article, also for one that nobody likes, and a column without an equality."""

    @module.materialized(
        depends={"articles": "id", "favorites": "article_id"},
        columns={"article_id": "bigint", "title": "text", "favorites": "bigint", "likes": "json"},
        key="article_id",
        **options,
    )
    def article_stats() -> str:
        return STATS.format(only="WHERE a.id = ANY($1)")

    return article_stats


def top(module: Module, **options: Any) -> MaterializedResult:
    """Whole."""

    @module.materialized(
        depends=["favorites"],
        columns={"rank": "bigint", "article_id": "bigint", "favorites": "bigint", "total": "numeric"},
        unique=["rank"],
        **options,
    )
    def top_articles() -> str:
        return TOP

    return top_articles


def module_named(name: str, *, key: str | None = None, **options: Any) -> Module:
    module = Module(name)
    module.database(key=key)
    stats(module, **options)
    top(module, **options)
    return module


@asynccontextmanager
async def opened(server: Server, module: Module, **options: Any) -> AsyncIterator[Module]:
    assert module.db is not None
    pool = await open_database(module.db, server.address(module.name, **options), limits=Limits(max_connections=8))
    try:
        yield module
    finally:
        module.db.unbind()
        await pool.close(drain_s=1)


def scripts(module: Module, *more: str) -> list[str]:
    """What the migrations would do. more: after the tables, before the results."""
    return [TABLES, *more, *(materialized_sql.upgrade(each.declared, replaces=False) for each in module.results.values())]


@asynccontextmanager
async def shop(server: Server, *more: str, **options: Any) -> AsyncIterator[Module]:
    """With its database."""
    module = module_named(server.module(), **options)
    await schemas.provision(server.admin, [schemas.Owner(module.name, "secret")])
    async with opened(server, module):
        assert module.db is not None
        for script in scripts(module, *more):
            async with module.db.write() as tx:
                await tx.execute(script)
        yield module


async def expected(module: Module, result: str) -> list[Any]:
    """What the query says now."""
    assert module.db is not None
    query = STATS.format(only="") if result == "article_stats" else TOP
    return await _rows(module, f"({query}) AS q")


async def kept(module: Module, result: str) -> list[Any]:
    return await _rows(module, result)


async def _rows(module: Module, source: str) -> list[Any]:
    assert module.db is not None
    return [tuple(row) for row in await module.db.read().fetch(f"SELECT * FROM {source} ORDER BY 1")]


async def check_equal(module: Module) -> None:
    for name in module.results:
        assert await kept(module, name) == await expected(module, name), name
