"""Blocks on a real server."""

import asyncio
import time

import pytest

from ramet.data import errors
from ramet.data.transactions import is_in_transaction
from ramet.wire.context import current
from tests.data.support import Server, pool_of, until, within

TABLE = "CREATE TABLE t (id int PRIMARY KEY, name text CHECK (name <> 'bad'), other int REFERENCES t)"


def test_a_block_commits_when_it_ends_and_vanishes_with_an_exception(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE) as db:
            async with db.write() as tx:
                await tx.execute("INSERT INTO t VALUES (1, 'a')")
                await tx.execute("INSERT INTO t VALUES ($1, $2)", 2, "b")
            with pytest.raises(ZeroDivisionError):
                async with db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES (3, 'c')")
                    raise ZeroDivisionError
            assert [row["id"] for row in await db.read().fetch("SELECT id FROM t ORDER BY id")] == [1, 2]

    asyncio.run(main())


def test_a_single_statement_commits_by_itself(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE) as db:
            row = await db.write().fetchrow("INSERT INTO t VALUES ($1, 'a') RETURNING id, name", 7)
            assert dict(row) == {"id": 7, "name": "a"}
            assert await db.write().execute("UPDATE t SET name = 'b' WHERE id = $1", 7) == "UPDATE 1"
            await db.write().executemany("INSERT INTO t VALUES ($1, $2)", [(8, "c"), (9, "d")])
            await db.write().executemany("INSERT INTO t VALUES ($1, $2)", [])
            assert await db.write().execute("INSERT INTO t VALUES (10, 'e'); INSERT INTO t VALUES (11, 'f')") == "INSERT 0 1"
            assert await db.write().copy_records_to_table("t", records=[(12, "g")], columns=["id", "name"]) == "COPY 1"
            assert await db.read().fetchval("SELECT count(*) FROM t") == 6
            assert await db.read().fetchrow("SELECT id FROM t WHERE id = 99") is None

    asyncio.run(main())


def test_begin_travels_with_the_first_statement(server: Server) -> None:
    """A block costs two round trips, not three: the second record of the block is its COMMIT, and there is no BEGIN."""

    async def main() -> None:
        async with server.database(TABLE, max_connections=1) as db:
            recorder = pool_of(db).recorder
            for number in range(2):  # the first time it is prepared as well
                async with db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES ($1, 'a')", number)
            summaries = [record.series.labels["summary"] for record in recorder.records()][-2:]
            assert summaries == ["INSERT t", "COMMIT"]

    asyncio.run(main())


def test_a_block_without_a_statement_asks_the_server_nothing(server: Server) -> None:
    async def main() -> None:
        async with server.database(max_connections=1) as db:
            before = len(pool_of(db).recorder.records())
            async with db.write():
                assert is_in_transaction()
            assert len(pool_of(db).recorder.records()) == before

    asyncio.run(main())


@pytest.mark.parametrize("isolation", [None, "read_committed", "repeatable_read", "serializable"])
def test_a_block_has_the_isolation_it_asked_for(server: Server, isolation: str | None) -> None:
    async def main() -> None:
        async with server.database() as db, db.write(isolation=isolation) as tx:  # type: ignore[arg-type]
            assert await tx.fetchval("SHOW transaction_isolation") == (isolation or "read_committed").replace("_", " ")
            assert await tx.fetchval("SHOW transaction_read_only") == "off"

    asyncio.run(main())


def test_a_write_in_a_read_is_refused_by_the_server(server: Server) -> None:
    """With and without a block, with and without BEGIN: a read may go to a replica one day."""

    async def main() -> None:
        async with server.database(TABLE) as db:
            for _ in range(2):
                with pytest.raises(errors.ReadOnly, match="read-only"):
                    await db.read().execute("INSERT INTO t VALUES (1, 'a')")
                async with db.read() as tx:
                    with pytest.raises(errors.ReadOnly):
                        await tx.fetchrow("INSERT INTO t VALUES (1, 'a') RETURNING id")
                with pytest.raises(errors.ReadOnly):
                    async with db.read(isolation="repeatable_read") as tx:
                        await tx.execute("DELETE FROM t")
                await db.write().execute("DELETE FROM t")  # the connection writes next, and is read-only after

    asyncio.run(main())


def test_a_repeatable_read_sees_one_state_and_a_plain_one_the_latest(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE) as db:
            for isolation, seen in (("repeatable_read", 0), (None, 1)):
                async with db.read(isolation=isolation) as tx:  # type: ignore[call-overload]
                    assert await tx.fetchval("SELECT count(*) FROM t") == 0
                    await asyncio.create_task(db.write().execute("INSERT INTO t VALUES (1, 'a')"))
                    assert await tx.fetchval("SELECT count(*) FROM t") == seen
                await db.write().execute("DELETE FROM t")

    asyncio.run(main())


def test_a_savepoint_undoes_its_part_only(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE) as db:
            async with db.write() as tx:
                await tx.execute("INSERT INTO t VALUES (1, 'a')")
                with pytest.raises(errors.UniqueViolation):
                    async with tx.transaction():
                        await tx.execute("INSERT INTO t VALUES (2, 'b')")
                        await tx.execute("INSERT INTO t VALUES (1, 'again')")
                async with tx.transaction():
                    await tx.execute("INSERT INTO t VALUES (3, 'c')")
            assert [row[0] for row in await db.read().fetch("SELECT id FROM t ORDER BY id")] == [1, 3]

    asyncio.run(main())


def test_an_error_caught_inside_does_not_look_like_a_commit(server: Server) -> None:
    """PostgreSQL answers ROLLBACK to the COMMIT of an aborted transaction, and asyncpg says nothing of it."""

    async def main() -> None:
        async with server.database(TABLE) as db:
            with pytest.raises(errors.TransactionAborted, match="nothing was committed"):
                async with db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES (1, 'a')")
                    with pytest.raises(errors.UniqueViolation):
                        await tx.execute("INSERT INTO t VALUES (1, 'a')")
            assert await db.read().fetchval("SELECT count(*) FROM t") == 0

    asyncio.run(main())


REFUSALS = [
    ("INSERT INTO t VALUES (1, 'again')", errors.UniqueViolation, "23505", "t_pkey"),
    ("INSERT INTO t VALUES (2, 'bad')", errors.CheckViolation, "23514", "t_name_check"),
    ("INSERT INTO t VALUES (2, 'b', 99)", errors.ForeignKeyViolation, "23503", "t_other_fkey"),
    ("INSERT INTO t VALUES (NULL, 'b')", errors.NotNullViolation, "23502", ""),
]


@pytest.mark.parametrize(("statement", "kind", "sqlstate", "constraint"), REFUSALS)
def test_a_constraints_refusal_has_its_name(
    server: Server, statement: str, kind: type[errors.ConstraintViolation], sqlstate: str, constraint: str
) -> None:
    """A program decides by the constraint's name, and never by the driver's class."""

    async def main() -> None:
        async with server.database(TABLE) as db:
            await db.write().execute("INSERT INTO t VALUES (1, 'a')")
            with pytest.raises(kind) as caught:
                await db.write().execute(statement)
            assert (caught.value.sqlstate, caught.value.constraint, caught.value.table) == (sqlstate, constraint, "t")
            assert type(caught.value.__cause__).__module__.startswith("asyncpg")
            assert "again" not in str(caught.value)

    asyncio.run(main())


def test_a_wrong_statement_and_a_wrong_argument_leave_the_connection_usable(server: Server) -> None:
    """The prefix of a write is sent before asyncpg looks at the arguments; the connection is mended behind the scene."""

    async def main() -> None:
        async with server.database(TABLE, max_connections=1) as db:
            for _ in range(3):
                with pytest.raises(errors.StatementRefused, match="syntax error"):
                    await db.write().execute("INSERT INTO")
                with pytest.raises(errors.StatementRefused, match=r"\$1"):
                    await db.write().execute("INSERT INTO t VALUES ($1, 'a')", "no number")
                with pytest.raises(errors.StatementRefused):
                    async with db.write() as tx:
                        await tx.execute("INSERT INTO t VALUES ($1, 'a')", "no number")
                with pytest.raises(errors.StatementRefused, match="expects 1 argument"):
                    async with db.read() as tx:
                        await tx.fetch("SELECT $1::int")
            await db.write().execute("INSERT INTO t VALUES ($1, 'a')", 1)
            assert await db.read().fetchval("SELECT count(*) FROM t") == 1

    asyncio.run(main())


@pytest.mark.parametrize("control", ["COMMIT", "ROLLBACK", "BEGIN"])
def test_a_transactions_own_statements_are_refused(server: Server, control: str) -> None:
    async def main() -> None:
        async with server.database() as db, db.write() as tx:
            with pytest.raises(errors.BlockMisuse, match=control):
                await tx.execute(control)

    asyncio.run(main())


def test_rows_come_by_a_cursor_as_they_are_wanted(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            async with db.write() as tx:
                rows = [row[0] async for row in tx.cursor("SELECT generate_series(1, $1)", 120, prefetch=50)]
            assert rows == list(range(1, 121))
            async with db.read() as reader:
                assert len([row async for row in reader.cursor("SELECT generate_series(1, 7)", prefetch=3)]) == 7

    asyncio.run(main())


def test_copy_and_many_are_of_the_block(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE) as db:
            with pytest.raises(ZeroDivisionError):
                async with db.write() as tx:
                    await tx.copy_records_to_table("t", records=[(1, "a"), (2, "b")], columns=["id", "name"])
                    await tx.executemany("INSERT INTO t VALUES ($1, $2)", [(3, "c"), (4, "d")])
                    assert await tx.fetchval("SELECT count(*) FROM t") == 4
                    raise ZeroDivisionError
            with pytest.raises(errors.UniqueViolation):
                await db.write().executemany("INSERT INTO t VALUES ($1, 'x')", [(1,), (1,)])
            assert await db.read().fetchval("SELECT count(*) FROM t") == 0

    asyncio.run(main())


def test_a_block_inside_of_itself_is_refused(server: Server) -> None:
    """It would not see the writes of the outer one, and wait for its locks until the deadline."""

    async def main() -> None:
        async with server.database(TABLE) as db, db.write() as tx:
            await tx.execute("INSERT INTO t VALUES (1, 'a')")
            with pytest.raises(errors.BlockMisuse, match="open already"):
                async with db.write():
                    pass
            with pytest.raises(errors.BlockMisuse, match="open already"):
                async with db.read():
                    pass
            await asyncio.create_task(_own_block(db))

    async def _own_block(db: object) -> None:
        async with db.write() as tx:  # type: ignore[attr-defined]
            await tx.execute("INSERT INTO t VALUES (2, 'b')")

    asyncio.run(main())


def test_a_block_is_used_within_its_bounds(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            async with db.write() as tx:
                await tx.execute("SELECT 1")
            with pytest.raises(errors.BlockMisuse, match="over"):
                await tx.execute("SELECT 1")
            with pytest.raises(errors.BlockMisuse, match="over already"):
                async with tx:
                    pass
            async with db.write() as tx:
                first = asyncio.create_task(tx.fetchval("SELECT pg_sleep(0.05)"))
                await asyncio.sleep(0)
                with pytest.raises(errors.BlockMisuse, match="two tasks"):
                    await tx.fetchval("SELECT 1")
                await first

    asyncio.run(main())


def test_calls_can_see_that_a_block_is_open(server: Server) -> None:
    """What the calls part asks before a call: also in tasks that the block has started, and not a moment longer."""

    async def main() -> None:
        async with server.database() as db:
            assert not is_in_transaction()
            for block in (db.read(), db.write(), db.read(isolation="serializable")):
                async with block:
                    assert is_in_transaction()
                    assert await asyncio.create_task(_look())
                    later = asyncio.create_task(_look_after(block))
                assert not is_in_transaction()
                assert not await later
            await db.read().fetchval("SELECT 1")
            assert not is_in_transaction()

    async def _look() -> bool:
        return is_in_transaction()

    async def _look_after(block: object) -> bool:
        await until(lambda: not block.is_open)  # type: ignore[attr-defined]
        return is_in_transaction()

    asyncio.run(main())


def test_a_statement_ends_with_the_deadline_and_the_block_is_undone(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE, max_connections=1) as db:
            started = time.monotonic()
            with within(0.1), pytest.raises(errors.StatementDeadline, match="the deadline passed in SELECT") as caught:
                async with db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES (1, 'a')")
                    await tx.execute("SELECT pg_sleep(10)")
            assert time.monotonic() - started < 2
            assert not caught.value.may_have_run, "the block was undone for sure"
            assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
            assert await db.read().fetchval("SELECT count(*) FROM t") == 0, "on the same, mended connection"
            assert pool_of(db).statistics()["opened"] == 1

    asyncio.run(main())


def test_a_deadline_of_a_single_write_leaves_open_whether_it_ran(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db:
            with within(0.05), pytest.raises(errors.StatementDeadline) as caught:
                await db.write().execute("SELECT pg_sleep(10)")
            assert caught.value.may_have_run
            with within(-1), pytest.raises(errors.StatementDeadline, match=r"no time was left|waiting for") as caught:
                await db.write().execute("SELECT 1")
            assert not caught.value.may_have_run

    asyncio.run(main())


def test_a_cancelled_block_leaves_nothing_and_its_connection_is_mended(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE, max_connections=1) as db:
            entered = asyncio.Event()

            async def work() -> None:
                async with db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES (1, 'a')")
                    entered.set()
                    await tx.execute("SELECT pg_sleep(10)")

            task = asyncio.create_task(work())
            await entered.wait()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with db.write() as tx:
                assert await tx.fetchval("SELECT count(*) FROM t") == 0
            assert pool_of(db).statistics() | {"opened": 1, "mended": 1} == pool_of(db).statistics()

    asyncio.run(main())


def test_a_cancellation_between_statements_undoes_the_block_too(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE, max_connections=1) as db:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02), db.write() as tx:
                    await tx.execute("INSERT INTO t VALUES (1, 'a')")
                    await asyncio.Event().wait()
            assert await db.read().fetchval("SELECT count(*) FROM t") == 0

    asyncio.run(main())


def test_a_lost_connection_says_whether_it_may_have_run(server: Server) -> None:
    """Inside of a block nothing was committed; a single write may have been."""

    async def main() -> None:
        async with server.database(TABLE) as db, server.superuser() as admin:
            for block, may_have_run in ((True, False), (False, True)):
                task = asyncio.create_task(_sleep_in_block(db) if block else db.write().execute("SELECT pg_sleep(10)"))
                pid = None

                async def sleeping() -> bool:
                    nonlocal pid
                    pid = await admin.fetchval(
                        "SELECT pid FROM pg_stat_activity"
                        " WHERE query = 'SELECT pg_sleep(10)' AND state = 'active' AND usename = $1",
                        db.module,
                    )
                    return pid is not None

                await until(sleeping)
                await admin.fetchval("SELECT pg_terminate_backend($1)", pid)
                with pytest.raises(errors.DatabaseUnavailable) as caught:
                    await task
                assert caught.value.may_have_run is may_have_run
            assert await db.read().fetchval("SELECT 1") == 1

    async def _sleep_in_block(db: object) -> None:
        async with db.write() as tx:  # type: ignore[attr-defined]
            await tx.execute("SELECT pg_sleep(10)")

    asyncio.run(main())


def test_a_changed_table_is_prepared_again(server: Server) -> None:
    """`cached plan must not change result type`: outside of a block it is run again, inside the block says to run it again."""

    async def main() -> None:
        async with server.database(TABLE, max_connections=2) as db:
            await db.read().fetch("SELECT * FROM t")
            await db.write().execute("ALTER TABLE t ADD COLUMN more int")
            assert await db.read().fetch("SELECT * FROM t") == []
            await db.write().execute("ALTER TABLE t ADD COLUMN again int")
            with pytest.raises(errors.SchemaChanged):
                async with db.write() as tx:
                    await tx.fetch("SELECT * FROM t")
            async with db.write() as tx:
                assert await tx.fetch("SELECT * FROM t") == []

    asyncio.run(main())


def test_a_record_tells_the_statement_its_parent_and_no_value(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE, max_connections=1) as db:
            outer = current.get()
            current.set(outer.derive(trace_id=b"t" * 16, span_id=b"s" * 8))
            with pytest.raises(errors.CheckViolation):
                await db.write().execute("INSERT INTO t VALUES ($1, $2)", 1, "bad")
            current.set(outer)
            record = pool_of(db).recorder.records()[-1]
            assert (record.trace_id, record.parent_id, record.error) == (b"t" * 16, b"s" * 8, "CheckViolation")
            assert record.series.labels == {"module": db.module, "summary": "INSERT t"}
            assert record.duration_s > 0

    asyncio.run(main())
