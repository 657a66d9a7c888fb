"""An open pool follows the server that has the role it wants. The servers are real: a primary, and a standby that streams."""

import asyncio
import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data import errors, schemas
from ramet.data.address import Address
from ramet.data.database import Database
from ramet.data.entry import open_session
from ramet.data.hosts import Answer, Role, choose
from ramet.data.opening import open_database
from ramet.data.pool import Limits, Pool
from tests.data.cluster import Node, cluster
from tests.data.support import Server, until

CHOICES = [
    ("the primary for writes", Role.PRIMARY, [Answer(host="a", is_standby=True), Answer(host="b", timeline=1)], "b"),
    ("a standby for reads", Role.STANDBY, [Answer(host="a", is_standby=True), Answer(host="b", timeline=1)], "a"),
    ("the primary that was promoted last", Role.PRIMARY, [Answer(host="a", timeline=1), Answer(host="b", timeline=2)], "b"),
    ("the primary where any will do", Role.ANY, [Answer(host="a", is_standby=True), Answer(host="b", timeline=1)], "b"),
    ("a standby where any will do and no other is there", Role.ANY, [Answer(host="a", is_standby=True)], "a"),
    ("none that did not answer", Role.ANY, [Answer(host="a", error="refused")], None),
    ("no standby for writes", Role.PRIMARY, [Answer(host="a", is_standby=True)], None),
    ("the one we are at, of equals", Role.STANDBY, [Answer(host=host, is_standby=True) for host in ("b", "c", "a")], "c"),
]


@pytest.mark.parametrize(("why", "role", "answers", "host"), CHOICES, ids=[case[0] for case in CHOICES])
def test_the_choice_among_hosts(why: str, role: Role, answers: list[Answer], host: str | None) -> None:
    chosen = choose(answers, role, current="c")
    assert (chosen.host if chosen else None) == host


DSNS = [
    ("postgresql://u:p@a:1,b:2/d", ("a:1", "b:2")),
    ("postgresql://u:p@a,b:2/d", ("a:5432", "b:2")),
    ("postgresql://u:p@[::1]:7,[::2]/d", ("[::1]:7", "[::2]:5432")),
    ("postgresql://u@/d?host=/x,/y&port=1,2", ("/x:1", "/y:2")),
    ("postgresql://u@/d?host=/x,/y", ("/x:5432", "/y:5432")),
    ("postgresql://u@/d?host=/x&sslmode=disable", ("/x:5432",)),
    ("postgresql://u@host/d", ("host:5432",)),
]


@pytest.mark.parametrize(("dsn", "hosts"), DSNS)
def test_an_address_names_its_hosts_and_goes_to_each(dsn: str, hosts: tuple[str, ...]) -> None:
    address = Address(dsn=dsn)
    assert address.hosts == hosts
    assert [address.at(host).hosts for host in hosts] == [(host,) for host in hosts]
    assert address.at(*hosts).hosts == hosts
    assert address.at(hosts[0]).dsn.startswith(dsn.partition("@")[0])


@given(st.lists(st.tuples(st.from_regex(r"[a-z][a-z0-9.]{0,9}", fullmatch=True), st.integers(1, 65535)), min_size=1, max_size=4))
def test_hosts_that_were_written_are_read_back(places: list[tuple[str, int]]) -> None:
    hosts = tuple(f"{host}:{port}" for host, port in places)
    address = Address(dsn="postgresql://u:p@old/d?sslmode=disable").at(*hosts)
    assert address.hosts == hosts
    assert address.dsn.endswith("/d?sslmode=disable")


async def _module(primary: Node) -> str:
    await schemas.provision(primary.admin, [schemas.Owner("m", "secret")])
    await primary.ask("CREATE TABLE m.t (id int PRIMARY KEY)")
    await primary.ask("ALTER TABLE m.t OWNER TO m")
    return "m"


class Writers:
    """Write numbers until told to stop, and remember which were acknowledged, and when."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = 0
        self.acknowledged: dict[int, float] = {}
        self.refusals = 0
        self.is_over = False

    async def run(self) -> None:
        while not self.is_over:
            self._next += 1
            number = self._next
            try:
                async with self._database.write() as tx:
                    await tx.execute("INSERT INTO t VALUES ($1)", number)
            except (errors.DatabaseUnavailable, errors.PoolExhausted):
                self.refusals += 1
            else:
                self.acknowledged[number] = time.monotonic()


def test_an_open_pool_follows_a_promotion_within_a_second_and_loses_no_acknowledged_write() -> None:
    async def main() -> None:
        async with cluster() as made:
            primary = await made.primary(synchronous_standby_names="*")
            standby = await made.standby(primary)
            await _module(primary)
            database = Database("m")
            pool = await open_database(database, made.address("m"), limits=Limits(max_connections=4))
            writers = Writers(database)
            tasks = [asyncio.create_task(writers.run()) for _ in range(4)]
            await until(lambda: len(writers.acknowledged) > 100)

            await primary.end()
            await standby.ask("SELECT pg_promote()")
            promoted_at = time.monotonic()
            before = len(writers.acknowledged)
            await until(lambda: len(writers.acknowledged) > before + 100)
            writers.is_over = True
            await asyncio.gather(*tasks)

            assert min(at for at in writers.acknowledged.values() if at > promoted_at) - promoted_at < 1
            rows = {row["id"] for row in await database.read().fetch("SELECT id FROM t")}
            assert writers.acknowledged.keys() <= rows
            assert pool.entry.host == standby.host
            await pool.close()

    asyncio.run(main())


def test_a_primary_that_goes_on_after_another_was_promoted_is_left() -> None:
    """Nothing ends its sessions, so only the other's timeline tells."""

    async def main() -> None:
        async with cluster() as made:
            primary = await made.primary()
            standby = await made.standby(primary)
            await _module(primary)
            database = Database("m")
            limits = Limits(max_connections=2, role_check_s=0.05, ask_hosts_s=0.2)
            pool = await open_database(database, made.address("m"), limits=limits)
            assert pool.entry.host == primary.host
            async with database.write() as tx:
                await tx.execute("INSERT INTO t VALUES (1)")
                await until(lambda: standby.ask("SELECT to_regclass('m.t') IS NOT NULL"))
                await standby.ask("SELECT pg_promote()")
                await until(lambda: pool.entry.host == standby.host)
            assert pool.statistics()["moved"] == 1
            assert await database.read().fetchval("SELECT pg_is_in_recovery()") is False
            await pool.close()

    asyncio.run(main())


def test_a_pool_for_reads_leaves_a_standby_that_was_promoted() -> None:
    """It hears of it on its open connection: `in_hot_standby` comes with the next answer."""

    async def main() -> None:
        async with cluster() as made:
            primary = await made.primary()
            one = await made.standby(primary)
            two = await made.standby(primary)
            await _module(primary)
            await until(lambda: one.ask("SELECT to_regclass('m.t') IS NOT NULL"))
            await until(lambda: two.ask("SELECT to_regclass('m.t') IS NOT NULL"))
            pool = Pool(made.address("m"), module="m", limits=Limits(max_connections=2, role_check_s=0.05), role=Role.STANDBY)
            await pool.open()
            first = pool.entry.host
            promoted, other = (one, two) if first == one.host else (two, one)
            await promoted.ask("SELECT pg_promote()")

            async def has_left() -> bool:
                connection = pool.take() or await pool.wait_connection()
                try:
                    await connection.rows("SELECT 1", (), 1)
                finally:
                    connection.left()
                    pool.give(connection)
                return pool.entry.host == other.host

            await until(has_left)
            assert all(each.driver.host == other.host for each in pool.all)
            await pool.close()

    asyncio.run(main())


def test_what_needs_a_session_goes_to_the_primary_of_several_hosts() -> None:
    """Roles and migrations, whichever host is named first."""

    async def main() -> None:
        async with cluster() as made:
            primary = await made.primary()
            standby = await made.standby(primary)
            admin = primary.admin.at(standby.host, primary.host)
            await schemas.provision(admin, [schemas.Owner("m", "secret")])
            connection = await open_session(made.address("m", standby, primary))
            await connection.execute("CREATE TABLE t (x int)")
            await connection.close(timeout=5)
            assert await primary.ask("SELECT to_regclass('m.t') IS NOT NULL")

    asyncio.run(main())


def test_where_no_host_has_the_role_the_error_says_what_each_answered() -> None:
    async def main() -> None:
        async with cluster() as made:
            primary = await made.primary()
            standby = await made.standby(primary)
            await _module(primary)
            await until(lambda: standby.ask("SELECT to_regclass('m.t') IS NOT NULL"))
            address = made.address("m")
            await primary.end()
            began = time.monotonic()
            with pytest.raises(errors.DatabaseUnavailable, match="found no primary in 0.3 s among 2 hosts") as caught:
                await open_database(Database("m"), address, limits=Limits(failover_s=0.3))
            assert time.monotonic() - began < 3
            assert f"{standby.host} is a standby" in caught.value.message
            assert f"{primary.host}: " in caught.value.message
            with pytest.raises(errors.DatabaseUnavailable, match=f"needs a primary, and {standby.host} is a standby"):
                await open_database(Database("m"), made.address("m", standby))

    asyncio.run(main())


def test_a_host_that_never_answers_delays_nobody_for_long(server: Server) -> None:
    """A socket that is listened on and says nothing, as a frozen server."""

    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")])
        silent: list[asyncio.StreamWriter] = []
        frozen = await asyncio.start_unix_server(lambda _, writer: silent.append(writer), server.folder / ".s.PGSQL.9999")
        address = server.address(module).at(f"{server.folder}:9999", f"{server.folder}:5432")
        began = time.monotonic()
        pool = await open_database(Database(module), address)
        assert time.monotonic() - began < 3
        assert pool.entry.host == f"{server.folder}:5432"
        await pool.close()
        frozen.close()
        for writer in silent:
            writer.close()

    asyncio.run(main())


def test_a_search_that_is_given_up_ends_with_the_pool(server: Server) -> None:
    async def main() -> None:
        module = server.module()
        address = server.address(module).at(f"{server.folder}:1", f"{server.folder}:2")
        pool = Pool(address, module=module, limits=Limits(min_connections=0, max_connections=1))
        await pool.open()
        waiting = asyncio.create_task(pool.wait_connection())
        await until(lambda: pool.statistics()["connecting"] == 1)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await pool.close()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
