"""Materialised results in a real PostgreSQL: what changes is noted by the database itself, and a refresh loses none of it."""

import asyncio
import random
from typing import Any

import pytest

from ramet.data import driver, errors, materialized, materialized_sql
from ramet.module import Module
from tests.data.materialized_support import check_equal, expected, kept, opened, shop
from tests.data.support import Server, until


async def refresh(module: Module) -> None:
    for result in module.results.values():
        await result.refresh()


async def pending(module: Module) -> list[int]:
    """Keys that are noted for article_stats."""
    assert module.db is not None
    return [row[0] for row in await module.db.read().fetch("SELECT DISTINCT changed FROM ramet_changes_article_stats ORDER BY 1")]


# What is noted

ARTICLES = "INSERT INTO articles SELECT id, id % 3, 'title ' || id FROM generate_series(1, 9) AS id"
FAVORITES = "INSERT INTO favorites SELECT a, u FROM generate_series(1, 9) AS a, generate_series(1, 9) AS u WHERE u <= a % 4"

WRITES: dict[str, tuple[str, list[int]]] = {
    "an insert": ("INSERT INTO favorites VALUES (4, 77)", [4]),
    "many rows of one statement": ("INSERT INTO favorites SELECT id, 77 FROM articles WHERE id < 4", [1, 2, 3]),
    "an update": ("UPDATE articles SET title = 'other' WHERE id IN (2, 3)", [2, 3]),
    "a key that changes: the old one and the new one": ("UPDATE favorites SET article_id = 4 WHERE article_id = 1", [1, 4]),
    "a delete": ("DELETE FROM favorites WHERE user_id = 3", [3, 7]),
    "an insert that meets a row and updates it": ("INSERT INTO favorites VALUES (1, 1) ON CONFLICT DO NOTHING", []),
    "an upsert": (
        "INSERT INTO articles VALUES (5, 1, 'x') ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title",
        [5],
    ),
    "rows that a foreign key deletes": ("DELETE FROM articles WHERE id = 6", [6]),
    "a merge": (
        """MERGE INTO favorites f USING (VALUES (1, 1), (8, 50)) AS s (a, u) ON f.article_id = s.a AND f.user_id = s.u
           WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.a, s.u)""",
        [1, 8],
    ),
    "a truncate: whatever has rows or had some": ("TRUNCATE favorites", list(range(1, 10))),
    "what is undone": ("BEGIN; DELETE FROM favorites; ROLLBACK", []),
    "what is undone to a savepoint, beside what is not": (
        "BEGIN; SAVEPOINT s; DELETE FROM favorites WHERE article_id = 1; ROLLBACK TO s; DELETE FROM favorites WHERE article_id = 2; COMMIT",
        [2],
    ),
    "a write under session_replication_role, as replication applies it": (
        "SET session_replication_role = replica; DELETE FROM favorites WHERE article_id = 5",
        [5],
    ),
}


@pytest.mark.parametrize("claim", WRITES)
def test_whatever_writes_to_a_table_is_noted_in_its_own_transaction(server: Server, claim: str) -> None:
    """By a superuser with an empty search path here: psql, a cron job, a migration. After a refresh the result is the query's."""
    statement, keys = WRITES[claim]

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            async with server.superuser() as psql:
                await psql.execute(f"SET search_path TO {module.name}; {FAVORITES}; RESET search_path")
                await refresh(module)
                await check_equal(module)
                assert await pending(module) == []
                tables = statement.replace("articles", f"{module.name}.articles").replace("favorites", f"{module.name}.favorites")
                await psql.execute(f"SET search_path TO ''; {tables}")
            assert await pending(module) == keys
            await refresh(module)
            await check_equal(module)
            assert await pending(module) == []

    asyncio.run(main())


def test_whoever_may_write_to_a_table_need_not_be_allowed_to_note_it(server: Server) -> None:
    """A role with a grant on the table alone: without SECURITY DEFINER its write would fail."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module, server.superuser() as psql:
            await psql.execute(
                f"CREATE ROLE {module.name}_job; GRANT TEMPORARY ON DATABASE postgres TO {module.name}_job; GRANT USAGE ON SCHEMA {module.name} TO {module.name}_job;"
                f"GRANT INSERT ON {module.name}.favorites TO {module.name}_job; SET ROLE {module.name}_job;"
                "CREATE TEMPORARY TABLE ramet_changes_article_stats (changed bigint);"
                f"INSERT INTO {module.name}.favorites VALUES (3, 1); RESET ROLE"
            )
            assert 3 in await pending(module)

    asyncio.run(main())


def test_rows_of_a_partition_are_noted_by_the_key_of_their_table(server: Server) -> None:
    """Also where the partition is written to by its own name."""

    async def main() -> None:
        async with shop(server) as module:
            assert module.db is not None
            await module.db.write().execute(
                "CREATE TABLE sales (shop bigint, amount bigint) PARTITION BY HASH (shop);"
                "CREATE TABLE sales_0 PARTITION OF sales FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
            )

            @module.materialized(depends={"sales": "shop"}, columns={"id": "bigint", "total": "numeric"}, key="id")
            def shops() -> str:
                return "SELECT shop AS id, sum(amount) AS total FROM sales WHERE shop = ANY($1) GROUP BY shop"

            await module.db.write().execute(materialized_sql.upgrade(shops.declared, replaces=False))
            await shops.refresh()
            await module.db.write().execute("INSERT INTO sales VALUES (1, 10); INSERT INTO sales_0 VALUES (1, 5), (2, 7)")
            await shops.refresh()
            assert await kept(module, "shops") == [(1, 15), (2, 7)]

    asyncio.run(main())


def test_a_transaction_notes_a_key_once(server: Server) -> None:
    """However many of its rows it writes; and a whole result once altogether."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            assert module.db is not None
            await refresh(module)
            async with module.db.write() as tx:
                for user in range(50):
                    await tx.execute("INSERT INTO favorites VALUES (1, $1), (2, $1)", user)
            assert await module.db.read().fetchval("SELECT count(*) FROM ramet_changes_article_stats") == 2
            assert await module.db.read().fetchval("SELECT count(*) FROM ramet_changes_top_articles") == 1

    asyncio.run(main())


# Refreshing


@pytest.mark.parametrize("seed", range(6))
def test_after_all_writers_are_done_a_result_is_what_its_query_says(server: Server, seed: int) -> None:
    """Writers that hold their transactions open for a while, undo some, and delete whole articles; refreshers that run into each
    other all the time."""
    chance = random.Random(seed)

    async def write(module: Module, own: random.Random) -> None:
        assert module.db is not None
        for _ in range(25):
            try:
                async with module.db.write() as tx:
                    for _ in range(own.randint(1, 4)):
                        article, user = own.randint(1, 12), own.randint(1, 6)
                        statement, args = own.choice(
                            [
                                ("INSERT INTO articles VALUES ($1, $2, 'new') ON CONFLICT DO NOTHING", (article, user)),
                                (
                                    "INSERT INTO favorites SELECT id, $2 FROM articles WHERE id = $1 ON CONFLICT DO NOTHING",
                                    (article, user),
                                ),
                                ("DELETE FROM favorites WHERE article_id = $1 AND user_id = $2", (article, user)),
                                ("UPDATE articles SET title = title || $2::bigint WHERE id = $1", (article, user)),
                                ("DELETE FROM articles WHERE id = $1 AND $2::bigint = 1", (article, user)),
                            ]
                        )
                        await tx.execute(statement, *args)
                        await asyncio.sleep(own.choice([0, 0, 0.002]))
                    if own.random() < 0.15:
                        raise LookupError("undone")
            except (LookupError, errors.TransactionConflict, errors.ForeignKeyViolation):
                continue

    async def main() -> None:
        async with shop(server) as module:
            is_over = False

            async def keep() -> None:
                while not is_over:
                    await refresh(module)

            refreshers = [asyncio.create_task(keep()) for _ in range(2)]
            await asyncio.gather(*(write(module, random.Random(chance.random())) for _ in range(5)))
            is_over = True
            await asyncio.gather(*refreshers)
            await refresh(module)
            assert await expected(module, "article_stats")
            await check_equal(module)

    asyncio.run(main())


def test_a_change_that_commits_while_its_key_is_computed_is_taken_the_next_time(server: Server) -> None:
    """The refresh has its snapshot, and waits for a lock on the row."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module, server.superuser() as psql:
            assert module.db is not None
            await refresh(module)
            await module.db.write().execute("INSERT INTO favorites VALUES (1, 1)")
            await psql.execute(f"BEGIN; SELECT FROM {module.name}.article_stats WHERE article_id = 1 FOR UPDATE")
            refreshing = asyncio.create_task(module.results["article_stats"].refresh())
            await until(lambda: _waits(psql, module))
            await module.db.write().execute("INSERT INTO favorites VALUES (1, 2)")
            await psql.execute("ROLLBACK")
            await refreshing
            assert (await kept(module, "article_stats"))[0][2] == 1
            assert await pending(module) == [1]
            await refresh(module)
            await check_equal(module)

    async def _waits(psql: driver.Driver, module: Module) -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'"
        return bool(await psql.fetchval(waiting, module.name))

    asyncio.run(main())


def test_a_change_that_commits_later_than_a_younger_one_is_not_passed_over(server: Server) -> None:
    """Its note is older than one that was taken: nothing goes by numbers."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            assert module.db is not None
            await refresh(module)
            async with module.db.write() as old:
                await old.execute("INSERT INTO favorites VALUES (1, 1)")  # noted first
                await asyncio.create_task(later(module))
                assert [row[2] for row in await kept(module, "article_stats")][:2] == [1, 0]
            assert await pending(module) == [1]
            await refresh(module)
            await check_equal(module)

    async def later(module: Module) -> None:
        assert module.db is not None
        await module.db.write().execute("INSERT INTO favorites VALUES (1, 2)")
        await refresh(module)

    asyncio.run(main())


def test_readers_of_a_whole_result_always_see_a_whole_one(server: Server) -> None:
    """While it is refreshed again and again; and no reader ever waits for a lock."""

    async def main() -> None:
        async with shop(server, ARTICLES, FAVORITES) as module:
            assert module.db is not None
            await refresh(module)
            is_over = False
            seen: set[Any] = set()

            async def read() -> None:
                assert module.db is not None
                async with module.db.write() as tx:
                    await tx.execute("SET LOCAL lock_timeout = '1ms'")
                    while not is_over:
                        rows = await tx.fetch("SELECT favorites, total FROM top_articles ORDER BY rank")
                        total = sum(row[0] for row in rows)
                        assert {row[1] for row in rows} == {total}
                        seen.add(total)

            readers = [asyncio.create_task(read()) for _ in range(3)]
            for user in range(100, 130):
                await module.db.write().execute("INSERT INTO favorites SELECT id, $1 FROM articles", user)
                await module.results["top_articles"].refresh()
            is_over = True
            await asyncio.gather(*readers)
            assert len(seen) > 3
            assert await kept(module, "top_articles") == await expected(module, "top_articles")

    asyncio.run(main())


def test_rows_that_are_the_same_are_not_written(server: Server) -> None:
    """Neither by key nor whole; so a result that depends on this one is not computed for nothing."""

    async def main() -> None:
        async with shop(server, ARTICLES, FAVORITES) as module:
            assert module.db is not None
            await refresh(module)
            before = await versions(module)
            for result in module.results.values():
                await result.recompute()
            await module.db.write().execute("UPDATE articles SET author_id = 9 WHERE id = 1")
            await refresh(module)
            assert await versions(module) == before
            await module.db.write().execute("DELETE FROM favorites WHERE article_id = 7 AND user_id = 1")
            await refresh(module)
            assert len(await versions(module) - before) == 1 + len(await kept(module, "top_articles"))  # each has the new total

    async def versions(module: Module) -> set[Any]:
        assert module.db is not None
        query = " UNION ALL ".join(f"SELECT '{name}', ctid::text, xmin::text FROM {name}" for name in module.results)
        return {tuple(row) for row in await module.db.read().fetch(query)}

    asyncio.run(main())


def test_several_rows_of_a_key_come_and_go_together(server: Server) -> None:
    """`unique` tells them apart, `key` says which belong together."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            assert module.db is not None

            @module.materialized(
                depends={"articles": "author_id"},
                columns={"author_id": "bigint", "place": "bigint", "title": "text"},
                key="author_id",
                unique=["author_id", "place"],
            )
            def shelves() -> str:
                return """
                    SELECT author_id, row_number() OVER (PARTITION BY author_id ORDER BY id) AS place, title
                    FROM articles WHERE author_id = ANY($1)  -- a comment at the end
                """

            await module.db.write().execute(materialized_sql.upgrade(shelves.declared, replaces=False))
            await shelves.refresh()
            assert len(await kept(module, "shelves")) == 9
            await module.db.write().execute("UPDATE articles SET author_id = 5 WHERE id = 4; DELETE FROM articles WHERE id = 2")
            await shelves.refresh()
            assert {row[:2] for row in await kept(module, "shelves")} == {
                (0, 1),
                (0, 2),
                (0, 3),
                (1, 1),
                (1, 2),
                (2, 1),
                (2, 2),
                (5, 1),
            }

    asyncio.run(main())


def test_more_changes_than_one_refresh_takes_are_all_taken(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first, and readers see each part."""
    monkeypatch.setattr(materialized, "MAX_CHANGES", 4)

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            result = module.results["article_stats"]
            (place,) = result.places
            await materialized.begin_anew(place, result.declared)
            taken = []
            while not taken or taken[-1]:
                taken.append(await materialized.refresh_once(place, result.declared))
            assert taken == [4, 4, 1, 0]
            await result.recompute()
            await refresh(module)
            await check_equal(module)

    asyncio.run(main())


# All anew


def test_another_query_computes_all_anew(server: Server) -> None:
    """No migration, as long as the columns stay: each key gets its new rows, and readers keep the old ones until then."""

    async def main() -> None:
        async with shop(server, ARTICLES, FAVORITES) as module:
            assert module.db is not None
            await refresh(module)
            changed = Module(module.name)
            changed.database()

            @changed.materialized(
                depends={"articles": "id", "favorites": "article_id"},
                columns={"article_id": "bigint", "title": "text", "favorites": "bigint", "likes": "json"},
                key="article_id",
            )
            def article_stats() -> str:
                return "SELECT id AS article_id, upper(title) AS title, 0 AS favorites, likes FROM articles WHERE id = ANY($1)"

            async with opened(server, changed):
                await article_stats.refresh()
                assert (await kept(module, "article_stats"))[0][1:3] == ("TITLE 1", 0)

    asyncio.run(main())


def test_a_result_that_looks_at_the_clock_is_computed_anew_by_the_clock(server: Server) -> None:
    """`every`: also where nothing was written."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            assert module.db is not None

            @module.materialized(depends=["articles"], columns={"one": "int", "at": "timestamptz"}, unique=["one"], every="1h")
            def clock() -> str:
                return "SELECT 1 AS one, now() AS at"

            await module.db.write().execute(materialized_sql.upgrade(clock.declared, replaces=False))
            await clock.refresh()
            first = await kept(module, "clock")
            await clock.refresh()
            assert await kept(module, "clock") == first
            await module.db.write().execute("UPDATE ramet_materialized SET recomputed = recomputed - interval '1 hour'")
            await clock.refresh()
            assert await kept(module, "clock") != first

    asyncio.run(main())


def test_recompute_mends_what_no_trigger_saw(server: Server) -> None:
    """Of some keys, or of all."""

    async def main() -> None:
        async with shop(server, ARTICLES, FAVORITES) as module:
            assert module.db is not None
            result = module.results["article_stats"]
            await refresh(module)
            await module.db.write().execute(
                "UPDATE article_stats SET favorites = 99 WHERE article_id IN (1, 2); DELETE FROM article_stats WHERE article_id = 3"
            )
            await result.recompute([1, 3, 12345])
            await result.refresh()
            assert [row[2] for row in await kept(module, "article_stats")][:3] == [1, 99, 3]
            await result.recompute()
            await result.refresh()
            await check_equal(module)
            with pytest.raises(errors.KeyMisuse, match="has no key"):
                await module.results["top_articles"].recompute([1])

    asyncio.run(main())


# Staleness


def test_staleness_is_the_age_of_the_oldest_change_that_is_missing(server: Server) -> None:
    """It grows while nobody refreshes, and is gone with the refresh."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            assert module.db is not None
            result = module.results["article_stats"]
            await refresh(module)
            assert await result.staleness() == 0
            await module.db.write().execute("INSERT INTO favorites VALUES (1, 1)")
            first = await result.staleness()
            assert first > 0
            await module.db.write().execute("INSERT INTO favorites VALUES (2, 1)")
            await until(lambda: _is_older(result, first))
            await result.refresh()
            assert await result.staleness() == 0

    async def _is_older(result: Any, than_s: float) -> bool:
        return await result.staleness() > than_s + 0.02

    asyncio.run(main())


# Verifying

DAMAGES = {
    "no table": ("DROP TABLE article_stats", "there is no table article_stats"),
    "a column that is not there": ("ALTER TABLE article_stats DROP COLUMN title", "column title is not there, declared as text"),
    "a column of another type": (
        "ALTER TABLE article_stats ALTER COLUMN favorites TYPE int",
        "column favorites is of type integer, declared as bigint",
    ),
    "another primary key": (
        "ALTER TABLE article_stats DROP CONSTRAINT article_stats_pkey",
        r"its primary key is \(\), declared as \(article_id\)",
    ),
    "a table without its trigger": (
        "DROP TRIGGER ramet_note_article_stats ON favorites",
        "table favorites has no trigger ramet_note_article_stats",
    ),
    "a trigger that does not fire": (
        "ALTER TABLE favorites DISABLE TRIGGER ramet_note_article_stats",
        "table favorites has no trigger",
    ),
    "a trigger that replication does not fire": (
        "ALTER TABLE favorites ENABLE TRIGGER ramet_note_article_stats",
        "no trigger .* always",
    ),
    "no table to depend on": ("DROP TABLE favorites", "there is no table favorites"),
    "a query with a column of another type": (
        "ALTER TABLE articles ALTER COLUMN title TYPE int USING 1; ALTER TABLE articles ALTER COLUMN likes TYPE text",
        "its query is refused: column .likes. is of type json but expression is of type text",
    ),
    "a query that does not run": (
        "ALTER TABLE articles RENAME likes TO loves",
        "its query is refused: column a.likes does not exist",
    ),
}


@pytest.mark.parametrize("claim", DAMAGES)
def test_an_instance_finds_out_that_the_database_is_not_as_declared(server: Server, claim: str) -> None:
    """With the command that writes the migration, and the line of the declaration."""
    damage, message = DAMAGES[claim]

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            assert module.db is not None
            for result in module.results.values():
                await materialized.verify(module.db.opened, result.declared)
            await module.db.write().execute(damage)
            with pytest.raises(errors.MaterializedMismatch, match=message) as caught:
                await materialized.verify(module.db.opened, module.results["article_stats"].declared)
            notes = "\n".join(caught.value.__notes__)
            assert "materialized_support.py:" in notes
            assert "query" in message or f"ramet migrate new {module.name} --materialized article_stats" in notes

    asyncio.run(main())


def test_the_migration_can_be_undone_and_replaced(server: Server) -> None:
    """With everything that it made, on tables as well that the new declaration does not read."""

    async def main() -> None:
        async with shop(server, ARTICLES) as module:
            assert module.db is not None
            other = Module(module.name)
            other.database()

            @other.materialized(depends={"articles": "id"}, columns={"id": "bigint", "title": "text"}, key="id")
            def article_stats() -> str:
                return "SELECT id, title FROM articles WHERE id = ANY($1)"

            async with opened(server, other):
                await refresh(module)
                await module.db.write().execute(materialized_sql.upgrade(article_stats.declared, replaces=True))
                await materialized.verify(module.db.opened, article_stats.declared)
                await article_stats.refresh()
                assert len(await kept(module, "article_stats")) == 9
                await module.db.write().execute("INSERT INTO favorites VALUES (1, 1)")
                assert await pending(module) == []
            assert await materialized.undeclared(module.db.opened, ["article_stats"]) == ["top_articles"]
            for name in module.results:
                await module.db.write().execute(materialized_sql.drop(name))
            left = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname ~ 'stats|top'"
            assert await module.db.read().fetchval(left) == 0
            triggers = "SELECT count(*) FROM pg_trigger WHERE tgname ~ 'ramet_note' AND tgrelid IN ('articles'::regclass, 'favorites'::regclass)"
            assert await module.db.read().fetchval(triggers) == 0

    asyncio.run(main())
