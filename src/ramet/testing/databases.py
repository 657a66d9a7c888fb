"""One PostgreSQL for all tests of an application, and in it a database for each process of pytest.

    .ramet/testing/users            a shared lock, held by every process that uses the server; whoever leaves last stops it
    .ramet/testing/setup            a lock: one process at a time starts the server and makes databases
    .ramet/testing/postgres/        kept between runs: initdb and the migrations are paid for once

    template    named by the hash of the migrations: provisioned and migrated once, then only copied
    copy        of one process; between tests it is reset (`reset`), and dropped when the process ends

One server and not one for each worker of xdist, since what costs is the server (1.5 s to make, 0.3 s to start, 40 MB) and not a
database in it (a tenth of a second). A user's own server, as in `[engines] postgres`, is never touched: tests delete rows.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from ramet.data import claims, driver, migrations, revisions, schemas
from ramet.data.address import Address
from ramet.data.schemas import quote
from ramet.engines.errors import EngineFailed
from ramet.engines.identity import identify
from ramet.engines.postgres import Postgres
from ramet.engines.postgres_settings import PostgresSettings
from ramet.module import Module
from ramet.testing import reset
from ramet.version import __version__

MAX_CONNECTIONS = 400
"""Four for each module's pool in each instance of each worker."""
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off", "max_wal_size": "1GB"}
"""What a crash of this machine would lose is made again. Statements and locks are the same."""


class SessionDatabase:
    """The copy of this process. modules: those of the application that have a database. packages: module -> import path."""

    def __init__(self, folder: Path, modules: Sequence[Module], packages: Mapping[str, str], *, is_on_path: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._folder = folder
        self._modules = [module.name for module in modules]
        self._histories = {name: revisions.folder_of(packages[name]) for name in self._modules}
        self._postgres = Postgres(
            folder / "postgres",
            settings=PostgresSettings(max_connections=MAX_CONNECTIONS, extra=FAST),
            source="path" if is_on_path else "wheel",
        )
        self._users: int | None = None
        self._supervises = False
        self._connection: driver.Driver | None = None
        self.name = f"test_{os.getpid()}"
        self.template = f"template_{self._hash()}"

    def __repr__(self) -> str:
        return f"<SessionDatabase {self.name} of {self.template}>"

    def _hash(self) -> str:
        """Of all that makes the template what it is."""
        digest = hashlib.sha256(f"{__version__}\0{claims.LEDGER_TABLE}\0{claims.OWNER_TABLES}\0{reset.VERSION}".encode())
        for name, folder in self._histories.items():
            digest.update(f"\0{name}".encode())
            for file in sorted(folder.rglob("*.py")):
                digest.update(f"\0{file.relative_to(folder)}\0".encode() + file.read_bytes())
        return digest.hexdigest()[:16]

    def urls(self) -> dict[str, str]:
        return {name: self._address(name, self.name).dsn for name in self._modules}

    def _address(self, module: str, database: str) -> Address:
        password = self._postgres.password(module)
        return Address(dsn=self._postgres.url(database=database, user=module, password=password, over_socket=True), schema=module)

    async def open(self) -> None:
        """Raises an EngineError, and MigrationFailed."""
        self._users = await asyncio.to_thread(_lock, self._folder / "users", fcntl.LOCK_SH)
        with _held(await asyncio.to_thread(_lock, self._folder / "setup", fcntl.LOCK_EX)):
            try:
                self._postgres.use_running()
            except EngineFailed:
                await self._postgres.start()
                self._supervises = True
            admin = await self._connect("postgres")
            try:
                await self._forget_others(admin)
                if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", self.template):
                    await self._make_template(admin)
                await self._copy(admin)
            finally:
                await admin.close()

    async def _make_template(self, admin: driver.Driver) -> None:
        part = f"{self.template}_part"
        await admin.execute(f"DROP DATABASE IF EXISTS {part} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {part}")
        await self._provision(part)
        for name, folder in self._histories.items():
            if folder.is_dir():
                await migrations.up(name, folder, self._address(name, part))
        connection = await self._connect(part)
        try:
            await reset.install(connection, self._modules)
        finally:
            await connection.close()
        await admin.execute(f"ALTER DATABASE {part} RENAME TO {self.template}")

    async def _provision(self, database: str) -> None:
        owners = [schemas.Owner(name, self._postgres.password(name)) for name in self._modules]
        await schemas.provision(Address(dsn=self._postgres.url(database=database, over_socket=True)), owners)

    async def _copy(self, admin: driver.Driver) -> None:
        await admin.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {self.name} TEMPLATE {self.template}")
        await self._provision(self.name)  # a copy has the schemas, and not the right to connect
        self._connection = await self._connect(self.name)
        await reset.begin(self._connection)

    async def reset(self) -> None:
        """As after the migrations, whoever has written what and whoever is still connected."""
        assert self._connection is not None, "open comes first"
        try:
            if await reset.reset(self._connection):
                return
            await self._connection.close()
        except (driver.PostgresError, driver.InterfaceError, OSError):
            self._connection.terminate()  # somebody holds a lock, or has dropped what was to be reset
        with _held(await asyncio.to_thread(_lock, self._folder / "setup", fcntl.LOCK_EX)):
            admin = await self._connect("postgres")
            try:
                await self._copy(admin)
            finally:
                await admin.close()

    async def _forget_others(self, admin: driver.Driver) -> None:
        """Drop the copies of processes that were killed, and templates of migrations that are no more."""
        for (name,) in await admin.fetch(
            "SELECT datname FROM pg_database WHERE datname ~ '^(test_[0-9]+|template_[0-9a-f]+)(_part)?$'"
        ):
            is_old = name.startswith("template_") and name != self.template
            if is_old or (name.startswith("test_") and identify(int(name.removeprefix("test_"))) is None):
                await admin.execute(f"DROP DATABASE {quote(name)} WITH (FORCE)")

    async def close(self) -> None:
        if self._users is None:
            return
        if self._connection is not None:
            await self._connection.close()
            admin = await self._connect("postgres")
            await admin.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
            await admin.close()
        # One leaves after the other, each without its lock before it looks for those of others: so the last one finds none.
        with _held(await asyncio.to_thread(_lock, self._folder / "setup", fcntl.LOCK_EX)):
            os.close(self._users)
            self._users = None
            try:
                alone = _lock(self._folder / "users", fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._supervises:
                    await self._postgres.detach()
                return
            with _held(alone):
                if not self._supervises:
                    await self._postgres.start()  # adopts it
                await self._postgres.stop()

    async def _connect(self, database: str) -> driver.Driver:
        return await driver.connect(
            self._postgres.url(database=database, over_socket=True),
            timeout_s=10.0,
            server_settings={"application_name": "pytest"},
        )


def _lock(path: Path, kind: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, kind)
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextlib.contextmanager
def _held(handle: int) -> Generator[None]:
    try:
        yield
    finally:
        os.close(handle)
