"""What the facts of `ramet data doctor` mean: for each concern what is wrong, where, and the command that mends it. Pure.

A concern with nothing to tell is one finding that says what was looked at, so that silence is never taken for health.
"""

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ramet.data import budget
from ramet.data.health.indexes import Index, Indexes
from ramet.data.health.keys import Table
from ramet.data.health.replication import Replication, Slot
from ramet.data.health.sequences import Sequence
from ramet.data.health.sessions import LongTransaction
from ramet.data.schemas import quote
from ramet.model.hashing import BUCKETS
from ramet.operate.data_facts import Budget, DatabaseFacts

MIB = 1024 * 1024
KEPT_WARN, KEPT_PROBLEM = 256 * MIB, 1024 * MIB
"""Log kept for a slot. The embedded server begins to recycle at 256 MB; with no limit, 1 GB is a disk that fills."""
LAG_BYTES, LAG_S = 64 * MIB, 10.0
"""Behind that a replica is of no use for reads with a causal token, which wait for milliseconds."""
IDLE_WARN_S, IDLE_PROBLEM_S = 30.0, 300.0
LONG_WARN_S, LONG_PROBLEM_S = 300.0, 3600.0
"""A transaction that works may be a migration or a report; one that is idle is nobody's."""
USED_WARN, USED_PROBLEM = 0.7, 0.9
"""Of a sequence. A bigint column needs a rewrite of the table, so there must be time left."""
UNUSED_AGE_S = 86400.0
"""Younger statistics have not seen every job of a day."""
BUDGET_WARN = 0.8
SKEW_SHARE, SKEW_ROWS = 0.1, 10_000
"""A bucket cannot be divided, so one with a tenth of the rows bounds what a move can relieve. Below some thousand rows the shares
are chance."""


class Severity(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    """It works, and may not for long."""
    PROBLEM = "problem"
    """It costs already, or keeps a step from being taken."""


@dataclass(frozen=True, slots=True)
class Finding:
    """what: the concern. where: database, and the thing in it. mend: the command that mends it; empty where nothing need be
    done."""

    what: str
    severity: Severity
    where: str
    found: str
    mend: str = ""


OK, WARN, PROBLEM = Severity.OK, Severity.WARN, Severity.PROBLEM


def diagnose(databases: Iterable[DatabaseFacts], pools: Budget | None = None) -> list[Finding]:
    found = [] if pools is None else [_budget(pools)]
    for facts in databases:
        found += _quiet("indexes", facts.name, _indexes(facts), _nothing_of_indexes(facts.indexes))
        found += _quiet("transactions", facts.name, _transactions(facts), f"none is older than {IDLE_WARN_S:.0f} s and idle")
        found += _quiet("sequences", facts.name, _sequences(facts), f"{len(facts.sequences)}, each with most of its numbers left")
        found += _quiet("keys", facts.name, _keys(facts), f"{len(facts.tables)} tables with a key, each can be divided by it")
        found += _quiet("buckets", facts.name, _skew(facts), "no bucket has much of a table")
        if facts.replication is not None:
            found += _replication(facts.name, facts.replication)
    return found


def _quiet(what: str, where: str, findings: Iterator[Finding], otherwise: str) -> list[Finding]:
    return list(findings) or [Finding(what, OK, where, otherwise)]


def _budget(pools: Budget) -> Finding:
    server, demands = pools.server, pools.demands
    wanted = sum(demand.total for demand in demands)
    told = f"{wanted} of {server.available} connections of {server.name} may be wanted\n{budget.terms(server, demands)}"
    if pools.is_pooled:
        told += "\n  web pools go to the pooler, whose own pools are not seen from here"
    where = f"topology {pools.topology}"
    size = budget.fitting(server, demands)
    mend = f"[pools] web = {size} in ramet.toml, or ALTER SYSTEM SET max_connections = {wanted + server.reserve}, and a restart"
    if wanted > server.available:
        return Finding("pool budget", PROBLEM, where, told, mend)
    if wanted > BUDGET_WARN * server.available:
        return Finding("pool budget", WARN, where, told, f"ALTER SYSTEM SET max_connections = {2 * wanted + server.reserve}")
    return Finding("pool budget", OK, where, told)


# Indexes


def _indexes(facts: DatabaseFacts) -> Iterator[Finding]:
    for each in facts.indexes.invalid:
        where = f"{facts.name}/{each.schema}.{each.table}"
        told = f"{each.name} is invalid: an interrupted CONCURRENTLY; each write pays for it, and no read uses it"
        is_leftover = each.name.rstrip("0123456789").endswith(("_ccnew", "_ccold"))
        yield Finding(
            "indexes",
            PROBLEM,
            where,
            told,
            f"{'DROP' if is_leftover else 'REINDEX'} INDEX CONCURRENTLY {_sql(each.schema, each.name)}",
        )
    age_s = facts.indexes.statistics_s
    if age_s is None or age_s >= UNUSED_AGE_S:
        for each in facts.indexes.unused:
            yield _unused(facts.name, each, age_s)


def _unused(database: str, each: Index, age_s: float | None) -> Finding:
    since = "since the database was made" if age_s is None else f"for {_time(age_s)}, since the statistics began"
    return Finding(
        "indexes",
        WARN,
        f"{database}/{each.schema}.{each.table}",
        f"{each.name} ({_size(each.size_bytes)}) was not used {since}; replicas count for themselves",
        f"DROP INDEX CONCURRENTLY {_sql(each.schema, each.name)}",
    )


def _nothing_of_indexes(found: Indexes) -> str:
    if found.statistics_s is not None and found.statistics_s < UNUSED_AGE_S:
        return f"all valid; the statistics are {_time(found.statistics_s)} old, which is too young to tell what is unused"
    return "all valid and used"


# Transactions


def _transactions(facts: DatabaseFacts) -> Iterator[Finding]:
    if not facts.sessions.sees_all:
        yield Finding(
            "transactions",
            WARN,
            facts.name,
            "this role does not see the transactions of others",
            "GRANT pg_read_all_stats TO the role of the URL",
        )
    for each in facts.sessions.long:
        if (severity := _of_transaction(each)) is not OK:
            doing = f"idle for {_time(each.idle_s)}" if each.idle_s else "at work"
            who = f"{each.role or 'somebody'} ({each.application or 'no name'}), process {each.pid}"
            told = f"{who}: open for {_time(each.age_s)}, {doing}; holds back vacuum and its locks"
            yield Finding("transactions", severity, facts.name, told, f"SELECT pg_terminate_backend({each.pid})")
    for each in facts.sessions.prepared:
        told = f"prepared by {each.role} {_time(each.age_s)} ago, and neither committed nor rolled back; holds its locks"
        literal = each.id.replace("'", "''")
        yield Finding("transactions", PROBLEM, f"{facts.name}/{each.id}", told, f"ROLLBACK PREPARED '{literal}'")


def _of_transaction(each: LongTransaction) -> Severity:
    if each.idle_s >= IDLE_PROBLEM_S or each.age_s >= LONG_PROBLEM_S:
        return PROBLEM
    return WARN if each.idle_s >= IDLE_WARN_S or each.age_s >= LONG_WARN_S else OK


# Sequences


def _sequences(facts: DatabaseFacts) -> Iterator[Finding]:
    for each in facts.sequences:
        if each.used >= USED_WARN:
            severity = PROBLEM if each.used >= USED_PROBLEM else WARN
            told = f"{each.name} has given out {each.last} of {each.largest}, {100 * each.used:.0f} %"
            yield Finding("sequences", severity, f"{facts.name}/{each.schema}.{each.table or each.name}", told, _larger(each))


def _larger(each: Sequence) -> str:
    sequence = f"ALTER SEQUENCE {_sql(each.schema, each.name)}"
    if each.column_type in {"smallint", "integer"}:
        table, column = _sql(each.schema, each.table), _sql(each.column)
        return (
            f"ramet migrate new {each.schema} 'larger {each.column}': a bigint column beside it, filled in batches; where a"
            f" rewrite of the table is short: ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint; {sequence} AS bigint"
        )
    return f"{sequence} NO MAXVALUE" if each.type == "bigint" else f"{sequence} AS bigint"


# Keys and buckets


def _keys(facts: DatabaseFacts) -> Iterator[Finding]:
    for each in facts.tables:
        where, table, key = f"{facts.name}/{each.schema}.{each.name}", _sql(each.schema, each.name), _sql(each.key)
        if not each.type:
            told = f"has no column {each.key}, so its rows belong to no shard"
            yield Finding(
                "keys", WARN, where, told, f"ALTER TABLE {table} ADD COLUMN {key} ...; or keep it small, and the same everywhere"
            )
        elif not each.primary_key:
            told = f"has no primary key: changes of its rows cannot be replicated, so no {each.key} of it can move"
            yield Finding("keys", PROBLEM, where, told, f"ALTER TABLE {table} ADD PRIMARY KEY ({key}, ...)")
        elif each.key not in each.primary_key:
            columns = ", ".join(map(_sql, (each.key, *each.primary_key)))
            told = f"its primary key ({', '.join(each.primary_key)}) lacks {each.key}: rows cannot be filtered by it, or move"
            mend = f"ALTER TABLE {table} DROP CONSTRAINT {_sql(each.constraint)}, ADD PRIMARY KEY ({columns})"
            yield Finding("keys", PROBLEM, where, told, mend)


def _skew(facts: DatabaseFacts) -> Iterator[Finding]:
    for each in facts.tables:
        rows = sum(each.buckets.values())
        if rows < SKEW_ROWS:
            continue
        bucket = max(each.buckets, key=lambda one: each.buckets[one])
        if each.buckets[bucket] < SKEW_SHARE * rows:
            continue
        yield Finding(
            "buckets", WARN, f"{facts.name}/{each.schema}.{each.name}", _skewed(each, bucket, rows), _largest_keys(each)
        )


def _skewed(table: Table, bucket: int, rows: int) -> str:
    share = table.buckets[bucket] / rows
    looked = f"{rows} rows" if table.share == 1 else f"a sample of {rows} rows"
    return (
        f"bucket {bucket} of {BUCKETS} has {100 * share:.0f} % of {looked}, {share * BUCKETS:.0f} times the mean;"
        " a shard that holds it cannot be relieved of it"
    )


def _largest_keys(table: Table) -> str:
    rows = f"FROM {_sql(table.schema, table.name)} GROUP BY 1 ORDER BY 2 DESC LIMIT 5"
    return f"SELECT {_sql(table.key)}, count(*) {rows}; give the largest a shard of its own, or choose a finer key"


# Replication


def _replication(name: str, facts: Replication) -> list[Finding]:
    most = max((each.kept_bytes for each in facts.slots), default=0)
    slots = f"{len(facts.slots)} of {facts.max_slots}, each keeps at most {_size(most)} of log"
    return [
        *_quiet("slots", name, _slots(name, facts), slots),
        *_quiet("replicas", name, _lag(name, facts), f"{len(facts.followers)}, none far behind"),
        *_quiet("leftovers", name, _leftovers(name, facts), "no publication or subscription of a move that is over"),
    ]


def _slots(name: str, facts: Replication) -> Iterator[Finding]:
    for slot in facts.slots:
        severity, told, mend = _slot(slot)
        if severity is not OK:
            yield Finding("slots", severity, f"{name}/{slot.name}", told, mend)
    if facts.slots and facts.keep_mb < 0:
        told = "no limit on the log that a slot keeps: a reader that is gone fills the disk"
        yield Finding("slots", WARN, name, told, "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf()")
    if facts.max_slots - len(facts.slots) < 2:
        told = f"{len(facts.slots)} of {facts.max_slots} are taken; moving buckets takes one, and its way back another"
        yield Finding("slots", WARN, name, told, f"ALTER SYSTEM SET max_replication_slots = {2 * facts.max_slots}, and a restart")


def _slot(slot: Slot) -> tuple[Severity, str, str]:
    drop = f"SELECT pg_drop_replication_slot('{slot.name}')"
    kept = f"keeps {_size(slot.kept_bytes)} of log"
    if slot.wal_status == "lost":
        return PROBLEM, "its log is gone, so whoever read it must be copied anew", drop
    if not slot.is_active:
        severity = PROBLEM if slot.kept_bytes >= KEPT_PROBLEM else WARN
        return severity, f"nobody reads it, and it {kept}", f"start its reader again, or {drop}"
    if slot.kept_bytes >= KEPT_WARN:
        severity = PROBLEM if slot.kept_bytes >= KEPT_PROBLEM else WARN
        return severity, f"its reader is behind: it {kept}", "SELECT * FROM pg_stat_replication"
    return OK, kept, ""


def _lag(name: str, facts: Replication) -> Iterator[Finding]:
    for each in facts.followers:
        if each.lag_bytes >= LAG_BYTES or each.lag_s >= LAG_S:
            told = f"{each.state}, {_size(each.lag_bytes)} and {_time(each.lag_s)} behind"
            mend = "SELECT * FROM pg_stat_replication; on the replica: SELECT * FROM pg_stat_activity WHERE state <> 'idle'"
            yield Finding("replicas", WARN, f"{name}/{each.name}", told, mend)


def _leftovers(name: str, facts: Replication) -> Iterator[Finding]:
    for each in facts.subscriptions:
        if not each.is_working:
            subscription = f"SUBSCRIPTION {_sql(each.name)}"
            told = f"a subscription of a move {'has no worker' if each.is_enabled else 'is disabled'}"
            mend = f"ALTER {subscription} DISABLE; ALTER {subscription} SET (slot_name = NONE); DROP {subscription}"
            yield Finding("leftovers", WARN, f"{name}/{each.name}", told, mend)
    if not any(slot.kind == "logical" and slot.name.startswith("ramet_") for slot in facts.slots):
        for each in facts.publications:
            told = "a publication of a move, and no slot reads it"
            yield Finding("leftovers", WARN, f"{name}/{each}", told, f"DROP PUBLICATION {_sql(each)}")


def _sql(*names: str) -> str:
    return ".".join(map(quote, names))


def _size(count: float) -> str:
    unit, of = ("GB", 1024 * MIB) if count >= 1024 * MIB else ("MB", MIB) if count >= MIB else ("kB", 1024)
    return f"{count / of:.0f} {unit}"


def _time(seconds: float) -> str:
    for unit, of in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * of:
            return f"{seconds / of:.0f} {unit}"
    return f"{seconds:.0f} s"
