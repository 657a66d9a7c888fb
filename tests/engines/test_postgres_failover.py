"""Real failovers: the primary is killed, frozen, or stopped; whoever carries it out is killed too."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest
from engine_support import Killable, end_process, wait_until
from replica_support import AWAY, QUICK, Writers, all_stream, cluster_of, missing, query

from ramet.data import replication
from ramet.engines.errors import EngineBusy, EngineFailed, EngineFenced, FailoverRefused
from ramet.engines.identity import identify
from ramet.engines.postgres import Postgres
from ramet.engines.postgres_cluster import PostgresCluster
from ramet.engines.supervision import Status

FAIL_OVER = """
import asyncio, sys
from pathlib import Path
from ramet.engines import postgres_rejoin
from ramet.engines.postgres_cluster import PostgresCluster
from ramet.engines.postgres_node import PostgresNode

async def here(*arguments, **named):
    print("here", flush=True)
    await asyncio.Event().wait()

async def promote_then_here(node):
    await promote(node)
    await here()

async def rewind_then_here(place, upstream):
    await rewind(place, upstream)
    await here()

async def main():
    cluster = PostgresCluster(Path(sys.argv[1]))
    await cluster.start()
    match sys.argv[2]:
        case "fenced":
            cluster._settled = here
        case "chosen":
            PostgresNode.promote = here
        case "promoted":
            PostgresNode.promote = promote_then_here
        case "recorded":
            PostgresNode.follow = here
        case "rejoining":
            postgres_rejoin._rewind = here
        case "rewound":
            postgres_rejoin._rewind = rewind_then_here
    await cluster.fail_over()
    await cluster.rejoin("node-1")

promote, rewind = PostgresNode.promote, postgres_rejoin._rewind
asyncio.run(main())
"""


def test_after_a_kill_the_replica_serves_what_was_acknowledged(made: Path) -> None:
    """The promise of synchronous commit, under load: every write that a client was told of is there, and the next ones go on."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            await cluster.set_synchronous(True)
            async with Writers(cluster) as writers:
                await writers.wait_more(200)
                old = cluster.primary.server
                os.kill(old.pid or 0, signal.SIGKILL)
                done = await cluster.fail_over()
                assert (done.primary, done.timeline, done.keeps_acknowledged) == ("r1", 2, True)
                assert cluster.primary.name == "r1"
                await writers.wait_more(100)
            assert not await missing(cluster.primary.server.url(), writers)
            assert old.status is Status.STOPPED, "its supervisor does not start it again"
            assert not (await cluster.primary.status()).is_replica

    asyncio.run(scenario())


def test_the_old_primary_comes_back_as_a_replica_of_the_new(made: Path) -> None:
    """It is rewound, and has the rows of the new one; what only it had is gone, and was counted."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            old, replica = cluster.primary.server, cluster.replicas["r1"].server
            await query(old.url(), "CREATE TABLE kept (n int)")
            await all_stream(cluster)
            await query(replica.url(), "SELECT pg_wal_replay_pause()")
            await replica.stop()
            await query(old.url(), "INSERT INTO kept SELECT 1 FROM generate_series(1, 1000)")
            await cluster.replicas["r1"].start()
            os.kill(old.pid or 0, signal.SIGKILL)
            done = await cluster.fail_over()
            assert not done.keeps_acknowledged or done.lost_bytes == 0
            await query(cluster.primary.server.url(), "INSERT INTO kept VALUES (2)")
            assert await cluster.start() == {}
            rejoined = cluster.replicas["node-1"].rejoined
            assert rejoined is not None
            assert not rejoined.is_copied
            assert rejoined.lost_bytes == done.lost_bytes
            await all_stream(cluster)
            for node in (cluster.primary, cluster.replicas["node-1"]):
                assert await query(node.server.url(), "SELECT count(*) FROM kept WHERE n = 2") == 1
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await query(old.url(), "INSERT INTO kept VALUES (3)")

    asyncio.run(scenario())


def test_without_synchronous_commit_the_log_that_is_lost_is_counted(made: Path) -> None:
    """The replica was cut off before; what the primary wrote after that is in its own log only."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            old, replica = cluster.primary, cluster.replicas["r1"]
            await query(old.server.url(), "CREATE TABLE kept (n int)")
            await all_stream(cluster)
            await query(replica.server.url(), "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
            await query(replica.server.url(), "SELECT pg_reload_conf()")
            while await replication.followers(old.address):
                await asyncio.sleep(0.01)
            before = (await replica.status()).flushed
            await query(old.server.url(), "INSERT INTO kept SELECT 1 FROM generate_series(1, 1000)")
            written = (await old.status()).flushed - before
            os.kill(old.server.pid or 0, signal.SIGKILL)
            done = await cluster.fail_over()
            assert not done.keeps_acknowledged
            assert done.lost_bytes is not None
            assert written <= done.lost_bytes < written + 10_000
            assert await query(cluster.primary.server.url(), "SELECT count(*) FROM kept") == 0
            rejoined = await cluster.rejoin("node-1")
            assert rejoined is not None
            assert rejoined.lost_bytes == done.lost_bytes
            assert await query(old.server.url(), "SELECT count(*) FROM kept") == 0

    asyncio.run(scenario())


def test_log_of_a_primary_that_dies_soon_after_its_promotion_is_counted_too(made: Path) -> None:
    """Its last checkpoint is of the timeline before; where its own log ends is not where that one does."""

    async def scenario() -> None:
        async with cluster_of(made, "r1", "r2") as cluster:
            await query(cluster.primary.server.url(), "CREATE TABLE kept (n int)")
            await all_stream(cluster)
            await cluster.fail_over("r1")
            primary, other = cluster.primary, cluster.replicas["r2"]
            while not (await other.status()).is_streaming:
                await asyncio.sleep(0.01)
            await other.server.stop()
            await query(primary.server.url(), "INSERT INTO kept SELECT 1 FROM generate_series(1, 1000)")
            os.kill(primary.server.pid or 0, signal.SIGKILL)
            await other.start()
            done = await cluster.fail_over("r2")
            assert done.timeline == 3
            assert done.lost_bytes is not None
            assert done.lost_bytes > 50_000

    asyncio.run(scenario())


@pytest.mark.parametrize("point", ["fenced", "chosen", "promoted", "recorded", "rejoining", "rewound"])
def test_killed_at_any_step_of_a_failover_the_next_start_goes_on(made: Path, point: str) -> None:
    """Before somebody is chosen the old primary serves again; after it the new one does. Never both, and no row is missing."""

    async def prepare() -> set[int]:
        cluster = PostgresCluster(made)
        await cluster.start()
        for name in ("r1", "r2"):
            await cluster.add_replica(name)
        await cluster.set_synchronous(True)
        async with Writers(cluster) as writers:
            await writers.wait_more(50)
        await cluster.detach()
        return writers.acknowledged

    acknowledged = asyncio.run(prepare())
    with Killable(FAIL_OVER, made, point) as controller:
        assert controller.read_line() == "here"

    async def scenario() -> None:
        cluster = PostgresCluster(made, policy=QUICK)
        assert await cluster.start() == {}
        assert (cluster.primary.name == "node-1") is (point == "fenced")
        await all_stream(cluster)
        nodes = [cluster.primary, *cluster.replicas.values()]
        assert [(await node.status()).is_replica for node in nodes] == [False, True, True]
        for node in nodes:
            assert await query(node.server.url(), "SELECT count(*) FROM kept") == len(acknowledged)
        await query(cluster.primary.server.url(), "INSERT INTO kept VALUES (-1)")
        await cluster.stop()

    asyncio.run(scenario())


def test_a_fenced_primary_is_started_by_nobody(made: Path) -> None:
    """Killed between the fence and the promotion: a start that does not know of the failover must not serve."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            pid = cluster.primary.server.pid or 0
            end = await cluster.primary.server.fence()
            assert end is not None
            assert identify(pid) is None
            for server in (Postgres(made), cluster.primary.server):
                with pytest.raises(EngineFenced):
                    await server.start()
            cluster.primary.server.lift_fence()
            await cluster.primary.start()
            await all_stream(cluster)

    asyncio.run(scenario())


def test_a_supervisor_that_would_start_it_again_meets_the_fence(made: Path) -> None:
    """It may be in the middle of that: the server was killed, and its supervisor waits to start another."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            server = cluster.primary.server
            os.kill(server.pid or 0, signal.SIGKILL)
            await wait_until(lambda: server.status is not Status.RUNNING)
            await server.fence()
            assert server.status is Status.STOPPED
            assert server.pid is None
            server.lift_fence()
            await cluster.primary.start()

    asyncio.run(scenario())


def test_a_backend_that_outlives_its_server_does_not_commit_after_the_failover(made: Path) -> None:
    """Deep in a query it does not notice that its server died, and its client still waits for an answer."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            url = cluster.primary.server.url()
            await query(url, "CREATE TABLE kept (n int)")
            connection = await asyncpg.connect(url)
            backend = connection.get_server_pid()
            busy = asyncio.create_task(
                connection.execute("INSERT INTO kept SELECT count(*) FROM generate_series(1, 10^11::int8)")
            )
            at_work = "SELECT query LIKE 'INSERT%' FROM pg_stat_activity WHERE pid = $1"
            while not await query(url, at_work, backend):
                pass
            end_process(cluster.primary.server.pid or 0)
            assert identify(backend) is not None
            await cluster.fail_over()
            assert identify(backend) is None
            with pytest.raises(AWAY):
                await busy

    asyncio.run(scenario())


def test_a_frozen_primary_is_ended_and_failed_over(made: Path) -> None:
    """SIGSTOP, or a machine that swaps: it would go on where it was, some day."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            pid = cluster.primary.server.pid or 0
            os.kill(pid, signal.SIGSTOP)
            done = await cluster.fail_over("r1")
            assert done.primary == "r1"
            assert identify(pid) is None
            await query(cluster.primary.server.url(), "CREATE TABLE t (n int)")

    asyncio.run(scenario())


def test_a_primary_that_lives_is_changed_without_a_loss_and_without_a_rewind(made: Path) -> None:
    """A planned change, there and back, under load: stopped in order it sends all that it has."""

    async def scenario() -> None:
        async with cluster_of(made, "r1", "r2") as cluster:
            async with Writers(cluster) as writers:
                for successor, timeline in (("r1", 2), ("node-1", 3)):
                    await writers.wait_more(50)
                    old = cluster.primary.name
                    done = await cluster.fail_over(successor)
                    assert (done.primary, done.timeline) == (successor, timeline)
                    assert (done.lost_bytes, done.keeps_acknowledged) == (0, True)
                    await writers.wait_more(50)
                    await cluster.rejoin(old)
                    await all_stream(cluster)
            await all_stream(cluster)
            for node in (cluster.primary, *cluster.replicas.values()):
                assert not await missing(node.server.url(), writers)
            names = {"ramet_r1", "ramet_r2"}
            assert {slot.name for slot in await replication.slots(cluster.primary.address)} == names
            assert await replication.slots(cluster.replicas["r1"].address) == (), "it would keep its log for nobody"

    asyncio.run(scenario())


def test_the_other_replicas_follow_the_new_primary(made: Path) -> None:
    """And commits wait for them, as they did before."""

    async def scenario() -> None:
        async with cluster_of(made, "r1", "r2") as cluster:
            await cluster.set_synchronous(True)
            os.kill(cluster.primary.server.pid or 0, signal.SIGKILL)
            done = await cluster.fail_over("r1")
            assert done.keeps_acknowledged
            async with Writers(cluster) as writers:
                await writers.wait_more(20)
            assert [each.name for each in await replication.followers(cluster.primary.address)] == ["r2"]
            assert not await missing(cluster.replicas["r2"].server.url(), writers)

    asyncio.run(scenario())


def test_a_replica_that_lacks_acknowledged_writes_is_refused_and_the_primary_goes_on(made: Path) -> None:
    """Of two replicas one was cut off. The refusal puts everything back."""

    async def scenario() -> None:
        async with cluster_of(made, "r1", "r2") as cluster:
            url = cluster.primary.server.url()
            await query(cluster.replicas["r2"].server.url(), "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
            await query(cluster.replicas["r2"].server.url(), "SELECT pg_reload_conf()")
            while len(await replication.followers(cluster.primary.address)) > 1:
                await asyncio.sleep(0.01)
            await query(url, "CREATE TABLE kept AS SELECT 1 AS n")
            with pytest.raises(FailoverRefused, match="`r2` lacks"):
                await cluster.fail_over("r2")
            assert cluster.primary.name == "node-1"
            assert await query(url, "INSERT INTO kept VALUES (2) RETURNING n") == 2
            assert (await cluster.fail_over()).primary == "r1"

    asyncio.run(scenario())


def test_without_a_replica_that_answers_nothing_is_interrupted(made: Path) -> None:
    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            await cluster.replicas["r1"].server.stop()
            pid = cluster.primary.server.pid
            with pytest.raises(FailoverRefused, match="no replica answers"):
                await cluster.fail_over()
            assert cluster.primary.server.pid == pid

    asyncio.run(scenario())


def test_a_primary_that_another_process_supervises_is_left_alone(made: Path) -> None:
    """Two controllers: the one without the lock does nothing."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            other = PostgresCluster(made)
            with pytest.raises(EngineBusy):
                await other.primary.server.fence()
            assert await query(cluster.primary.server.url(), "SELECT 1") == 1
            assert not cluster.primary.is_fenced

    asyncio.run(scenario())


def test_a_primary_whose_data_is_lost_is_failed_over_and_copied_anew(made: Path) -> None:
    """Its directory was deleted, or its disk is new: `start` says so, with the replica running, which can take over."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            await query(cluster.primary.server.url(), "CREATE TABLE kept AS SELECT 42 AS n")
            await all_stream(cluster)
        for segment in (made / "data" / "pg_wal").glob("0*"):
            segment.unlink()
        cluster = PostgresCluster(made, policy=QUICK)
        with pytest.raises(EngineFailed):
            await cluster.start()
        done = await cluster.fail_over()
        assert (done.primary, done.lost_bytes) == ("r1", None)
        assert await query(cluster.primary.server.url(), "SELECT n FROM kept") == 42
        assert await cluster.start() == {}
        rejoined = cluster.replicas["node-1"].rejoined
        assert rejoined is not None
        assert rejoined.is_copied
        await all_stream(cluster)
        await cluster.stop()

    asyncio.run(scenario())


def test_the_first_node_is_removed_and_nobody_makes_an_empty_database_in_its_place(made: Path) -> None:
    """Its directory holds everything else, so it stays."""

    async def scenario() -> None:
        async with cluster_of(made, "r1") as cluster:
            await query(cluster.primary.server.url(), "CREATE TABLE kept AS SELECT 42 AS n")
            await cluster.fail_over("r1")
            await cluster.remove_replica("node-1")
            assert not (made / "data").exists()
            with pytest.raises(EngineFenced):
                await Postgres(made).start()
            assert await cluster.start() == {}
            await cluster.add_replica("node-1")
            await all_stream(cluster)
            assert await query(cluster.replicas["node-1"].server.url(), "SELECT n FROM kept") == 42

    asyncio.run(scenario())
