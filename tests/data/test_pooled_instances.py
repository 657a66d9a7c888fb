"""`[engines] pooler`: instances go to a real PgBouncer, and what needs a session goes past it."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ramet import Module
from ramet.data import errors
from ramet.data.address import Pooling
from ramet.model import topology
from ramet.model.launch import Launch
from ramet.model.sharding import whole
from ramet.observe.record import Recorder
from ramet.operate.databases import DatabaseServer
from ramet.operate.folder import Folder
from ramet.process.databases import Databases
from tests.data import pgbouncer
from tests.data.support import Server, pool_of

pytestmark = pgbouncer.needed
TOML = """
[app]
name = "shop"
modules = ["tests.{module}"]
[engines]
postgres = "postgresql://ramet@/postgres?host={server}"
pooler = "postgresql:///postgres?host={pooler}&port=6432"
[pools]
web = 6
[topology.seed.services]
main = {{ modules = ["*"], instances = 40 }}
"""


def _application(server: Server, module: str, pooler: Any) -> topology.Application:
    return topology.parse(TOML.format(module=module, server=server.folder, pooler=pooler))


def test_an_instance_works_through_the_pooler_and_guards_its_schedules_past_it(server: Server, tmp_path: Path) -> None:
    async def main() -> None:
        module = Module(server.module())
        module.database()

        @module.every("1h")
        async def tidy() -> None: ...

        assert module.db is not None
        folder = Folder(tmp_path)
        first = DatabaseServer(_application(server, module.name, "/nowhere"), [module], folder, lambda _: None)
        await first.start()
        await first.provision()
        password = urlsplit(first.url(module.name)).password
        assert password is not None
        async with pgbouncer.running(server, [module.name], password=password) as bouncer:
            application = _application(server, module.name, bouncer.folder)
            databases = DatabaseServer(application, [module], folder, lambda _: None)
            await databases.start()
            assert await databases.reserve([module.name]) == {module.name: 1}
            assert databases.max_connections is None
            demands = databases.demands(application.first_topology)
            assert [(each.role, each.total) for each in demands] == [("jobs", 40)], "40 pools of 6 are the pooler's"
            databases.check_budget(application.first_topology)
            launch = Launch(
                application="",
                service="main",
                instance="main-1",
                modules=[module.name],
                state="",
                databases={name: whole(url) for name, url in databases.urls().items()},
                pooler=databases.pooler,
                direct=databases.direct,
                pool_size=databases.pool_size,
            )
            opened = Databases([module], {module.name: "tests"}, launch, Recorder())
            await opened.open()
            assert "port=6432" in launch.databases[module.name].shards[0].url
            assert pool_of(module.db).entry.pooling is (Pooling.NAMED if pgbouncer.version() >= (1, 21) else Pooling.UNNAMED)
            await module.db.write().execute("CREATE TABLE t (x int)")
            fence = opened.fences[module.name]
            await fence.take(1)
            assert await fence.begin("tidy", 1)
            with fence.writes(1):
                async with module.db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES ($1)", 1)
            async with server.superuser() as admin:
                query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                assert await admin.fetchval(query) == 1
                await fence.end("tidy")
                assert await admin.fetchval(query) == 0
            assert await databases.reserve([module.name]) == {module.name: 2}
            with fence.writes(1), pytest.raises(errors.OwnershipOver):
                async with module.db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES ($1)", 2)
            assert await module.db.read().fetchval("SELECT count(*) FROM t") == 1
            await opened.close()

    asyncio.run(main())


def test_a_pooler_in_place_of_the_server_is_refused_with_what_to_write(server: Server, tmp_path: Path) -> None:
    async def main() -> None:
        module = Module(server.module())
        module.database()
        async with pgbouncer.running(server, ["ramet"]) as bouncer:
            text = TOML.format(module=module.name, server=f"{bouncer.folder}&port=6432", pooler="/x")
            databases = DatabaseServer(topology.parse(text), [module], Folder(tmp_path), lambda _: None)
            with pytest.raises(errors.PoolerUnfit) as caught:
                await databases.start()
            assert caught.value.hint is not None
            assert "pooler = " in caught.value.hint

    asyncio.run(main())
