"""Alembic on a connection of ours. Loaded by whoever migrates, or looks at the SQL of migrations (extra `postgres`)."""

import importlib.util
import io
import re
from pathlib import Path
from typing import Any

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ramet.data import backfilling, driver, errors
from ramet.data.backfilling import Backfill
from ramet.data.revisions import Revision
from ramet.data.statements import is_script

_INDEX = re.compile(
    r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>\"(?:[^\"]|\"\")+\"|\w+)\s+ON\b",
    re.IGNORECASE,
)
_CONCURRENT = re.compile(r"^\s*(?:CREATE|DROP|REINDEX|ALTER)\b.*\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)


async def upgrade(connection: driver.Driver, folder: Path, schema: str, version_table: str, revision: Revision) -> None:
    """Apply one revision, whose ancestors are applied: in a transaction, or each statement by itself where it wants that.
    Raises SQLAlchemy's errors, and what the migration raises."""
    await _run(connection, folder, schema, version_table, revision, backwards=False)


async def downgrade(connection: driver.Driver, folder: Path, schema: str, version_table: str, revision: Revision) -> None:
    """Take back one revision that nothing applied follows. Raises as `upgrade`."""
    await _run(connection, folder, schema, version_table, revision, backwards=True)


async def _run(
    connection: driver.Driver, folder: Path, schema: str, version_table: str, revision: Revision, *, backwards: bool
) -> None:
    async def creator(*_: Any, **__: Any) -> Scripted:
        return Scripted(connection)

    level: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if revision.is_autocommit else {}
    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator, poolclass=NullPool, **level)
    try:
        async with engine.connect() as opened:
            with backfilling.collecting():  # they have run already, when the revision that wants them is marked as applied
                await opened.run_sync(_migrate, folder, schema, version_table, revision, backwards)
    finally:
        await engine.dispose()


def _migrate(connection: Connection, folder: Path, schema: str, version_table: str, revision: Revision, backwards: bool) -> None:
    script = ScriptDirectory(str(folder))

    def steps(current: Any, _context: Any) -> Any:
        # What Alembic's own commands pass; nothing public does it.
        if backwards:
            before = revision.after[0] if revision.after else "base"
            return script._downgrade_revs(before, current)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (see above)
        return script._upgrade_revs(revision.id, current)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (see above)

    with EnvironmentContext(Config(), script, fn=steps, destination_rev=revision.id) as environment:
        environment.configure(
            connection=connection, version_table=version_table, version_table_schema=schema, transaction_per_migration=True
        )
        with environment.begin_transaction():
            environment.run_migrations()


class _Statements(io.StringIO):
    """Where Alembic writes the SQL of an offline migration: one `write` a statement."""

    def __init__(self, version_table: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._version_table = version_table

    def write(self, text: str, /) -> int:
        statement = text.strip().removesuffix(";").strip()
        if statement and self._version_table not in statement and not statement.startswith("-- Running"):
            self.found.append(statement)
        return len(text)


def render(folder: Path, version_table: str, revision: Revision) -> tuple[list[str], list[Backfill]]:
    """The statements that a revision would execute, and what it would fill in; without a server. Raises what the migration
    raises, such as where it reads from the database."""
    script = ScriptDirectory(str(folder))
    written = _Statements(version_table)

    def steps(_current: Any, _context: Any) -> Any:
        return [step for step in script._upgrade_revs(revision.id, "base") if step.revision.revision == revision.id]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    with (
        backfilling.collecting() as wanted,
        EnvironmentContext(Config(), script, fn=steps, as_sql=True, starting_rev=None) as environment,
    ):
        environment.configure(
            dialect_name="postgresql",
            dialect_opts={"paramstyle": "named"},
            version_table=version_table,
            output_buffer=written,
            transactional_ddl=False,
        )
        environment.run_migrations()
    return written.found, wanted


def collect(revision: Revision) -> list[Backfill]:
    """What a backfill revision wants to be filled in. Raises MigrationFailed where it does anything else."""
    spec = importlib.util.spec_from_file_location(f"ramet_revision_{revision.id}", revision.path)
    assert spec is not None, "a path that ends in .py"
    assert spec.loader is not None, "as above"
    module = importlib.util.module_from_spec(spec)
    with backfilling.collecting() as wanted:
        try:
            spec.loader.exec_module(module)
            module.upgrade()
        except Exception as error:
            raise errors.MigrationFailed(
                f"{revision} can only call backfill(): {error}",
                revision=revision.id,
                where=str(revision.path),
                hint='what else it does belongs into a migration with phase = "expand"',
            ) from error
    return wanted


def execute(statement: str) -> None:
    """In the migration that is being run, as it stands: no `:name` in it is a parameter."""
    op.execute(text(statement.replace(":", "\\:")))


class Scripted:
    """asyncpg's connection for SQLAlchemy, which also runs several statements in one text, as one writes them in a migration."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def prepare(self, query: str, *, name: str | None = None) -> Any:
        if _CONCURRENT.match(query):
            return Concurrent(self._connection, query)
        return Script(self._connection, query) if is_script(query) else await self._connection.prepare(query, name=name)

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  (asyncpg\'s parameter)
        """Not SQLAlchemy's to close: it holds the advisory lock."""


class Script:
    """Several statements as asyncpg's PreparedStatement."""

    def __init__(self, connection: driver.Driver, text: str) -> None:
        self._connection = connection
        self._text = text
        self._tag = ""

    def get_attributes(self) -> tuple[()]:
        return ()

    def get_statusmsg(self) -> str:
        return self._tag

    async def fetch(self, *args: Any) -> list[Any]:
        if args:
            raise errors.StatementRefused("several statements in one text take no parameters", hint="one op.execute for each")
        self._tag = await self._connection.execute(self._text)
        return []


class Concurrent(Script):
    """One statement with CONCURRENTLY: it stands in nobody's way, so it waits for others as long as it takes. The index that an
    earlier try of the same one has left INVALID is dropped first; it would count as there."""

    async def fetch(self, *args: Any) -> list[Any]:
        timeout = await self._connection.fetchval("SELECT current_setting('lock_timeout')")
        await self._connection.execute("SET lock_timeout = 0")
        try:
            if index := _INDEX.match(self._text):
                await self._drop_invalid(index["name"])
            return await super().fetch(*args)
        finally:
            if not self._connection.is_closed():
                await self._connection.execute(f"SET lock_timeout = '{timeout}'")

    async def _drop_invalid(self, name: str) -> None:
        invalid = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid"
        if await self._connection.fetchval(invalid, name):
            await self._connection.execute(f"DROP INDEX CONCURRENTLY {name}")
