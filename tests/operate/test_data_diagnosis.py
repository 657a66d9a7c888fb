"""What the facts of `ramet data doctor` mean, without a database."""

from dataclasses import replace

import pytest

from ramet.data.budget import Demand, Server
from ramet.data.health.indexes import Index, Indexes
from ramet.data.health.keys import Table
from ramet.data.health.replication import Follower, Replication, Slot, Subscription
from ramet.data.health.sequences import Sequence
from ramet.data.health.sessions import LongTransaction, Prepared, Sessions
from ramet.operate.data_diagnosis import Finding, Severity, diagnose
from ramet.operate.data_facts import Budget, DatabaseFacts

MIB = 1024 * 1024
OK, WARN, PROBLEM = Severity.OK, Severity.WARN, Severity.PROBLEM
REPLICATION = Replication(slots=(), followers=(), max_slots=10, max_senders=10, keep_mb=1024, publications=(), subscriptions=())
SOUND = DatabaseFacts(
    name="db",
    indexes=Indexes(invalid=(), unused=(), statistics_s=None),
    sessions=Sessions(long=(), prepared=(), used={}, sees_all=True),
    sequences=(),
    tables=(),
    replication=REPLICATION,
)


def with_slot(**changes: object) -> DatabaseFacts:
    slot = replace(Slot(name="s", kind="logical", is_active=True, wal_status="reserved", kept_bytes=0), **changes)
    return replace(SOUND, replication=replace(REPLICATION, slots=(slot,)))


def with_transaction(*, age_s: float, idle_s: float = 0.0) -> DatabaseFacts:
    one = LongTransaction(pid=7, role="stock", application="main-1", age_s=age_s, idle_s=idle_s)
    return replace(SOUND, sessions=replace(SOUND.sessions, long=(one,)))


def with_sequence(last: int, **changes: str) -> DatabaseFacts:
    one = Sequence(schema="stock", name="ids", type="integer", last=last, largest=100)
    return replace(SOUND, sequences=(replace(one, **changes),))


def with_rows(buckets: dict[int, int]) -> DatabaseFacts:
    table = Table(schema="stock", name="t", key="owner", type="bigint", primary_key=("owner",), buckets=buckets)
    return replace(SOUND, tables=(table,))


UNUSED = Index(schema="stock", table="t", name="lonely", size_bytes=8 * MIB)
CASES = [
    ("a slot that is read and keeps little", with_slot(), "slots", OK, "at most 0 kB"),
    ("a reader that is behind", with_slot(kept_bytes=300 * MIB), "slots", WARN, "keeps 300 MB"),
    ("a reader that is far behind", with_slot(kept_bytes=2048 * MIB), "slots", PROBLEM, "keeps 2 GB"),
    ("a slot without a reader", with_slot(is_active=False), "slots", WARN, "nobody reads it"),
    ("one that fills the disk", with_slot(is_active=False, kept_bytes=2048 * MIB), "slots", PROBLEM, "nobody reads it"),
    ("one whose log is gone", with_slot(wal_status="lost"), "slots", PROBLEM, "its log is gone"),
    (
        "no slot left for a move",
        replace(SOUND, replication=replace(REPLICATION, max_slots=1)),
        "slots",
        WARN,
        "0 of 1 are taken",
    ),
    (
        "a replica far behind",
        replace(
            SOUND, replication=replace(REPLICATION, followers=(Follower(name="r", state="streaming", lag_bytes=0, lag_s=61),))
        ),
        "replicas",
        WARN,
        "61 s behind",
    ),
    (
        "a replica that follows",
        replace(
            SOUND, replication=replace(REPLICATION, followers=(Follower(name="r", state="streaming", lag_bytes=9, lag_s=0),))
        ),
        "replicas",
        OK,
        "1, none far behind",
    ),
    (
        "a subscription without a worker",
        replace(
            SOUND,
            replication=replace(REPLICATION, subscriptions=(Subscription(name="ramet_a", is_enabled=True, is_working=False),)),
        ),
        "leftovers",
        WARN,
        "has no worker",
    ),
    (
        "a publication that a slot reads",
        replace(
            SOUND,
            replication=replace(
                REPLICATION,
                publications=("ramet_a",),
                slots=(Slot(name="ramet_a", kind="logical", is_active=True, wal_status="reserved", kept_bytes=0),),
            ),
        ),
        "leftovers",
        OK,
        "no publication",
    ),
    ("a transaction idle for a minute", with_transaction(age_s=90, idle_s=60), "transactions", WARN, "idle for 60 s"),
    ("one idle for ten", with_transaction(age_s=700, idle_s=600), "transactions", PROBLEM, "idle for 10 min"),
    ("one that works for a minute", with_transaction(age_s=60), "transactions", OK, "none is older"),
    ("one that works for ten", with_transaction(age_s=600), "transactions", WARN, "at work"),
    ("one that works for hours", with_transaction(age_s=7200), "transactions", PROBLEM, "open for 2 h"),
    (
        "one that was prepared and forgotten",
        replace(SOUND, sessions=replace(SOUND.sessions, prepared=(Prepared(id="x", role="stock", age_s=99.0),))),
        "transactions",
        PROBLEM,
        "neither committed nor rolled back",
    ),
    (
        "a role that sees only itself",
        replace(SOUND, sessions=replace(SOUND.sessions, sees_all=False)),
        "transactions",
        WARN,
        "does not see",
    ),
    ("a sequence half used", with_sequence(50), "sequences", OK, "1, each with most"),
    ("one with a third left", with_sequence(70), "sequences", WARN, "70 of 100, 70 %"),
    ("one at its end", with_sequence(95), "sequences", PROBLEM, "95 of 100"),
    (
        "an index unused since the beginning",
        replace(SOUND, indexes=Indexes(invalid=(), unused=(UNUSED,), statistics_s=None)),
        "indexes",
        WARN,
        "lonely (8 MB) was not used since the database was made",
    ),
    (
        "an index unused for a week",
        replace(SOUND, indexes=Indexes(invalid=(), unused=(UNUSED,), statistics_s=7 * 86400.0)),
        "indexes",
        WARN,
        "for 7 days, since the statistics began",
    ),
    (
        "statistics too young to tell",
        replace(SOUND, indexes=Indexes(invalid=(), unused=(UNUSED,), statistics_s=7200.0)),
        "indexes",
        OK,
        "the statistics are 2 h old",
    ),
    ("rows that are spread", with_rows(dict.fromkeys(range(1024), 100)), "buckets", OK, "no bucket"),
    ("half of the rows in one bucket", with_rows({5: 10_000, 6: 10_000}), "buckets", WARN, "512 times the mean"),
    ("too few rows to tell", with_rows({5: 100}), "buckets", OK, "no bucket"),
]


@pytest.mark.parametrize(("why", "facts", "what", "severity", "told"), CASES, ids=[case[0] for case in CASES])
def test_what_a_fact_means(why: str, facts: DatabaseFacts, what: str, severity: Severity, told: str) -> None:
    first = next(each for each in diagnose([facts]) if each.what == what)
    assert (first.severity, told in first.found) == (severity, True), first
    assert bool(first.mend) == (severity is not OK)


def test_an_index_that_a_reindex_left_behind_is_dropped_and_not_built() -> None:
    """REINDEX CONCURRENTLY makes a second one beside the first, which is still good."""
    invalid = tuple(Index(schema="stock", table="t", name=name) for name in ("a", "a_ccnew", "a_ccold2"))
    findings = diagnose([replace(SOUND, indexes=Indexes(invalid=invalid, unused=(), statistics_s=None))])
    assert [each.mend.split()[0] for each in findings if each.what == "indexes"] == ["REINDEX", "DROP", "DROP"]


def budget(*demands: Demand, is_pooled: bool = False) -> Finding:
    server = Server(name="it", max_connections=100)
    return diagnose([], Budget(topology="seed", server=server, demands=demands, is_pooled=is_pooled))[0]


def test_the_pool_budget_is_shown_by_role_as_the_refusal_shows_it() -> None:
    web = Demand(service="main", module="stock", instances=4, max_connections=4)
    jobs = Demand(service="main", module="stock", instances=4, max_connections=1, role="jobs")
    found = budget(web, jobs)
    assert found.severity is OK
    assert found.found.splitlines() == [
        "20 of 87 connections of it may be wanted",
        "  web   main/stock  4 x 4 = 16",
        "  jobs  main/stock  4 x 1 = 4",
        "  in reserve: 1 for the controller, 1 for migrations, 8 for prompts, monitoring and backups, 3 for the server's own",
    ]
    assert budget(replace(web, instances=20)).severity is WARN
    over = budget(replace(web, instances=30))
    assert over.severity is PROBLEM
    assert over.mend == "[pools] web = 2 in ramet.toml, or ALTER SYSTEM SET max_connections = 133, and a restart"
    assert "go to the pooler" in budget(jobs, is_pooled=True).found
