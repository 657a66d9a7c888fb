"""What `ramet data doctor` reads of a real database, and that what mends a finding does mend it."""

import asyncio
from pathlib import Path

import pytest

from ramet import Module
from ramet.data import capacity, driver, errors, schemas
from ramet.data.health import indexes, keys, replication, sequences, sessions
from ramet.model import topology
from ramet.operate.data_diagnosis import Finding, Severity, diagnose
from ramet.operate.data_facts import gather
from ramet.operate.databases import DatabaseServer
from ramet.operate.folder import Folder
from tests.data.support import Server, until


async def _module(server: Server, *statements: str) -> str:
    module = server.module()
    await schemas.provision(server.admin, [schemas.Owner(module, "secret")])
    async with server.superuser() as admin:
        await admin.execute(f"SET search_path = {module}")
        for statement in statements:
            await admin.execute(statement)
    return module


async def _found(server: Server, module: str, *, key: str | None = None, what: str = "") -> list[Finding]:
    findings = diagnose([await gather("db", server.admin, {module: key}, is_whole=what in {"slots", "leftovers"})])
    return [each for each in findings if each.what == what and each.severity is not Severity.OK]


async def _mend(server: Server, finding: Finding) -> None:
    async with server.superuser() as admin:
        for statement in finding.mend.split("; "):
            await admin.execute(statement)


def test_a_healthy_database_has_one_finding_for_each_concern_and_no_problem(server: Server) -> None:
    async def main() -> None:
        module = await _module(server, "CREATE TABLE t (owner bigint, id bigint, PRIMARY KEY (owner, id))")
        findings = diagnose([await gather("db", server.admin, {module: "owner"})])
        assert {each.what: each.severity for each in findings} == dict.fromkeys(
            ("indexes", "transactions", "sequences", "keys", "buckets", "slots", "replicas", "leftovers"), Severity.OK
        )
        assert "1 tables with a key" in next(each.found for each in findings if each.what == "keys")

    asyncio.run(main())


def test_an_interrupted_index_is_found_and_mended(server: Server) -> None:
    async def main() -> None:
        module = await _module(server, 'CREATE TABLE "order" (x int)', 'INSERT INTO "order" VALUES (1), (1)')
        async with server.superuser() as admin:
            with pytest.raises(driver.PostgresError, match="could not create unique index"):
                await admin.execute(f'CREATE UNIQUE INDEX CONCURRENTLY "at once" ON {module}."order" (x)')
            await admin.execute(f'DELETE FROM {module}."order"')
        (finding,) = await _found(server, module, what="indexes")
        assert (finding.severity, finding.where) == (Severity.PROBLEM, f"db/{module}.order")
        assert finding.mend == f'REINDEX INDEX CONCURRENTLY "{module}"."at once"'
        await _mend(server, finding)
        assert not await _found(server, module, what="indexes")

    asyncio.run(main())


def test_an_index_that_nobody_uses_is_found_and_one_that_guards_something_is_not(server: Server) -> None:
    async def main() -> None:
        module = await _module(
            server,
            "CREATE TABLE t (id int PRIMARY KEY, x int UNIQUE, y int)",
            "INSERT INTO t SELECT n, n, n FROM generate_series(1, 100) n",
            "CREATE INDEX lonely ON t (y)",
        )
        async with server.superuser() as admin:
            found = await indexes.read(admin, [module], least_bytes=1)
            assert [each.name for each in found.unused] == ["lonely"]
            assert found.unused[0].size_bytes > 0
            await admin.execute(f"SET enable_seqscan = off; SELECT 1 FROM {module}.t WHERE y = 5")
            await admin.execute("SELECT pg_stat_force_next_flush()")

            async def is_used() -> bool:
                return not (await indexes.read(admin, [module], least_bytes=1)).unused

            await until(is_used)

    asyncio.run(main())


def test_a_sequence_near_its_end_is_found_by_the_column_it_fills(server: Server) -> None:
    """A bigint sequence under an integer column ends with the column."""

    async def main() -> None:
        module = await _module(
            server,
            "CREATE TABLE t (id serial PRIMARY KEY)",
            "ALTER SEQUENCE t_id_seq AS bigint",
            "SELECT setval('t_id_seq', 2000000000)",
            "CREATE SEQUENCE free MAXVALUE 100",
            "SELECT setval('free', 75)",
            "CREATE SEQUENCE round MAXVALUE 10 CYCLE",
            "SELECT setval('round', 10)",
        )
        findings = await _found(server, module, what="sequences")
        assert [(each.severity, each.where) for each in findings] == [
            (Severity.WARN, f"db/{module}.free"),
            (Severity.PROBLEM, f"db/{module}.t"),
        ]
        assert findings[0].mend == f'ALTER SEQUENCE "{module}"."free" NO MAXVALUE'
        await _mend(server, findings[0])
        rewrite = findings[1].mend.partition("is short: ")[2]
        async with server.superuser() as admin:
            await admin.execute(rewrite)
        assert not await _found(server, module, what="sequences")

    asyncio.run(main())


def test_a_table_that_cannot_be_divided_by_its_key_is_found_and_mended(server: Server) -> None:
    async def main() -> None:
        module = await _module(
            server,
            "CREATE TABLE a (id int PRIMARY KEY, owner bigint NOT NULL)",
            "CREATE TABLE b (owner bigint)",
            "CREATE TABLE c (id int PRIMARY KEY)",
            "CREATE TABLE d (id int, owner bigint, PRIMARY KEY (id, owner))",
        )
        findings = await _found(server, module, key="owner", what="keys")
        assert [(each.where[-1], each.severity) for each in findings] == [
            ("a", Severity.PROBLEM),
            ("b", Severity.PROBLEM),
            ("c", Severity.WARN),
        ]
        assert findings[0].mend == f'ALTER TABLE "{module}"."a" DROP CONSTRAINT "a_pkey", ADD PRIMARY KEY ("owner", "id")'
        await _mend(server, findings[0])
        assert [each.where[-1] for each in await _found(server, module, key="owner", what="keys")] == ["b", "c"]
        assert not await _found(server, module, what="keys"), "a database without a key is not divided"

    asyncio.run(main())


def test_a_bucket_with_much_of_a_table_is_found(server: Server) -> None:
    async def main() -> None:
        module = await _module(
            server,
            "CREATE TABLE t (owner bigint, id int, PRIMARY KEY (owner, id))",
            "INSERT INTO t SELECT CASE WHEN n % 5 = 0 THEN 7 ELSE n END, n FROM generate_series(1, 20000) n",
            "ANALYZE t",
        )
        (finding,) = await _found(server, module, key="owner", what="buckets")
        assert "has 20 % of 20000 rows" in finding.found
        async with server.superuser() as admin:
            rows = await admin.fetch(finding.mend.partition("; ")[0])
            assert tuple(rows[0]) == (7, 4001)

    asyncio.run(main())


def test_a_large_table_is_counted_in_a_sample(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "SAMPLE_ROWS", 5000)

    async def main() -> None:
        module = await _module(
            server,
            "CREATE TABLE t (owner uuid, id int, PRIMARY KEY (owner, id))",
            "INSERT INTO t SELECT gen_random_uuid(), n FROM generate_series(1, 50000) n",
            "ANALYZE t",
        )
        async with server.superuser() as admin:
            (table,) = await keys.read(admin, module, "owner")
        assert table.share == 0.1
        assert 500 < sum(table.buckets.values()) < 25000

    asyncio.run(main())


def test_long_transactions_are_seen_with_who_and_whether_they_work(server: Server) -> None:
    async def main() -> None:
        async with server.superuser() as admin, server.superuser() as other:
            await other.execute("BEGIN; SELECT 1")
            found = await sessions.read(admin, least_s=0.0)
            (one,) = [each for each in found.long if each.pid == other.get_server_pid()]
            assert (one.role, one.application) == ("ramet", "")
            assert 0 < one.idle_s <= one.age_s < 5
            assert found.sees_all
            assert found.used["ramet"] >= 2
            await other.execute("CREATE TEMP TABLE x (y int) ON COMMIT DROP; DROP TABLE x; ROLLBACK")

    asyncio.run(main())


def test_a_prepared_transaction_that_nobody_ends_is_found_and_mended(server: Server) -> None:
    async def main() -> None:
        module = await _module(server, "CREATE TABLE t (x int)")
        async with server.superuser() as admin:
            await admin.execute(f"BEGIN; INSERT INTO {module}.t VALUES (1); PREPARE TRANSACTION 'it''s'")
            facts = await gather("db", server.admin, {module: None}, is_whole=False)
            prepared = (await sessions.read(admin, least_s=0.0)).prepared
            assert [(each.id, each.role) for each in prepared] == [("it's", "ramet")]
            assert not facts.sessions.prepared, "it is not old enough to be told of"
            await admin.execute("ROLLBACK PREPARED 'it''s'")

    asyncio.run(main())


def test_a_slot_that_nobody_reads_is_found_and_mended(server: Server) -> None:
    async def main() -> None:
        module = await _module(server)
        async with server.superuser() as admin:
            await admin.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
            facts = await replication.read(admin)
            assert [(each.name, each.kind, each.is_active) for each in facts.slots] == [("forgotten", "physical", False)]
        one, limit = await _found(server, module, what="slots")
        assert (one.where, one.severity) == ("db/forgotten", Severity.WARN)
        assert limit.mend.startswith("ALTER SYSTEM SET max_slot_wal_keep_size")
        async with server.superuser() as admin:
            await admin.execute(one.mend.partition(", or ")[2])
        assert not await _found(server, module, what="slots")

    asyncio.run(main())


def test_what_a_move_left_behind_is_found_and_mended(server: Server) -> None:
    async def main() -> None:
        module = await _module(server, "CREATE TABLE t (x int)")
        async with server.superuser() as admin:
            await admin.execute(f"CREATE PUBLICATION ramet_forth FOR TABLE {module}.t; CREATE PUBLICATION users_own")
            await admin.execute("CREATE SUBSCRIPTION ramet_back CONNECTION '' PUBLICATION p WITH (connect = false)")
        findings = await _found(server, module, what="leftovers")
        assert [each.where for each in findings] == ["db/ramet_back", "db/ramet_forth"]
        for each in findings:
            await _mend(server, each)
        assert not await _found(server, module, what="leftovers")
        async with server.superuser() as admin:
            await admin.execute("DROP PUBLICATION users_own")

    asyncio.run(main())


def test_sequences_of_other_schemas_are_not_looked_at(server: Server) -> None:
    async def main() -> None:
        module = await _module(server, "CREATE SEQUENCE s")
        other = await _module(server, "CREATE SEQUENCE s")
        async with server.superuser() as admin:
            assert [each.schema for each in await sequences.read(admin, [module])] == [module]
            assert {each.schema for each in await sequences.read(admin, [module, other])} == {module, other}

    asyncio.run(main())


def test_a_server_is_asked_how_many_connections_it_has(server: Server) -> None:
    async def main() -> None:
        found = await capacity.ask(server.admin, name="it")
        assert (found.max_connections, found.kept, found.available) == (60, 3, 47)

    asyncio.run(main())


def test_more_than_a_server_at_a_url_has_is_refused_before_an_instance_is_started(server: Server, tmp_path: Path) -> None:
    async def main() -> None:
        module = Module("stock")
        module.database()
        application = topology.parse(
            '[app]\nname = "shop"\nmodules = ["shop.stock"]\n'
            f'[engines]\npostgres = "postgresql://ramet@/postgres?host={server.folder}"\n[pools]\nweb = 6\n'
            '[topology.seed.services]\nmain = { modules = ["*"], instances = 8 }\n'
        )
        databases = DatabaseServer(application, [module], Folder(tmp_path), lambda _: None)
        await databases.start()
        assert databases.max_connections == 47
        with pytest.raises(errors.OverBudget, match="48 connections may be wanted, and postgresql://ramet@") as caught:
            databases.check_budget(application.first_topology)
        assert caught.value.hint == "[pools] web = 5 in ramet.toml, or max_connections = 61 on the server"

    asyncio.run(main())
