"""Replication in SQL, at a primary without replicas. With replicas it is tested in tests/engines, which starts them."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data import replication
from ramet.data.address import Address
from ramet.data.errors import DatabaseUnavailable, InsufficientPrivilege
from ramet.data.replication import Lsn, NodeStatus, format_lsn, lag_of, parse_fork, parse_lsn, synchronous_names
from tests.data.support import Server

HISTORY = "1\t0/3000148\tno recovery target specified\n\n2\t1/F0\tno recovery target specified\n"


def node(replayed: int, *, is_replica: bool = True, age_s: float | None = 60.0) -> NodeStatus:
    return NodeStatus(
        is_replica=is_replica,
        timeline=1,
        flushed=Lsn(replayed),
        replayed=Lsn(replayed),
        replay_age_s=age_s,
        is_streaming=is_replica,
    )


@given(st.integers(0, 2**64 - 1))
def test_an_lsn_survives_its_text(lsn: int) -> None:
    assert parse_lsn(format_lsn(Lsn(lsn))) == lsn


def test_a_replica_that_has_all_is_not_behind_however_old_its_last_commit_is() -> None:
    """PgDog's formula: on an idle primary the age alone grows for ever, and would take every replica out of service."""
    primary = node(1000, is_replica=False, age_s=None)
    assert lag_of(primary, node(1000)) == replication.Lag(bytes=0, seconds=0.0)
    assert lag_of(primary, node(1200)) == replication.Lag(bytes=0, seconds=0.0), "asked later, it has more"
    assert lag_of(primary, node(400)) == replication.Lag(bytes=600, seconds=60.0)
    assert lag_of(primary, node(400, age_s=None)) == replication.Lag(bytes=600, seconds=0.0)
    assert lag_of(primary, node(400, age_s=-0.5)).seconds == 0, "clocks differ"


def test_the_history_says_where_each_earlier_timeline_was_left() -> None:
    """A primary of the third timeline, and an old one that slept through both failovers."""
    assert parse_fork(HISTORY, 1) == 0x3000148
    assert parse_fork(HISTORY, 2) == 0x1_000000F0
    assert parse_fork(HISTORY, 3) is None
    assert parse_fork("", 1) is None


def test_names_are_quoted_for_the_server() -> None:
    """Without quotes a `-` is a syntax error, and the server keeps the old value without a word to us."""
    assert synchronous_names([]) == ""
    assert synchronous_names(["r2", "node-1"]) == 'ANY 1 ("node-1", "r2")'
    assert synchronous_names(['a"b']) == 'ANY 1 ("a""b")'


def test_a_primary_says_what_it_is(server: Server) -> None:
    async def scenario() -> None:
        status = await replication.status(server.admin)
        assert (status.is_replica, status.timeline, status.is_streaming, status.replay_age_s) == (False, 1, False, None)
        assert status.flushed == status.replayed > 0
        assert await replication.followers(server.admin) == ()
        assert await replication.fork(server.admin, 1) is None
        assert await replication.promote(server.admin) == 1, "it is one already"
        assert not await replication.wait_flushed(server.admin, ["r1"], deadline_s=0)

    asyncio.run(scenario())


def test_a_slot_is_made_and_dropped_once_however_often_it_is_asked_for(server: Server) -> None:
    """Both are repeated by whoever was killed in between."""

    async def scenario() -> None:
        for _ in range(2):
            await replication.create_slot(server.admin, "ramet_r1")
        assert [(slot.name, slot.is_active, slot.is_lost) for slot in await replication.slots(server.admin)] == [
            ("ramet_r1", False, False)
        ]
        for _ in range(2):
            await replication.drop_slot(server.admin, "ramet_r1")
        assert await replication.slots(server.admin) == ()

    asyncio.run(scenario())


def test_synchronous_commit_is_set_and_cleared(server: Server) -> None:
    async def scenario() -> None:
        for names, value in ((["r1", "r2"], 'ANY 1 ("r1", "r2")'), ([], "")):
            await replication.set_synchronous(server.admin, names)
            async with server.superuser() as connection:
                assert await connection.fetchval("SHOW synchronous_standby_names") == value

    asyncio.run(scenario())


def test_who_does_not_answer_and_who_may_not_ask_are_told_apart(server: Server, tmp_path: Path) -> None:
    """A node that is down is a fact about the node; a right that is missing is a mistake in its address."""

    async def scenario() -> None:
        nobody = Address(dsn=f"postgresql://ramet@/postgres?host={tmp_path}")
        with pytest.raises(DatabaseUnavailable, match="cannot connect"):
            await replication.status(nobody)
        async with server.database() as database:
            with pytest.raises(InsufficientPrivilege):
                await replication.create_slot(server.address(database.module), "ramet_r1")

    asyncio.run(scenario())
