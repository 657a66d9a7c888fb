"""Which queries deserve a look: by their total time, their slowest hundredth, how often they run, how often in one request."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ramet.advise.predicates import read
from ramet.model.insight import QueryUse, by_call, by_query, quantile_s


@dataclass(frozen=True, slots=True)
class Slow:
    """One query. share: of the total time of all. uses: by call, the one of the most time first. shards: executions on each.
    loops: calls in which it repeats. fans_out: it does not say which key it is about, so with shards it asks all of them."""

    query: QueryUse
    share: float
    p50_s: float
    p99_s: float
    uses: tuple[QueryUse, ...]
    shards: Mapping[int, int]
    loops: tuple[QueryUse, ...]
    fans_out: bool

    @property
    def fingerprint(self) -> str:
        return self.query.fingerprint

    @property
    def mean_s(self) -> float:
        return self.query.total_s / max(self.query.executions, 1)


def is_loop(use: QueryUse) -> bool:
    """An N+1: in a tenth of the requests in which it runs it does so `REPEATED` times or more."""
    return use.repeating > 0 and use.repeating * 10 >= use.traces


def per_request(use: QueryUse) -> float:
    return use.traced / use.traces if use.traces else 0.0


ORDERS: Mapping[str, Callable[[Slow], float]] = {
    "total": lambda row: row.query.total_s,
    "p99": lambda row: row.p99_s,
    "calls": lambda row: row.query.executions,
    "n+1": lambda row: sum(use.traced for use in row.loops),
    "fan-out": lambda row: row.query.total_s,
}


def rank(uses: Iterable[QueryUse], *, by: str, keys: Mapping[str, str], bounds: tuple[float, ...]) -> list[Slow]:
    """The worst first. by: one of `ORDERS`; `n+1` and `fan-out` are of those alone. keys: module -> column that its rows are
    divided by, of the modules that declare one. bounds: of the buckets, in seconds."""
    of_query: dict[tuple[str, str], list[QueryUse]] = {}
    for use in uses:
        of_query.setdefault((use.module, use.fingerprint), []).append(use)
    total_s = sum(use.total_s for found in of_query.values() for use in found) or 1.0
    rows: list[Slow] = []
    for name, query in by_query(use for found in of_query.values() for use in found).items():
        of_calls = by_call(of_query[name])
        rows.append(
            Slow(
                query,
                query.total_s / total_s,
                quantile_s(query, 0.5, bounds),
                quantile_s(query, 0.99, bounds),
                tuple(of_calls),
                _shards(of_query[name]),
                tuple(use for use in of_calls if is_loop(use)),
                query.module in keys and fans_out(query, keys[query.module]),
            )
        )
    if by in ("n+1", "fan-out"):
        rows = [row for row in rows if (row.loops if by == "n+1" else row.fans_out)]
    return sorted(rows, key=ORDERS[by], reverse=True)


def _shards(uses: Iterable[QueryUse]) -> dict[int, int]:
    found: dict[int, int] = {}
    for use in sorted(uses, key=lambda use: use.shard):
        found[use.shard] = found.get(use.shard, 0) + use.executions
    return found


def fans_out(query: QueryUse, key: str) -> bool:
    """Whether the text compares the key with nothing. What cannot be read is given the benefit of the doubt."""
    reading = read(query.worst.text or query.text)
    if reading.problem or not (reading.wants or reading.inserted):
        return False
    return not any(key in want.equal for want in reading.wants) and not any(key in given for _, given in reading.inserted)


def _loop(use: QueryUse) -> str:
    """Whose loop it is: the call's own, or that of a module which makes the call for each of many."""
    call = use.call or "code outside of calls"
    often = f"{per_request(use):.0f} times in a request, {use.most} at most"
    if use.within * 2 >= use.repeating:
        return f"N+1: {call} runs it {often}; ask once for all of them: WHERE ... = ANY($1)"
    caller = max(use.callers, key=lambda name: use.callers[name])
    return f"N+1: {caller or 'code outside of modules'} makes the call {call} {often}; a call that takes all of them asks once"


def words(row: Slow) -> list[str]:
    """What is wrong with it, a sentence each."""
    found = [_loop(use) for use in row.loops]
    if row.fans_out:
        found.append("fans out: it does not compare the key with a value, so it asks every shard")
    if row.query.errors:
        found.append(f"failed {row.query.errors} of {row.query.executions} times")
    return found
