"""What is known of the queries that ran: shared by the instances that count them and the ones that ask. Values and sums."""

from collections.abc import Iterable

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """The slowest execution. text: with its `$1`, as it was sent. parameters: as PostgreSQL reads them, None for NULL; None for
    all where they were not kept. shard: where it ran."""

    duration_s: float
    text: str
    parameters: list[str | None] | None
    shard: int = 0


class QueryUse(msgspec.Struct, frozen=True, kw_only=True):
    """One query as one call ran it, on one shard of a module's database.

    text: for a person, without its literals. call: qualified name of the call or endpoint that was running, empty outside of
    them. rows: returned or changed. buckets: of durations, by `observe.names.CALL_BOUNDS_S`. traces: requests in which it ran;
    traced: its executions in them; most: in one of them; repeating: requests with `REPEATED` or more. Of these, within: those
    where one run of the call repeats it; callers: module -> those where it makes the call again and again.
    """

    fingerprint: str
    module: str
    shard: int
    call: str
    text: str
    errors: int
    rows: int
    total_s: float
    buckets: list[int]
    traces: int
    traced: int
    most: int
    repeating: int
    within: int
    callers: dict[str, int]
    worst: Sample

    @property
    def executions(self) -> int:
        return sum(self.buckets)


class Queries(msgspec.Struct, frozen=True):
    """Of one instance since it started, or merged. started: seconds since the epoch, the earliest. unreachable: instance -> why
    it is not counted in. dropped: new texts that were not counted because there were too many."""

    started: float
    uses: list[QueryUse]
    unreachable: dict[str, str] = {}
    dropped: int = 0


REPEATED = 5
"""Executions of one query in one request that are worth a word. A guess: two or three are a page's parts, five are a loop."""


def merged(told: Iterable[Queries], unreachable: dict[str, str] | None = None) -> Queries:
    """What several instances counted, as if it were one."""
    found: dict[tuple[str, str, int, str], QueryUse] = {}
    all_of = list(told)
    for use in (use for each in all_of for use in each.uses):
        key = (use.fingerprint, use.module, use.shard, use.call)
        found[key] = _sum(found[key], use) if key in found else use
    started = min((each.started for each in all_of), default=0.0)
    return Queries(started, list(found.values()), unreachable or {}, sum(each.dropped for each in all_of))


def by_query(uses: Iterable[QueryUse]) -> dict[tuple[str, str], QueryUse]:
    """(Module, fingerprint) -> all its uses in one, whichever call and shard; `call` is that of the most time."""
    found: dict[tuple[str, str], QueryUse] = {}
    for use in sorted(uses, key=lambda use: -use.total_s):
        key = (use.module, use.fingerprint)
        found[key] = _sum(found[key], use) if key in found else use
    return found


def by_call(uses: Iterable[QueryUse]) -> list[QueryUse]:
    """Of one query: a sum for each call, whichever shard; that of the most time first."""
    found: dict[str, QueryUse] = {}
    for use in uses:
        found[use.call] = _sum(found[use.call], use) if use.call in found else use
    return sorted(found.values(), key=lambda use: -use.total_s)


def quantile_s(use: QueryUse, share: float, bounds: tuple[float, ...]) -> float:
    """Duration that this share of the executions did not exceed, straight within a bucket. Never more than the slowest."""
    wanted = share * use.executions
    below, lower = 0, 0.0
    for count, upper in zip(use.buckets, (*bounds, use.worst.duration_s), strict=True):
        if count and below + count >= wanted:
            return min(lower + (upper - lower) * (wanted - below) / count, use.worst.duration_s)
        below += count
        lower = upper
    return use.worst.duration_s


def _sum(one: QueryUse, other: QueryUse) -> QueryUse:
    return msgspec.structs.replace(
        one,
        errors=one.errors + other.errors,
        rows=one.rows + other.rows,
        total_s=one.total_s + other.total_s,
        buckets=[a + b for a, b in zip(one.buckets, other.buckets, strict=True)],
        traces=one.traces + other.traces,
        traced=one.traced + other.traced,
        most=max(one.most, other.most),
        repeating=one.repeating + other.repeating,
        within=one.within + other.within,
        callers={name: one.callers.get(name, 0) + other.callers.get(name, 0) for name in one.callers | other.callers},
        worst=_better(one.worst, other.worst),
    )


def _better(one: Sample, other: Sample) -> Sample:
    """The slower; for its plan one with parameters is worth more than one without."""
    return max(one, other, key=lambda sample: (sample.parameters is not None, sample.duration_s))
