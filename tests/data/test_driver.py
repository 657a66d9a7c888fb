"""The contract with asyncpg: what `ramet.data.driver` uses of it beyond its documentation. Runs first when asyncpg is
upgraded."""

import asyncio

import pytest

from ramet.data import driver
from ramet.data.connection import prefix
from tests.data.support import Server

BEGIN = prefix("BEGIN READ WRITE", is_transaction=True, writes=True)


def test_a_prefix_travels_with_a_statement_as_one_answer(server: Server) -> None:
    async def main() -> None:
        async with server.superuser() as connection:
            await connection.execute("CREATE TEMP TABLE t (x int)")
            prepared = await connection.prepare("INSERT INTO t VALUES ($1) RETURNING x")
            await connection.execute("SELECT")
            state = driver.state_of(prepared)
            connection.write(BEGIN.message)
            rows, tag, is_complete = await connection.wire.bind_execute(state, (5,), "", 0, True, None)
            assert ([row["x"] for row in rows], tag, is_complete) == ([5], b"INSERT 0 1", True)
            assert connection.is_in_transaction()
            assert await connection.wire.query("ROLLBACK", None) == "ROLLBACK"
            assert await connection.fetchval("SELECT count(*) FROM t") == 0

    asyncio.run(main())


def test_an_error_after_a_prefix_is_the_statements(server: Server) -> None:
    async def main() -> None:
        async with server.superuser() as connection:
            prepared = await connection.prepare("SELECT 1 / $1::int")
            await connection.execute("SELECT")
            connection.write(BEGIN.message)
            with pytest.raises(driver.PostgresError, match="division by zero"):
                await connection.wire.bind_execute(driver.state_of(prepared), (0,), "", 1, False, None)
            assert connection.is_in_transaction()
            assert await connection.execute("COMMIT") == "ROLLBACK"

    asyncio.run(main())


def test_a_prefix_without_its_statement_is_answered_with_the_next_message(server: Server) -> None:
    """The arguments are encoded after the prefix has been sent; they may not fit."""

    async def main() -> None:
        async with server.superuser() as connection:
            prepared = await connection.prepare("SELECT $1::int")
            await connection.execute("SELECT")
            connection.write(BEGIN.message)
            with pytest.raises(driver.PostgresError) as caught:
                await connection.wire.bind_execute(driver.state_of(prepared), ("text",), "", 1, False, None)
            assert not driver.is_of_server(caught.value)
            assert await connection.execute("SELECT") == "SELECT 1"
            assert connection.is_in_transaction()
            assert await connection.execute("ROLLBACK") == "ROLLBACK"

    asyncio.run(main())


def test_an_unnamed_statement_is_parsed_again_with_its_arguments(server: Server) -> None:
    """So behind a pooler that mixes them up it runs in whichever session it comes to, and a prefix may be before it."""

    async def main() -> None:
        connection = await driver.connect(server.admin.dsn, timeout_s=5, server_settings={}, statement_cache_size=0)
        first = await connection.prepare("SELECT $1::int + 1")
        await connection.execute("SELECT")
        await connection.prepare("SELECT 'another'")
        await connection.execute("SELECT")
        connection.write(BEGIN.message)
        assert [tuple(row) for row in await connection.wire.bind_execute(driver.state_of(first), (5,), "", 1, False, None)] == [
            (6,)
        ]
        assert connection.is_in_transaction()
        await connection.execute("ROLLBACK")
        await connection.close(timeout=5)

    asyncio.run(main())


def test_a_prefix_travels_with_a_script(server: Server) -> None:
    async def main() -> None:
        async with server.superuser() as connection:
            connection.write(BEGIN.message)
            assert await connection.wire.query("SELECT 1; SELECT 2", None) == "SELECT 1"
            assert connection.is_in_transaction()
            await connection.execute("ROLLBACK")

    asyncio.run(main())
