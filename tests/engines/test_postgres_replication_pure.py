"""What of replication decides without a server."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data.replication import Lsn, NodeStatus
from ramet.engines.errors import FailoverRefused
from ramet.engines.postgres_failover import check_candidates, choose_successor, keeps_acknowledged
from ramet.engines.postgres_log import parse_end
from ramet.engines.postgres_settings import PostgresSettings, render
from ramet.engines.postgres_upstream import Begin, Upstream, decide_begin
from ramet.engines.postgres_url import conninfo, passfile_of
from ramet.errors import ConfigError

URL = "postgresql://ramet:secret@127.0.0.1:5432/postgres"


def replica(flushed: int, *, timeline: int = 1) -> NodeStatus:
    return NodeStatus(
        is_replica=True,
        timeline=timeline,
        flushed=Lsn(flushed),
        replayed=Lsn(flushed),
        replay_age_s=1.0,
        is_streaming=False,
    )


@pytest.mark.parametrize(
    ("has_data", "has_upstream", "fence", "begin"),
    [
        pytest.param(False, False, "", Begin.CREATE, id="a new project"),
        pytest.param(False, True, "", Begin.COPY, id="a new replica"),
        pytest.param(True, False, "", Begin.RUN, id="a primary"),
        pytest.param(True, True, "", Begin.RUN, id="a replica, or one that was promoted a moment ago"),
        pytest.param(True, True, "fenced", Begin.REJOIN, id="an old primary that knows the new one"),
        pytest.param(True, True, "rejoining", Begin.COPY, id="killed while it was rewound"),
        pytest.param(False, True, "rejoining", Begin.COPY, id="killed while the copy took the place of the data"),
        pytest.param(True, False, "fenced", Begin.REFUSE, id="killed before a promotion"),
        pytest.param(False, False, "rejoining", Begin.REFUSE, id="removed"),
    ],
)
def test_the_directory_alone_says_what_a_start_does(has_data: bool, has_upstream: bool, fence: str, begin: Begin) -> None:
    """Whoever starts it knows nothing else: the one who knew may have been killed."""
    assert decide_begin(has_data=has_data, has_upstream=has_upstream, fence=fence) is begin


def test_what_is_fenced_is_never_run_or_made_empty() -> None:
    """The one claim that a failover stands on."""
    for has_data, has_upstream, fence in itertools.product([True, False], [True, False], ["fenced", "rejoining"]):
        begin = decide_begin(has_data=has_data, has_upstream=has_upstream, fence=fence)
        assert begin not in (Begin.RUN, Begin.CREATE)


def test_the_replica_with_most_of_the_log_is_chosen() -> None:
    """A commit waits for any one of them, so only the one with the most has all."""
    nodes = {"r1": replica(100), "r2": replica(300), "r3": None}
    assert choose_successor(nodes, None) == "r2"
    assert choose_successor(nodes, "r2") == "r2"
    with pytest.raises(FailoverRefused, match=r"`r1` lacks 200 bytes of log that `r2` has"):
        choose_successor(nodes, "r1")
    assert choose_successor({"r1": replica(100), "r2": replica(100)}, "r2") == "r2"


def test_a_younger_timeline_counts_more_than_a_longer_log() -> None:
    """One that was left behind by an earlier failover has log that nobody else wanted."""
    assert choose_successor({"r1": replica(900, timeline=1), "r2": replica(300, timeline=2)}, None) == "r2"


def test_nobody_to_fail_over_to_is_told_before_anything_is_interrupted() -> None:
    with pytest.raises(FailoverRefused, match="no replica answers, of r1"):
        check_candidates({"r1": None}, None)
    with pytest.raises(FailoverRefused, match="no replica answers, of none"):
        check_candidates({}, None)
    with pytest.raises(FailoverRefused, match="`r3` is no replica that answers") as raised:
        check_candidates({"r1": replica(1)}, "r3")
    assert any("fail over to r1" in note for note in raised.value.__notes__)


@pytest.mark.parametrize(
    ("lost", "waited_for", "asked", "keeps"),
    [
        pytest.param(0, [], [], True, id="nothing is lost"),
        pytest.param(10, [], ["r1"], False, id="nothing was waited for"),
        pytest.param(10, ["r1"], ["r1", "r2"], True, id="what is lost was not acknowledged"),
        pytest.param(10, ["r1", "r2"], ["r1"], False, id="the one that has it may be the one that was not asked"),
        pytest.param(None, ["r1"], ["r1"], True, id="the old disk is gone"),
        pytest.param(None, [], ["r1"], False, id="the old disk is gone, and nobody else was sure to have it"),
    ],
)
def test_when_acknowledged_commits_are_there_for_sure(
    lost: int | None, waited_for: list[str], asked: list[str], keeps: bool
) -> None:
    """Said only where it can be: in doubt it is not."""
    assert keeps_acknowledged(lost, waited_for=waited_for, asked=asked) is keeps


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


def parsed(text: str) -> dict[str, str]:
    """libpq's own rule: in quotes, a backslash takes the next character as it is."""
    found = re.findall(r"(\w+)='((?:[^'\\]|\\.)*)'", text)
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in found}


@given(user=NAMES, password=NAMES)
def test_names_and_passwords_survive_conninfo_and_passfile(user: str, password: str) -> None:
    """A quote or a colon in one of them must not become another option; and the password is only in the file."""
    from ramet.engines.postgres_url import make_url

    url = make_url(host="127.0.0.1", port=5432, database="app", user=user, password=password)
    values = parsed(conninfo(url, application_name="r1"))
    assert values == {"host": "127.0.0.1", "port": "5432", "user": user, "application_name": "r1"}
    line = passfile_of(url).removesuffix("\n").removeprefix("*:*:*:*:")
    assert re.sub(r"\\(.)", r"\1", line) == password
    assert not re.search(r"(?<!\\)(?:\\\\)*:", line)


def test_options_of_the_url_are_kept_and_a_socket_is_a_host() -> None:
    url = "postgresql://me@/app?host=%2Frun%2Fdb&port=6000&sslmode=require"
    assert parsed(conninfo(url, dbname="postgres")) == {
        "host": "/run/db",
        "port": "6000",
        "sslmode": "require",
        "user": "me",
        "dbname": "postgres",
    }


def test_an_upstream_has_a_slot_by_the_name_of_the_replica_and_hides_its_password() -> None:
    """Slots allow no `-`."""
    upstream = Upstream(url=URL, name="node-2")
    assert upstream.slot == "ramet_node_2"
    assert "secret" not in repr(upstream) + str(upstream)
    with pytest.raises(ConfigError):
        Upstream(url="mysql://a/b", name="r1")


def test_the_log_that_a_lost_replica_keeps_is_bounded() -> None:
    """A replica that nobody misses must not fill its primary's disk."""
    text = render(PostgresSettings(), major=18, port=1, socket_directory="/tmp", libraries=())
    assert "max_slot_wal_keep_size = '1GB'" in text


@pytest.mark.parametrize(
    ("complaint", "end"),
    [
        pytest.param(
            "pg_waldump: error: error in WAL record at 0/1B2B8E0: invalid record length at 0/1B2B918: expected at least 24, got 0",
            0x1B2B918,
            id="within a segment",
        ),
        pytest.param("", 0x2000000, id="with a segment"),
        pytest.param("pg_waldump: error: could not find a valid record after 0/1700000", 0x1700000, id="nothing follows"),
        pytest.param("pg_waldump: error: could not open directory", None, id="it cannot be told"),
    ],
)
def test_the_end_of_a_log_is_where_pg_waldump_can_read_no_further(complaint: str, end: int | None) -> None:
    """A base backup ends with a whole segment, so the second is no rare case."""
    assert parse_end(complaint, limit=0x2000000) == end
