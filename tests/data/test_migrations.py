"""Migrations on a real server."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from ramet.data import errors, migrations, schemas
from ramet.data.address import Address
from tests.data.support import Server, until

MIGRATION = '''"""{message}"""
from alembic import op
revision = "{revision}"
down_revision = {after}
def upgrade() -> None:
{body}
'''


class Module:
    """A module with a schema and a folder of migrations."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.name = server.module()
        self.folder = folder
        self.address: Address = server.address(self.name)
        self._last: str | None = None

    def migration(self, revision: str, *statements: str) -> None:
        (self.folder / "versions").mkdir(exist_ok=True)
        body = "\n".join(f"    op.execute({statement!r})" for statement in statements)
        after = f'"{self._last}"' if self._last else "None"
        (self.folder / "versions" / f"{revision}.py").write_text(
            MIGRATION.format(message=f"message {revision}", revision=revision, after=after, body=body)
        )
        self._last = revision

    async def up(self, **options: object) -> list[str]:
        return [revision.id for revision in await migrations.up(self.name, self.folder, self.address, **options)]  # type: ignore[arg-type]

    async def status(self) -> migrations.Status:
        return await migrations.status(self.name, self.folder, self.address)


@pytest.fixture
def module(server: Server, tmp_path: Path) -> Module:
    made = Module(server, tmp_path)
    asyncio.run(schemas.provision(server.admin, [schemas.Owner(made.name, "secret")]))
    return made


def test_what_is_missing_is_applied_in_order_and_once(server: Server, module: Module) -> None:
    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int)")
        module.migration("b", "ALTER TABLE t ADD y int DEFAULT 5; INSERT INTO t (x) VALUES (1)", "CREATE INDEX ON t (x)")
        assert [revision.id for revision in (await module.status()).missing] == ["a", "b"]
        told: list[str] = []
        assert await module.up(report=lambda revision: told.append(str(revision))) == ["a", "b"]
        assert told == ["a (message a)", "b (message b)"]
        assert await module.up() == []
        status = await module.status()
        assert (status.current, status.head, status.missing, status.is_ahead) == (("b",), "b", (), False)
        async with server.opened(module.name) as db:
            assert dict(await db.read().fetchrow("SELECT x, y FROM t")) == {"x": 1, "y": 5}
            owner = await db.read().fetchval(
                "SELECT tableowner FROM pg_tables WHERE tablename = 'ramet_migrations' AND schemaname = $1", module.name
            )
            assert owner == module.name

    asyncio.run(main())


def test_a_migration_without_a_statement_is_refused(module: Module) -> None:
    """It would count as applied, and what is written into it afterwards would never run. Those before it wait with it."""

    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int)")
        module.migration("b", "\n        ")
        with pytest.raises(errors.MigrationFailed, match=r"b \(message b\) has no statement yet") as caught:
            await module.up()
        assert caught.value.where == str(module.folder / "versions/b.py")
        assert (await module.status()).current == ()

    asyncio.run(main())


def test_a_migration_that_fails_half_way_leaves_the_one_before(server: Server, module: Module) -> None:
    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int)")
        module.migration("b", "ALTER TABLE t ADD y int", "INSERT INTO t VALUES (1, 1); INSERT INTO nowhere VALUES (2); SELECT 1")
        module.migration("c", "SELECT 1")
        told: list[str] = []
        with pytest.raises(
            errors.MigrationFailed, match=r'b .*failed and was undone: relation "nowhere" does not exist'
        ) as caught:
            await module.up(report=lambda revision: told.append(revision.id))
        assert (caught.value.revision, caught.value.statement) == ("b", "INSERT INTO nowhere VALUES (2)")
        assert caught.value.where == str(module.folder / "versions" / "b.py")
        assert told == ["a"]
        assert (await module.status()).current == ("a",)
        async with server.opened(module.name) as db:
            assert (
                await db.read().fetchval(
                    "SELECT count(*) FROM information_schema.columns WHERE table_name = 't' AND table_schema = $1", module.name
                )
                == 1
            )

    asyncio.run(main())


def test_a_migration_that_is_wrong_python_is_named(module: Module) -> None:
    async def main() -> None:
        module.migration("a", "SELECT 1")
        path = module.folder / "versions" / "a.py"
        path.write_text(path.read_text() + "    raise KeyError('oh')\n")
        with pytest.raises(errors.MigrationFailed, match="KeyError: 'oh'") as caught:
            await module.up()
        assert caught.value.revision == "a"
        assert (await module.status()).current == ()

    asyncio.run(main())


def test_a_migration_reaches_its_own_schema_only(module: Module) -> None:
    async def main() -> None:
        module.migration("a", "CREATE TABLE public.t (x int)")
        with pytest.raises(errors.MigrationFailed, match="permission denied for schema public"):
            await module.up()

    asyncio.run(main())


def test_of_two_migrators_the_second_waits_and_finds_nothing_to_do(module: Module) -> None:
    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int); SELECT pg_sleep(0.1)")
        results = await asyncio.gather(*(module.up() for _ in range(3)))
        assert sorted(results) == [[], [], ["a"]]

    asyncio.run(main())


def test_a_migrator_in_another_process_is_waited_for(server: Server, module: Module) -> None:
    """The advisory lock is of the session: it goes with the migrator, however that ends."""

    async def main() -> None:
        module.migration("a", "SELECT 1")
        other = await migrations._connect(module.address)
        await migrations._lock(other, module.name, module.name, 0, asyncio.sleep)
        with pytest.raises(errors.MigrationLocked, match="another migrator"):
            await module.up(wait_s=0.0)
        waiting = asyncio.create_task(module.up())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        other.terminate()
        assert await waiting == ["a"]

    asyncio.run(main())


def test_a_lock_that_is_held_is_not_waited_for_long_and_tried_again(server: Server, module: Module) -> None:
    """Whoever waits for a table's lock makes all others queue behind it."""

    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int)")
        await module.up()
        module.migration("b", "ALTER TABLE t ADD y int")
        pauses: list[float] = []
        async with server.opened(module.name) as db:
            held, free = asyncio.Event(), asyncio.Event()

            async def hold() -> None:
                async with db.write() as tx:
                    await tx.execute("LOCK TABLE t IN ACCESS SHARE MODE")
                    held.set()
                    await free.wait()

            holder = asyncio.create_task(hold())
            await held.wait()

            async def sleep(seconds: float) -> None:
                pauses.append(seconds)
                free.set()
                await holder

            assert await module.up(lock_timeout_s=0.05, sleep=sleep) == ["b"]
            assert len(pauses) == 1
            held.clear()
            free.clear()
            module.migration("c", "DROP TABLE t")
            holder = asyncio.create_task(hold())
            await held.wait()
            with pytest.raises(errors.MigrationLocked, match=r"c .*could not get a lock"):
                await module.up(lock_timeout_s=0.02, max_attempts=2, sleep=lambda _: asyncio.sleep(0))
            free.set()
            await holder
        assert (await module.status()).current == ("b",)

    asyncio.run(main())


def test_an_instance_refuses_a_database_that_is_behind_and_does_not_migrate_it(module: Module) -> None:
    async def main() -> None:
        module.migration("a", "SELECT 1")
        with pytest.raises(errors.MigrationsPending, match=r"is at nothing and lacks 1: a \(message a\)") as caught:
            await migrations.verify(module.name, module.folder, module.address)
        assert caught.value.hint == f"ramet migrate up {module.name}"
        assert (await module.status()).current == ()
        await module.up()
        assert (await migrations.verify(module.name, module.folder, module.address)).current == ("a",)

    asyncio.run(main())


def test_an_instance_starts_on_a_database_that_is_ahead(module: Module, tmp_path: Path) -> None:
    """During a release the old instances run on the new schema; one of them may have to start again."""

    async def main() -> None:
        module.migration("a", "SELECT 1")
        module.migration("b", "SELECT 1")
        await module.up()
        (module.folder / "versions" / "b.py").unlink()
        status = await migrations.verify(module.name, module.folder, module.address)
        assert (status.is_ahead, status.current, status.head) == (True, ("b",), "a")

    asyncio.run(main())


def test_verifying_loads_neither_alembic_nor_sqlalchemy() -> None:
    heavy = ("alembic", "sqlalchemy")
    code = f"import ramet.data.migrations, ramet.data.opening, sys; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_cannot_be_in_a_transaction_says_so_in_the_migration(server: Server, module: Module) -> None:
    """CREATE INDEX CONCURRENTLY, in Alembic's own autocommit block."""

    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int)")
        module.migration("b")
        path = module.folder / "versions" / "b.py"
        path.write_text(
            path.read_text()
            + "    with op.get_context().autocommit_block():\n        op.execute('CREATE INDEX CONCURRENTLY later ON t (x)')\n"
        )
        assert await module.up() == ["a", "b"]
        async with server.opened(module.name) as db:
            assert await db.read().fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'later'::regclass")

    asyncio.run(main())


def test_two_lines_and_their_merge_are_applied(module: Module) -> None:
    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int)")
        versions = module.folder / "versions"
        for revision, after, statement in (
            ("b", "'a'", "ALTER TABLE t ADD b int"),
            ("c", "'a'", "ALTER TABLE t ADD c int"),
            ("d", "('b', 'c')", "SELECT 1 / 0"),
        ):
            body = f"    op.execute({statement!r})"
            (versions / f"{revision}.py").write_text(
                MIGRATION.format(message=revision, revision=revision, after=after, body=body)
            )
        with pytest.raises(errors.MigrationFailed, match="division by zero") as caught:
            await module.up()
        assert caught.value.revision == "d"
        assert (await module.status()).current == ("b", "c")
        (versions / "d.py").write_text(MIGRATION.format(message="d", revision="d", after="('b', 'c')", body="    pass"))
        assert await module.up() == ["d"]
        assert (await module.status()).current == ("d",)

    asyncio.run(main())


def test_a_killed_migrator_leaves_the_migration_undone(server: Server, module: Module) -> None:
    async def main() -> None:
        module.migration("a", "CREATE TABLE t (x int)", "SELECT pg_sleep(30)")
        task = asyncio.create_task(module.up())
        async with server.superuser() as admin:

            async def sleeping() -> object:
                return await admin.fetchval(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND query LIKE '%pg_sleep%'",
                    module.name,
                )

            await until(sleeping)
        with pytest.raises(errors.MigrationFailed):
            await task
        assert (await module.status()).current == ()
        module.migration("b", "SELECT 1")
        (module.folder / "versions" / "a.py").write_text(
            MIGRATION.format(message="m", revision="a", after="None", body="    op.execute('CREATE TABLE t (x int)')")
        )
        assert await module.up() == ["a", "b"]

    asyncio.run(main())


STATEMENTS = [
    ("SELECT 1", None, "SELECT 1"),
    ("A; B x; C", "5", "B x"),
    ("A; B", "1", "A"),
    ("A; B", "4", "B"),
    ("A; B;", "99", ""),
    ("A; B", None, "A; B"),
]


@pytest.mark.parametrize(("script", "position", "found"), STATEMENTS)
def test_the_statement_that_the_server_points_at_is_found(script: str, position: str | None, found: str) -> None:
    assert migrations.statement_at(script, position) == found
