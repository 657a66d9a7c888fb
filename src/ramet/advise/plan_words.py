"""What a plan says in words: the red flags of the field, each with what to do. The thresholds are guesses, but for those that
are named: they divide what is worth a sentence from what is not."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ramet.advise.plan import Node, Plan

MANY_ROWS = 10_000
THROWN_AWAY = 0.9
MISJUDGED = 100.0
MANY_LOOPS = 1_000
MANY_BLOCKS = 1_000
"""8 MB."""
WORTH_A_WORD = 0.05
"""Share of the whole, with the nodes below it, under which a node is left alone."""
_FUNCTION = re.compile(r"\b(\w+)\(\(?(\w+)\)?(?:::[\w ]+)?\)\s*(?:=|<|>|~~)")
_CASTS = {"any", "all", "row", "array", "and", "or", "not", "in"}


@dataclass(frozen=True, slots=True)
class Flag:
    """what: that was seen. do: what to do about it."""

    what: str
    do: str


def flags(plan: Plan, sizes: Mapping[str, float]) -> list[Flag]:
    """The ones of the expensive nodes first. sizes: rows of each table, by the statistics."""
    found: dict[Flag, None] = {}
    for node in sorted(plan.root.walk(), key=plan.share, reverse=True):
        if sum(map(plan.share, node.walk())) >= WORTH_A_WORD or node is plan.expensive:
            for look in _LOOKS:
                found.update(dict.fromkeys(look(node, sizes)))
    return list(found)


def _reads_all(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:
    condition = dict(node.conditions).get("Filter")
    if node.kind != "Seq Scan" or condition is None:
        return
    removed = _measured(node, "Rows Removed by Filter")
    kept = (node.actual_rows if removed is not None and node.actual_rows is not None else node.rows) or 0.0
    read = kept + removed if removed is not None else sizes.get(node.relation, 0.0)
    if read >= MANY_ROWS and (read - kept) / read >= THROWN_AWAY:
        yield Flag(
            f"it reads all {read:,.0f} rows of {node.relation} and keeps {kept:,.0f}",
            "an index on what it filters by: ramet data advise",
        )


def _filters_behind_an_index(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:  # noqa: ARG001  (of `_LOOKS`)
    removed = _measured(node, "Rows Removed by Filter")
    if not node.index or removed is None or node.actual_rows is None:
        return
    read = (removed + node.actual_rows) * node.loops
    if read >= MANY_ROWS and removed / (removed + node.actual_rows) >= THROWN_AWAY:
        yield Flag(
            f"{node.index} finds {read:,.0f} rows of {node.relation}, of which {node.actual_rows * node.loops:,.0f} are wanted",
            "an index with the column of the filter too: ramet data advise",
        )


def _misjudges(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:  # noqa: ARG001
    if node.actual_rows is None or node.children:
        return
    ratio = max(node.actual_rows, 1.0) / max(node.rows, 1.0)
    if max(ratio, 1 / ratio) >= MISJUDGED:
        yield Flag(
            f"it expected {node.rows:,.0f} rows of {node.relation or node.kind} and met {node.actual_rows:,.0f}",
            f"ANALYZE {node.relation}; where that does not help, CREATE STATISTICS on columns that go together",
        )


def _spills(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:  # noqa: ARG001
    if node.raw.get("Sort Space Type") == "Disk":
        yield Flag(
            f"it sorts {node.raw['Sort Space Used'] / 1024:,.1f} MB on disk",
            "an index in this order, fewer rows or columns, or more work_mem",
        )
    if node.raw.get("Hash Batches", 1) > 1:
        yield Flag(f"its hash table goes to disk in {node.raw['Hash Batches']} parts", "fewer rows, or more work_mem")


def _loops(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:  # noqa: ARG001
    if not node.kind.startswith("Nested Loop") or len(node.children) < 2:
        return
    outer, inner = node.children[:2]
    times = inner.loops if inner.actual_rows is not None else outer.rows
    if times >= MANY_LOOPS:
        yield Flag(
            f"{inner.title} is done {times:,.0f} times, once for each row of {outer.title}",
            "fewer rows on the outer side first; if they are misjudged, ANALYZE",
        )


def _fetches_the_heap(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:  # noqa: ARG001
    fetches = node.raw.get("Heap Fetches", 0)
    if fetches >= MANY_LOOPS and fetches >= 0.1 * max((node.actual_rows or 0) * node.loops, 1):
        yield Flag(
            f"{node.index} alone would do, but {fetches:,} rows were looked up in {node.relation} too", f"VACUUM {node.relation}"
        )


def _reads_from_disk(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:  # noqa: ARG001
    if node.children:
        return
    read, hit = node.raw.get("Shared Read Blocks", 0), node.raw.get("Shared Hit Blocks", 0)
    if read >= MANY_BLOCKS and read > hit:
        yield Flag(
            f"{read / 128:,.0f} MB of {node.relation} came from outside of PostgreSQL's memory, {hit / 128:,.0f} MB from within",
            "read less of it, or give shared_buffers more",
        )


def _wraps(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:
    condition = dict(node.conditions).get("Filter", "")
    if node.kind != "Seq Scan" or sizes.get(node.relation, 0.0) < MANY_ROWS:
        return
    for function, column in _FUNCTION.findall(condition):
        if function.lower() not in _CASTS:
            yield Flag(
                f"it compares {function}({column}), which an index on {column} does not know",
                f"CREATE INDEX ON {node.relation} ({function}({column})), or compare the column itself",
            )


def _skips(node: Node, sizes: Mapping[str, float]) -> Iterator[Flag]:  # noqa: ARG001
    if node.kind != "Limit" or node.actual_rows is None or not node.children:
        return
    came = node.children[0].actual_rows or 0.0
    if came >= MANY_LOOPS and came >= 10 * max(node.actual_rows, 1.0):
        yield Flag(
            f"{came:,.0f} rows are made for the {node.actual_rows:,.0f} that are wanted: an OFFSET",
            "begin where the last page ended: WHERE (order) > ($1) instead of OFFSET",
        )


_Look = Callable[[Node, Mapping[str, float]], Iterator[Flag]]
_LOOKS: tuple[_Look, ...] = (
    _reads_all,
    _filters_behind_an_index,
    _wraps,
    _misjudges,
    _spills,
    _loops,
    _skips,
    _fetches_the_heap,
    _reads_from_disk,
)


def _measured(node: Node, name: str) -> float | None:
    return float(node.raw.get(name, 0)) if node.actual_rows is not None else None
