"""The database between two tests: whatever was written is undone, and only that; a real server, migrations of every awkward kind."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ramet import Module
from ramet.data import driver, materialized_sql
from ramet.data.materialized import MaterializedResult
from ramet.testing.databases import SessionDatabase
from tests.testing.app import Project, write

MIGRATION = '''
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE kinds (name text PRIMARY KEY, length int GENERATED ALWAYS AS (length(name)) STORED);
        INSERT INTO kinds VALUES ('book'), ('game');
        CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL REFERENCES kinds ON DELETE CASCADE);
        INSERT INTO things (kind) VALUES ('book');
        CREATE TABLE parts (thing bigint NOT NULL REFERENCES things ON DELETE CASCADE, name text NOT NULL);
        CREATE TABLE events (day date NOT NULL, what text) PARTITION BY RANGE (day);
        CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        INSERT INTO events VALUES ('2024-05-01', 'begun');
        CREATE SEQUENCE numbers;
        """
    )
'''


def thing_parts() -> MaterializedResult:
    """A result that reads tables with and without rows of a migration."""
    module = Module("depot")
    module.database()

    @module.materialized(depends={"things": "id", "parts": "thing"}, columns={"thing": "bigint", "parts": "bigint"}, key="thing")
    def thing_parts() -> str:
        return "SELECT thing, count(*) AS parts FROM parts WHERE thing = ANY($1) GROUP BY thing"

    return thing_parts


MIGRATION += f"    op.execute({materialized_sql.upgrade(thing_parts().declared, replaces=False)!r})\n"

MORE = "depot/migrations/versions/0002_more.py"
MIGRATION_MORE = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE TABLE more (a int)")
"""

LOOK = """
SELECT (SELECT array_agg(kinds ORDER BY name)::text FROM kinds) || (SELECT array_agg(things ORDER BY id)::text FROM things)
    || (SELECT count(*) FROM parts) || (SELECT array_agg(events ORDER BY day)::text FROM events)
    || (SELECT count(*) FROM events_2024) || (SELECT count(*) FROM ramet_changes_thing_parts) || (SELECT count(*) FROM thing_parts)
"""


@pytest.fixture(scope="module")
def database(project: Project) -> Callable[[], SessionDatabase]:
    write(project.folder, {"depot/__init__.py": "", "depot/migrations/versions/0001_all.py": MIGRATION})
    sys.path.insert(0, str(project.folder))
    module = Module("depot")
    module.database()
    return lambda: SessionDatabase(project.folder / ".ramet/testing", [module], {"depot": "depot"}, is_on_path=False)


@asynccontextmanager
async def opened(made: SessionDatabase) -> AsyncIterator[tuple[SessionDatabase, driver.Driver]]:
    """With a connection of the module's own role."""
    await made.open()
    try:
        connection = await connect(made)
        yield made, connection
        if not connection.is_closed():
            await connection.close()
    finally:
        await made.close()


async def connect(made: SessionDatabase) -> driver.Driver:
    settings = {"search_path": "depot", "default_transaction_read_only": "off"}
    return await driver.connect(made.urls()["depot"], timeout_s=10, server_settings=settings)


WRITES = [
    ("INSERT INTO things (kind) VALUES ('game'), ('game')", "rows and their identities"),
    ("UPDATE kinds SET name = 'toy' WHERE name = 'game'", "a row of a migration is changed"),
    ("DELETE FROM kinds", "a cascade empties a table that no statement named"),
    ("INSERT INTO parts SELECT id, 'lid' FROM things", "a table that was empty"),
    ("TRUNCATE things CASCADE", "truncate is a write"),
    ("INSERT INTO events VALUES ('2024-06-01', 'more')", "a partitioned table"),
    ("DELETE FROM events_2024", "a partition by its own name"),
    ("DELETE FROM events; INSERT INTO events_2024 VALUES ('2024-07-01', 'x')", "both"),
    ("SELECT nextval('numbers')", "a sequence alone"),
    ("BEGIN; INSERT INTO things (kind) VALUES ('game'); ROLLBACK", "a number that was drawn in a transaction that was undone"),
    ("INSERT INTO kinds SELECT 'kind ' || n FROM generate_series(1, 20000) n", "many rows, whose pages are given back"),
    ("UPDATE things SET kind = 'game' WHERE false", "a statement that writes no row, whose table's rows are put back"),
    ("INSERT INTO thing_parts VALUES (1, 7); DELETE FROM ramet_changes_thing_parts", "rows of a materialised result"),
    ("INSERT INTO ramet_once (call, key, due) VALUES ('a.b', 'k', now())", "Ramet's own table"),
]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 40))


def test_whatever_was_written_is_undone_without_a_new_database(database: Callable[[], SessionDatabase]) -> None:
    """Each write is followed by a reset and a look; the connections stay open, as those of instances do."""

    async def main() -> None:
        async with opened(database()) as (made, connection):
            oid = await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
            before = await connection.fetchval(LOOK)
            for statement, reason in WRITES:
                await connection.execute(statement)
                await made.reset()
                assert await connection.fetchval(LOOK) == before, reason
                assert await connection.fetchval("SELECT count(*) FROM ramet_once") == 0, reason
                drawn = "WITH made AS (INSERT INTO things (kind) VALUES ('game') RETURNING id) SELECT id, nextval('numbers') FROM made"
                assert tuple((await connection.fetch(drawn))[0]) == (2, 1), reason
                await made.reset()
            assert await connection.fetchval("SELECT pg_relation_size('kinds')") < 100_000
            assert await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()") == oid

    run(main())


def test_writers_do_not_wait_for_each_other_because_writes_are_noted(database: Callable[[], SessionDatabase]) -> None:
    """Two transactions that write to the same two tables, in the other order: without the notes they would not meet."""

    async def main() -> None:
        async with opened(database()) as (made, first):
            second = await connect(made)
            await first.execute("BEGIN; INSERT INTO kinds VALUES ('one')")
            await second.execute("BEGIN; INSERT INTO things (kind) VALUES ('book'); INSERT INTO kinds VALUES ('two')")
            await first.execute("INSERT INTO things (kind) VALUES ('game'); COMMIT")
            await second.execute("COMMIT")
            assert await first.fetchval("SELECT count(*) FROM kinds") == 4
            await second.close()

    run(main())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (a int)",
        "ALTER TABLE things ADD COLUMN note text",
        "DROP TABLE parts",
    ],
)
def test_a_changed_schema_means_a_new_copy(database: Callable[[], SessionDatabase], statement: str) -> None:
    """What its connections notice: they are closed."""

    async def main() -> None:
        async with opened(database()) as (made, connection):
            tables = "SELECT string_agg(relname || relnatts, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'depot'::regnamespace"
            before = await connection.fetchval(tables)
            await connection.execute(statement)
            await made.reset()
            again = await connect(made)
            assert await again.fetchval(tables) == before
            await again.execute("CREATE TEMPORARY TABLE mine (a int); INSERT INTO mine VALUES (1)")
            await made.reset()
            assert await again.fetchval("SELECT count(*) FROM mine") == 1, "a temporary table is no change"
            await again.close()

    run(main())


def test_a_lock_that_somebody_left_behind_does_not_stop_the_next_test(database: Callable[[], SessionDatabase]) -> None:
    """Its holder is cut off, with a new copy."""

    async def main() -> None:
        async with opened(database()) as (made, connection):
            await connection.execute("INSERT INTO things (kind) VALUES ('game')")
            await connection.execute("BEGIN; LOCK TABLE things")
            await made.reset()
            again = await connect(made)
            assert await again.fetchval("SELECT count(*) FROM things") == 1
            await again.close()

    run(main())


def test_other_migrations_make_another_template_and_the_old_one_is_dropped(
    database: Callable[[], SessionDatabase], project: Project
) -> None:
    """Its name is the hash of what it was made of."""

    async def main() -> None:
        old = database()
        async with opened(old):
            pass
        write(project.folder, {MORE: MIGRATION_MORE})
        new = database()
        async with opened(new) as (_, connection):
            assert new.template != old.template
            assert await connection.fetchval("SELECT count(*) FROM more") == 0
            templates = "SELECT datname FROM pg_database WHERE datname LIKE 'template\\_%'"
            assert [row[0] for row in await connection.fetch(templates)] == [new.template]

    try:
        run(main())
    finally:
        (project.folder / MORE).unlink()
