"""The safe sequences on a real server: written as files, run while the versions before and after are at work."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ramet.data import driver, errors, migrations, revisions, schemas, sequences, stages
from ramet.data.backfilling import Progress
from ramet.data.revisions import Phase, Revision
from tests.data.support import Server, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = '''"""the table"""
from alembic import op
revision = "0001"
down_revision = None
def upgrade() -> None:
    op.execute("""{sql}""")
'''
TABLE = "CREATE TABLE orders (id bigint PRIMARY KEY, total int NOT NULL DEFAULT 7, note text)"


class Changed:
    """A module with the table `orders` and its migrations, on one shard or more (each a schema of its own)."""

    def __init__(self, server: Server, folder: Path, shards: int = 1) -> None:
        self.server = server
        self.folder = folder
        self.names = [server.module() for _ in range(shards)]
        self.shards = [(number, server.address(name)) for number, name in enumerate(self.names)]

    async def make(self, rows: int = 0, sql: str = TABLE) -> None:
        await schemas.provision(self.server.admin, [schemas.Owner(name, "secret") for name in self.names])
        (self.folder / "versions").mkdir()
        (self.folder / "versions/0001.py").write_text(FIRST.format(sql=sql))
        await self.apply("0001")
        for number in range(len(self.shards)):
            await self.run(f"INSERT INTO orders (id, total) SELECT n, n FROM generate_series(1, {rows}) n", shard=number)

    def write(self, parts: Sequence[sequences.Part], message: str = "change") -> list[str]:
        paths = sequences.write(self.folder, message, parts, now=NOW)
        return [path.name.partition("_")[0] for path in paths]

    async def apply(self, last: str, **options: Any) -> None:
        await stages.apply("orders", self.folder, self.shards, last, **options)

    async def run(self, sql: str, *args: Any, shard: int = 0) -> Any:
        async with self.session(shard) as connection:
            return await connection.fetchval(sql, *args)

    async def columns(self, shard: int = 0) -> str:
        found = await self.run(
            "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute"
            " WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped",
            shard=shard,
        )
        return str(found)

    @asynccontextmanager
    async def session(self, shard: int = 0) -> AsyncIterator[driver.Driver]:
        address = self.shards[shard][1]
        connection = await driver.connect(address.dsn, timeout_s=5, server_settings=address.session_settings(is_read_only=False))
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @asynccontextmanager
    async def writers(self, *kinds: Callable[[driver.Driver, int], Awaitable[None]]) -> AsyncIterator[list[int]]:
        """Each kind writes as fast as it can, until the block ends; how often each has. A failure is the block's."""
        done = [0] * len(kinds)
        stop = asyncio.Event()

        async def work(index: int) -> None:
            async with self.session() as connection:
                while not stop.is_set():
                    await kinds[index](connection, done[index])
                    done[index] += 1

        async with asyncio.TaskGroup() as group:
            for index in range(len(kinds)):
                group.create_task(work(index))
            try:
                yield done
            finally:
                stop.set()


def writer(column: str, first: int, value: str = "{}") -> Callable[[driver.Driver, int], Awaitable[None]]:
    """A version of the code that knows one of the columns: it inserts, and changes rows of anybody."""
    chance = random.Random(first)

    async def write(connection: driver.Driver, number: int) -> None:
        given = value.format(chance.randrange(10**6))
        if number % 2:
            await connection.execute(f"UPDATE orders SET {column} = {given} WHERE id = {chance.randrange(1, 3000)}")
        else:
            await connection.execute(f"INSERT INTO orders (id, {column}) VALUES ({first + number}, {given})")

    return write


@pytest.fixture
def changed(server: Server, tmp_path: Path) -> Changed:
    return Changed(server, tmp_path)


@pytest.mark.parametrize(
    ("parts", "new", "equal", "given"),
    [
        (sequences.rename("orders", "total", "sum", key=("id",)), "sum", "total = sum", "{}"),
        (
            sequences.column_type("orders", "total", "total_text", "text", using="", back="total_text::int", key=("id",)),
            "total_text",
            "total::text = total_text",
            "'{}'",
        ),
    ],
    ids=["rename", "column type"],
)
def test_two_versions_write_two_columns_that_stay_equal(
    changed: Changed, parts: list[sequences.Part], new: str, equal: str, given: str
) -> None:
    """From the expand to the contract, with writers of both at work all the time; none of them fails."""

    async def main() -> None:
        await changed.make(rows=3000)
        expand, _, carry, contract = changed.write(parts)
        async with changed.writers(writer("total", 10**6)) as old:
            await changed.apply(expand)
            async with changed.writers(writer(new, 2 * 10**6, given)) as fresh:
                await changed.apply(carry)
                await until(lambda: min(old[0], fresh[0]) > 200, seconds=20)
                assert await changed.run(f"SELECT count(*) FROM orders WHERE ({equal}) IS NOT TRUE") == 0
        assert await changed.run(f"SELECT count(*) FROM orders WHERE ({equal}) IS NOT TRUE") == 0
        async with changed.writers(writer(new, 3 * 10**6, given)) as fresh:
            await changed.apply(contract)
            await until(lambda: fresh[0] > 100, seconds=20)
        assert await changed.columns() == f"id note {new}"
        assert await changed.run(f"SELECT attnotnull FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = '{new}'")
        assert await changed.run("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orders'::regclass") == 0
        assert await changed.run("SELECT count(*) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype = 'c'") == 0

    asyncio.run(main())


def test_a_column_gets_values_and_then_no_null(changed: Changed) -> None:
    """A version that leaves it empty goes on to the contract and beyond: the value is filled in for it."""

    async def main() -> None:
        await changed.make(rows=3000)
        parts = sequences.not_null("orders", "note", using="'order ' || id", key=("id",))
        fill, _, check, contract = changed.write(parts)
        async with changed.writers(writer("total", 10**6)) as old:
            await changed.apply(fill)
            await changed.apply(check)
            await until(lambda: old[0] > 200, seconds=20)
        assert await changed.run("SELECT count(*) FROM orders WHERE note IS DISTINCT FROM 'order ' || id") == 0
        await changed.apply(contract)
        with pytest.raises(driver.PostgresError, match="null value in column"):
            await changed.run("INSERT INTO orders (id) VALUES (-1)")

    asyncio.run(main())


def test_without_a_value_a_column_becomes_not_null_in_two_contracts(changed: Changed) -> None:
    """The first refuses new ones and looks for old ones, the second only looks at the catalog."""

    async def main() -> None:
        await changed.make(rows=10)
        ids = changed.write(sequences.not_null("orders", "note", using="", key=("id",)))
        assert {each.phase for each in revisions.read(changed.folder).revisions if each.id in ids} == {Phase.CONTRACT}
        with pytest.raises(errors.MigrationFailed, match="is violated by some row"):
            await changed.apply(ids[-1])
        await changed.run("UPDATE orders SET note = ''")
        await changed.apply(ids[-1])
        with pytest.raises(driver.PostgresError, match="null value in column"):
            await changed.run("INSERT INTO orders (id) VALUES (-1)")

    asyncio.run(main())


def test_a_unique_constraint_and_a_foreign_key_are_made_while_rows_are_written(changed: Changed) -> None:
    """By an index CONCURRENTLY, and by NOT VALID: the writer never waits for the table to be read."""

    async def main() -> None:
        await changed.make(
            rows=3000,
            sql=f"{TABLE}; CREATE TABLE people (id bigint PRIMARY KEY); INSERT INTO people VALUES (1);"
            " ALTER TABLE orders ADD COLUMN person bigint DEFAULT 1",
        )
        unique = changed.write(sequences.index("orders", ["id", "total"], is_unique=True), "unique")
        foreign = changed.write(sequences.foreign_key("orders", "person", "people", "id"), "foreign")
        async with changed.writers(writer("total", 10**6)) as old:
            await changed.apply(foreign[-1])
            await until(lambda: old[0] > 100, seconds=20)
        names = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype IN ('u', 'f') AND convalidated"
        assert await changed.run(names) == "orders_id_total_key orders_person_fkey"
        await stages.undo("orders", changed.folder, changed.shards, {*unique, *foreign})
        assert await changed.run(names) is None
        assert await changed.run("SELECT count(*) FROM pg_index WHERE indrelid = 'orders'::regclass") == 1

    asyncio.run(main())


def test_an_index_that_was_left_invalid_is_made_anew(changed: Changed) -> None:
    """IF NOT EXISTS would take it for the index. It is there after a try that found two equal rows."""

    async def main() -> None:
        await changed.make(rows=10)
        await changed.run("UPDATE orders SET total = 1 WHERE id < 3")
        made, constraint = changed.write(sequences.index("orders", ["total"], is_unique=True))
        for _ in range(2):
            with pytest.raises(errors.MigrationFailed, match="could not create unique index"):
                await changed.apply(made)
        assert await changed.run("SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid = 'orders'::regclass") == 1
        await changed.run("UPDATE orders SET total = id")
        await changed.apply(constraint)
        assert await changed.run("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'orders'::regclass")

    asyncio.run(main())


def test_a_column_goes_in_two_deployments(changed: Changed) -> None:
    """After the expand a version that does not know it can insert, before the contract one that reads it can read."""

    async def main() -> None:
        await changed.make(rows=10, sql="CREATE TABLE orders (id bigint PRIMARY KEY, total int NOT NULL)")
        expand, contract = changed.write(sequences.drop_column("orders", "total"))
        await changed.apply(expand)
        await changed.run("INSERT INTO orders (id) VALUES (-1)")
        assert await changed.run("SELECT total FROM orders WHERE id = 1") == 1
        await changed.apply(contract)
        assert await changed.columns() == "id"

    asyncio.run(main())


def test_a_contract_does_not_lose_an_index(changed: Changed) -> None:
    """The twin has none of its own until somebody says so, and DROP COLUMN would take it silently."""

    async def main() -> None:
        await changed.make(sql=f"{TABLE}; CREATE INDEX ON orders (total)")
        *_, contract = changed.write(sequences.rename("orders", "total", "sum", key=("id",)))
        with pytest.raises(
            errors.MigrationFailed, match=r"orders\.total is in indexes or constraints that orders\.sum is not in"
        ):
            await changed.apply(contract)
        await changed.run("CREATE INDEX ON orders (sum)")
        await changed.apply(contract)
        assert await changed.columns() == "id note sum"

    asyncio.run(main())


# Backfills


def test_a_backfill_that_is_killed_goes_on_where_it_was(changed: Changed) -> None:
    """Each row is gone through once, by the killed migrator or by the next one."""

    async def main() -> None:
        await changed.make(rows=60_000)
        _, fill, *_ = changed.write(sequences.rename("orders", "total", "sum", key=("id",)))
        address = changed.shards[0][1]
        worker = subprocess.Popen(  # noqa: ASYNC220  (killed below; it needs no loop)
            [sys.executable, "-m", "tests.data.backfill_worker", changed.folder, address.dsn, address.schema, fill]
        )

        async def is_half_way() -> bool:
            assert worker.poll() is None, "it was to be killed before its end"
            there = await changed.run("SELECT to_regclass('ramet_backfills') IS NOT NULL")
            return bool(there and (await changed.run("SELECT max(rows_seen) FROM ramet_backfills") or 0) > 2000)

        await until(is_half_way, seconds=30)
        worker.kill()
        worker.wait()
        before = await changed.run("SELECT rows_seen FROM ramet_backfills")
        told: list[Progress] = []
        await changed.apply(fill, told=lambda _, what: told.append(what) if isinstance(what, Progress) else None)
        assert 2000 < before < 60_000
        assert told[0].rows_seen > before
        async with changed.session() as connection:
            (row,) = await connection.fetch("SELECT rows_seen, rows_set, is_done FROM ramet_backfills")
        assert tuple(row) == (60_000, 60_000, True)
        assert await changed.run("SELECT count(*) FROM orders WHERE sum IS DISTINCT FROM total") == 0

    asyncio.run(main())


def test_a_backfill_waits_while_it_is_told_to(changed: Changed) -> None:
    """And says why. Before each batch it asks again."""

    async def main() -> None:
        await changed.make(rows=2000)
        _, fill, *_ = changed.write(sequences.rename("orders", "total", "sum", key=("id",)))
        answers = iter(["a replica is 99 MB behind"])
        told: list[str] = []

        async def hold() -> str:
            return next(answers, "")

        await changed.apply(fill, hold=hold, told=lambda _, what: told.append(str(what)) if isinstance(what, Progress) else None)
        assert told[0].startswith("orders: 0 of about ")
        assert told[0].endswith("waits: a replica is 99 MB behind")
        assert "waits" not in "".join(told[1:])

    asyncio.run(main())


def test_a_backfill_whose_rows_somebody_else_makes_wrong_again_ends(changed: Changed) -> None:
    """Not an endless one: after three passes the reason is told, with the condition that finds the rows."""

    async def main() -> None:
        await changed.make(rows=10)
        (fill,) = changed.write(
            [sequences.Part(Phase.BACKFILL, ("backfill('orders', set={'note': 'clock_timestamp()::text'})",))]
        )
        with pytest.raises(errors.MigrationFailed, match="still not as wanted after 3 passes") as caught:
            await changed.apply(fill)
        assert '"note" IS DISTINCT FROM' in (caught.value.hint or "")

    asyncio.run(main())


def test_a_backfill_is_alone_in_its_migration(changed: Changed) -> None:
    """What stands beside it would be done before a batch is, in no transaction that anybody chose."""

    async def main() -> None:
        await changed.make()
        (mixed,) = changed.write(
            [sequences.Part(Phase.BACKFILL, ("backfill('orders', set={'note': 'id::text'})", "op.execute('SELECT 1')"))]
        )
        with pytest.raises(errors.MigrationFailed, match=r"can only call backfill\(\)"):
            await changed.apply(mixed)

    asyncio.run(main())


# Locks


def test_who_has_nothing_to_do_with_a_migration_waits_a_lock_timeout_at_most(changed: Changed) -> None:
    """A long reader keeps the migration from its lock, and it keeps everyone behind it from theirs, until it gives up."""

    async def main() -> None:
        await changed.make(rows=10)
        (add, *_) = changed.write([sequences.Part(Phase.EXPAND, ("op.execute('ALTER TABLE orders ADD COLUMN extra int')",))])
        waits: list[float] = []

        async def innocent(connection: driver.Driver, _: int) -> None:
            began = time.monotonic()
            await connection.fetchval("SELECT total FROM orders WHERE id = 1")
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.005)

        async with changed.session() as reader, changed.writers(innocent):
            await reader.execute("BEGIN; SELECT * FROM orders")
            work = asyncio.create_task(
                migrations.up("orders", changed.folder, changed.shards[0][1], to=add, lock_timeout_s=0.2, max_attempts=99)
            )
            await until(lambda: len([each for each in waits if each > 0.1]) >= 2, seconds=20)
            await reader.execute("COMMIT")
            assert [revision.id for revision in await work] == [add]
        assert max(waits) < 0.2 + 0.3

    asyncio.run(main())


# Shards and the way back


def test_a_stage_is_on_all_shards_before_the_next(server: Server, tmp_path: Path) -> None:
    """No shard has a contract while another still lacks what the new version needs."""

    async def main() -> None:
        changed = Changed(server, tmp_path, shards=3)
        await changed.make(rows=100)
        changed.write(sequences.rename("orders", "total", "sum", key=("id",)))
        found = await stages.statuses("orders", changed.folder, changed.shards)
        planned = stages.stages(stages.missing(changed.folder, found))
        assert [stage.phase for stage in planned] == [Phase.EXPAND, Phase.BACKFILL, Phase.EXPAND, Phase.CONTRACT]
        order: list[tuple[str, int]] = []

        def told(shard: int, what: Revision | Progress) -> None:
            if isinstance(what, Revision):
                order.append((what.id, shard))

        for stage in planned:
            await changed.apply(stage.ids[-1], told=told)
        assert [revision for revision, _ in order] == sorted(revision for revision, _ in order)
        assert {shard for _, shard in order} == {0, 1, 2}
        assert {await changed.columns(shard) for shard in range(3)} == {"id note sum"}

    asyncio.run(main())


def test_a_sequence_is_taken_back_until_its_contract(changed: Changed) -> None:
    """As if it had not been: no column, trigger, function or position is left. After the contract there is no way back."""

    async def main() -> None:
        await changed.make(rows=100)
        *ids, contract = changed.write(sequences.rename("orders", "total", "sum", key=("id",)))
        await changed.apply(ids[-1])
        history = revisions.read(changed.folder)
        assert [each.id for each in stages.last_sequence(history.applied([ids[-1]]))] == ids
        await stages.undo("orders", changed.folder, changed.shards, ids)
        assert await changed.columns() == "id note total"
        for left in (
            "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orders'::regclass",
            "SELECT count(*) FROM pg_proc WHERE proname LIKE 'ramet_dual%' AND pronamespace = current_schema()::regnamespace",
            "SELECT count(*) FROM ramet_backfills",
        ):
            assert await changed.run(left) == 0
        await changed.apply(contract)
        with pytest.raises(errors.MigrationRefused, match="took away what it would have to bring back"):
            await stages.undo("orders", changed.folder, changed.shards, [contract])

    asyncio.run(main())
