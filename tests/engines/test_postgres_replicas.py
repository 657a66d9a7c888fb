"""Real replicas: made from a primary that serves, killed while they are made, adopted, removed."""

import asyncio
import os
import signal
import stat
from pathlib import Path

import asyncpg
import pytest
from engine_support import Killable, wait_until
from replica_support import QUICK, Writers, all_stream, cluster_of, missing, query

from ramet.data import replication
from ramet.data.errors import DatabaseUnavailable
from ramet.engines import postgres_making
from ramet.engines.errors import EngineFenced, EngineUnfit
from ramet.engines.identity import identify
from ramet.engines.postgres import Postgres
from ramet.engines.postgres_cluster import PostgresCluster
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.processes import Command, Process

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root has to hand the server to another account")

SUPERVISE = """
import asyncio, sys
from pathlib import Path
from ramet.engines.postgres_cluster import PostgresCluster

async def main():
    cluster = PostgresCluster(Path(sys.argv[1]))
    await cluster.start()
    for name in sys.argv[2:]:
        await cluster.add_replica(name)
    print(*(node.server.pid for node in [cluster.primary, *cluster.replicas.values()]), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_replica_is_made_under_load_and_has_every_row(made: Path) -> None:
    """The primary goes on; progress is told; what was written while it was copied arrives after it."""
    seen: list[tuple[int, int | None]] = []

    async def scenario() -> None:
        async with cluster_of(made) as cluster:
            url = cluster.primary.server.url()
            await query(url, "CREATE TABLE big AS SELECT n, repeat('x', 500) AS x FROM generate_series(1, 40000) n")
            async with Writers(cluster) as writers:
                await writers.wait_more(20)
                replica = await cluster.add_replica("r1", lambda *progress: seen.append(progress))
                await writers.wait_more(20)
            await all_stream(cluster)
            assert not await missing(replica.server.url(), writers)
            assert await query(replica.server.url(), "SELECT count(*) FROM big") == 40000
            follower = (await replication.followers(cluster.primary.address))[0]
            assert (follower.name, follower.is_streaming, follower.is_synchronous) == ("r1", True, False)
            assert [slot.name for slot in await replication.slots(cluster.primary.address)] == ["ramet_r1"]

    asyncio.run(scenario())
    assert seen, "the copy of 20 MB was not told of"
    assert [copied for copied, _ in seen] == sorted(copied for copied, _ in seen)


def test_a_replica_has_the_roles_and_the_settings_and_refuses_writes(made: Path) -> None:
    """A module logs in there with the password that it has; limits below the primary's would keep PostgreSQL from starting it."""

    async def scenario() -> None:
        settings = PostgresSettings(max_connections=123, extra={"work_mem": "5MB"})
        cluster = PostgresCluster(made, settings=settings)
        await cluster.start()
        password = cluster.primary.server.password("articles")
        await query(cluster.primary.server.url(), f"CREATE ROLE articles LOGIN PASSWORD '{password}'")
        replica = await cluster.add_replica("r1")
        await all_stream(cluster)
        url = replica.server.url(user="articles")
        assert await query(url, "SELECT current_user || pg_is_in_recovery()") == "articlestrue"
        wanted = {"max_connections": "123", "work_mem": "5MB", "hot_standby_feedback": "on", "wal_log_hints": "on"}
        assert {name: await query(url, f"SHOW {name}") for name in wanted} == wanted
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await query(replica.server.url(), "CREATE TABLE t (n int)")
        await cluster.stop()

    asyncio.run(scenario())


def test_no_password_is_on_a_command_line_or_readable_to_others(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ps` shows arguments to everybody, and `SHOW` to every role."""
    arguments: list[str] = []
    real = postgres_making.Process.start

    def start(name: str, command: Command) -> Process:
        arguments.extend(map(str, command.argv))
        return real(name, command)

    monkeypatch.setattr(postgres_making.Process, "start", start)

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            os.kill(cluster.primary.server.pid or 0, signal.SIGKILL)
            await cluster.fail_over()
            await cluster.rejoin("node-1")
            secret = cluster.primary.server.password("ramet")
            assert {"pg_basebackup", "pg_rewind"} <= {Path(argument).name for argument in arguments}
            assert secret not in " ".join(arguments)
            for node in (cluster.primary, *cluster.replicas.values()):
                assert secret not in str(await query(node.server.url(), "SELECT string_agg(setting, ' ') FROM pg_settings"))

    asyncio.run(scenario())
    for path in (made / "upstream.json", made / "data" / "ramet.passfile"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lag_is_bytes_and_seconds_and_an_idle_primary_has_none(made: Path) -> None:
    """A replica that has all is not behind, however long ago the last commit was."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            replica = cluster.replicas["r1"]
            await query(cluster.primary.server.url(), "CREATE TABLE t (n int)")
            await all_stream(cluster)
            assert replication.lag_of(await cluster.primary.status(), await replica.status()).seconds == 0
            await query(replica.server.url(), "SELECT pg_wal_replay_pause()")
            await query(cluster.primary.server.url(), "INSERT INTO t SELECT generate_series(1, 1000)")
            lag = replication.lag_of(await cluster.primary.status(), await replica.status())
            assert lag.bytes > 1000
            assert lag.seconds > 0
            await query(replica.server.url(), "SELECT pg_wal_replay_resume()")
            await all_stream(cluster)
            lag = replication.lag_of(await cluster.primary.status(), await replica.status())
            assert (lag.bytes, lag.seconds) == (0, 0)

    asyncio.run(scenario())


@as_root
def test_replicas_work_in_a_project_that_only_root_can_enter(postgres_wheel: None, directory: Path) -> None:
    """The server's account cannot walk to any of it: not to copy, not to stream, not to rewind."""
    closed = directory / "closed"
    closed.mkdir(mode=0o700)

    async def scenario() -> None:
        async with cluster_of(closed / "project" / ".ramet" / "pg", "r1") as cluster:
            os.kill(cluster.primary.server.pid or 0, signal.SIGKILL)
            assert (await cluster.fail_over()).lost_bytes == 0
            rejoined = await cluster.rejoin("node-1")
            assert rejoined is not None
            assert not rejoined.is_copied
            await all_stream(cluster)
            sockets = [node.server.socket_directory for node in (cluster.primary, *cluster.replicas.values())]
        for path in sockets:
            path.rmdir()

    asyncio.run(scenario())
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_killed_while_a_replica_is_copied_the_next_call_goes_on(made: Path) -> None:
    """Nothing half made is taken for a replica, its program is ended, and there is one slot in the end."""
    home = made / "replicas" / "r1"
    kill_while_copied(made)
    assert not (home / "data").exists()

    async def scenario() -> None:
        cluster = PostgresCluster(made)
        assert list(cluster.replicas) == ["r1"], "what is half made is known"
        assert await cluster.start() == {}
        assert cluster.primary.server.was_running
        await all_stream(cluster)
        assert [slot.name for slot in await replication.slots(cluster.primary.address)] == ["ramet_r1"]
        assert not list(home.glob(".data-*"))
        await cluster.stop()

    asyncio.run(scenario())


def test_killed_while_a_replica_is_copied_it_can_be_removed_instead(made: Path) -> None:
    """Its slot would make the primary keep its log for nobody."""
    kill_while_copied(made)

    async def scenario() -> None:
        cluster = PostgresCluster(made)
        await cluster.primary.start()
        assert len(await replication.slots(cluster.primary.address)) == 1
        await cluster.remove_replica("r1")
        assert await replication.slots(cluster.primary.address) == ()
        assert not (made / "replicas" / "r1").exists()
        await cluster.remove_replica("r1")
        assert not cluster.replicas
        await cluster.stop()

    asyncio.run(scenario())


def kill_while_copied(made: Path) -> None:
    with Killable(SUPERVISE, made, "r1") as supervisor:

        async def look() -> None:
            await wait_until(lambda: list((made / "replicas" / "r1").glob(".data-*/base")))

        asyncio.run(look())
        assert supervisor.process.poll() is None


def test_replicas_outlive_their_supervisor_and_are_adopted(made: Path) -> None:
    """The data plane does not depend on the controller, and the next one neither copies nor restarts anything."""
    with Killable(SUPERVISE, made, "r1") as supervisor:
        pids = [int(pid) for pid in supervisor.read_line().split()]

    async def scenario() -> None:
        cluster = PostgresCluster(made)
        assert await cluster.start() == {}
        nodes = [cluster.primary, *cluster.replicas.values()]
        assert [node.server.pid for node in nodes] == pids
        assert all(node.server.was_running for node in nodes)
        await all_stream(cluster)
        await cluster.detach()
        assert all(identify(pid) for pid in pids)
        guest = PostgresCluster(made)
        guest.use_running()
        assert await query(guest.replicas["r1"].server.url(), "SELECT pg_is_in_recovery()") is True
        await guest.start()
        await guest.stop()
        assert not any(identify(pid) for pid in pids)

    asyncio.run(scenario())


def test_a_replica_that_is_killed_comes_back_and_catches_up(made: Path) -> None:
    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            replica = cluster.replicas["r1"].server
            first = replica.pid
            os.kill(first or 0, signal.SIGKILL)
            await query(cluster.primary.server.url(), "CREATE TABLE t AS SELECT 1 AS n")
            await wait_until(lambda: replica.pid not in (None, first))
            await all_stream(cluster)
            assert await query(replica.url(), "SELECT n FROM t") == 1

    asyncio.run(scenario())


def test_a_replica_follows_its_primary_to_another_port(made: Path) -> None:
    """A port that was lost to another program, or asked for anew."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            primary = cluster.primary.server
            before = primary.port
            await primary.stop()
            (made / "server.json").unlink()
            primary.port = 0
            await primary.start()
            assert primary.port != before
            await cluster.repoint()
            await all_stream(cluster)

    asyncio.run(scenario())


def test_a_replica_that_was_away_for_too_long_is_copied_anew(made: Path) -> None:
    """Its slot is lost by then, so that the primary's disk is not filled; streaming could never go on."""
    settings = PostgresSettings(max_slot_wal_keep_size="16MB", extra={"wal_keep_size": "0"}, max_wal_size="32MB")

    async def scenario() -> None:
        cluster = PostgresCluster(made, settings=settings)
        await cluster.start()
        replica = await cluster.add_replica("r1")
        await all_stream(cluster)
        await replica.server.stop()
        url = cluster.primary.server.url()
        await query(url, "CREATE TABLE t AS SELECT 1 AS n")
        for _ in range(4):
            await query(url, "SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'fill', 'x')")
        await query(url, "CHECKPOINT")
        assert [slot.is_lost for slot in await replication.slots(cluster.primary.address)] == [True]
        assert await cluster.start() == {}
        await all_stream(cluster)
        assert await query(replica.server.url(), "SELECT n FROM t") == 1
        await cluster.stop()

    asyncio.run(scenario())


def test_a_replica_is_removed_with_its_slot_and_not_while_the_primary_is_away(made: Path) -> None:
    """The slot first: without the primary it cannot be dropped, and would fill its disk unnoticed."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            await cluster.primary.server.stop()
            with pytest.raises(DatabaseUnavailable):
                await cluster.remove_replica("r1")
            await cluster.primary.start()
            await cluster.remove_replica("r1")
            assert await replication.slots(cluster.primary.address) == ()
            assert not (made / "replicas" / "r1").exists()
            assert await cluster.start() == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["R1", "r_1", "../r1", "", "1r", "r" * 41])
def test_names_that_cannot_be_a_slot_or_a_directory_are_refused(directory: Path, name: str) -> None:
    with pytest.raises(EngineUnfit, match="cannot be the name"):
        asyncio.run(PostgresCluster(directory / "pg").add_replica(name))


def test_a_single_server_is_not_started_on_what_is_half_a_replica(postgres_wheel: None, directory: Path, made: Path) -> None:
    """It would make an empty database there."""
    kill_while_copied(made)
    with pytest.raises(EngineFenced):
        asyncio.run(Postgres(made / "replicas" / "r1").start())
    asyncio.run(end(made))


async def end(made: Path) -> None:
    cluster = PostgresCluster(made, policy=QUICK)
    await cluster.start()
    await cluster.stop()
