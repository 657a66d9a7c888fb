"""Alembic on a connection of ours. Loaded by `migrations.up` alone (extra `postgres`)."""

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ramet.data import driver, errors
from ramet.data.statements import is_script


async def upgrade(connection: driver.Driver, folder: Path, schema: str, version_table: str, revision: str) -> None:
    """Apply one revision, whose ancestors are applied, in a transaction. Raises SQLAlchemy's errors, and what the migration
    raises."""

    async def creator(*_: Any, **__: Any) -> Scripted:
        return Scripted(connection)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator, poolclass=NullPool)
    try:
        async with engine.connect() as opened:
            await opened.run_sync(_upgrade, folder, schema, version_table, revision)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, folder: Path, schema: str, version_table: str, revision: str) -> None:
    script = ScriptDirectory(str(folder))

    def steps(current: Any, _context: Any) -> Any:
        return script._upgrade_revs(revision, current)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (what Alembic's own `upgrade` command passes)

    with EnvironmentContext(Config(), script, fn=steps, destination_rev=revision) as environment:
        environment.configure(
            connection=connection, version_table=version_table, version_table_schema=schema, transaction_per_migration=True
        )
        with environment.begin_transaction():
            environment.run_migrations()


class Scripted:
    """asyncpg's connection for SQLAlchemy, which also runs several statements in one text, as one writes them in a migration."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def prepare(self, query: str, *, name: str | None = None) -> Any:
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
