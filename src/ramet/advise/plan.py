"""A plan of PostgreSQL as a tree of nodes, each with what it costs by itself.

A node's cost and time contain those of the nodes below it. Cost: the inner side of a nested loop is paid once for each outer
row; under a LIMIT less than the whole of it. So the cost of the tree is handed down: a node's nodes below take at most what it
has, and what they leave is its own. Time: what was measured, times the loops. Source: PostgreSQL 18, 14.1, Using EXPLAIN.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "Sort Key",
    "Group Key",
    "One-Time Filter",
)


@dataclass(frozen=True, slots=True)
class Node:
    """self_cost: in the planner's units. rows: expected, of one loop. actual_rows, self_ms: None where it did not run. raw: as
    the server told it."""

    kind: str
    relation: str
    index: str
    rows: float
    self_cost: float
    actual_rows: float | None
    loops: float
    self_ms: float | None
    conditions: tuple[tuple[str, str], ...]
    children: "tuple[Node, ...]"
    raw: Mapping[str, Any]

    @property
    def title(self) -> str:
        using = f" by {self.index}" if self.index else ""
        return f"{self.kind}{using}{f' on {self.relation}' if self.relation else ''}"

    def walk(self) -> "Iterator[Node]":
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Plan:
    """cost: of the whole. took_ms: None where it did not run. expensive: the node whose own part is the largest."""

    root: Node
    cost: float
    took_ms: float | None
    expensive: Node

    def share(self, node: Node) -> float:
        """Of the whole, by time where it ran."""
        if node.self_ms is not None and self.took_ms is not None:
            return min(node.self_ms / self.took_ms, 1.0) if self.took_ms else 0.0
        return node.self_cost / self.cost if self.cost else 0.0


def parse(told: Mapping[str, Any]) -> Plan:
    """told: one item of what EXPLAIN (FORMAT JSON) answers."""
    top = told["Plan"]
    root = _node(top, float(top["Total Cost"]))
    took = told.get("Execution Time", top.get("Actual Total Time"))
    plan = Plan(root, float(top["Total Cost"]), None if took is None else float(took), root)
    return Plan(plan.root, plan.cost, plan.took_ms, max(root.walk(), key=plan.share))


def _node(raw: Mapping[str, Any], cost: float) -> Node:
    below = list(raw.get("Plans", ()))
    costs = [float(each["Total Cost"]) * _times(raw, each, below) for each in below]
    scale = min(1.0, cost / sum(costs)) if sum(costs) else 1.0
    children = tuple(_node(each, its * scale) for each, its in zip(below, costs, strict=True))
    loops = float(raw.get("Actual Loops", 1))
    ran = "Actual Total Time" in raw
    return Node(
        kind=_kind(raw),
        relation=raw.get("Relation Name") or raw.get("CTE Name") or raw.get("Function Name") or "",
        index=raw.get("Index Name", ""),
        rows=float(raw.get("Plan Rows", 0)),
        self_cost=max(cost - sum(costs) * scale, 0.0),
        actual_rows=float(raw["Actual Rows"]) if "Actual Rows" in raw else None,
        loops=loops,
        self_ms=max(_total_ms(raw) - sum(map(_total_ms, below)), 0.0) if ran else None,
        conditions=tuple((name, _words(raw[name])) for name in _CONDITIONS if name in raw),
        children=children,
        raw=raw,
    )


def _kind(raw: Mapping[str, Any]) -> str:
    kind = raw["Node Type"]
    if kind == "ModifyTable":
        kind = raw.get("Operation", kind)
    join = raw.get("Join Type", "Inner")
    return kind if join == "Inner" else f"{kind} ({join.lower()})"


def _times(raw: Mapping[str, Any], child: Mapping[str, Any], siblings: list[Mapping[str, Any]]) -> float:
    """How often the planner counts the cost of a node below."""
    if raw["Node Type"] == "Nested Loop" and child.get("Parent Relationship") == "Inner":
        outer = next((each for each in siblings if each.get("Parent Relationship") == "Outer"), None)
        return max(float(outer["Plan Rows"]), 1.0) if outer else 1.0
    return 1.0


def _total_ms(raw: Mapping[str, Any]) -> float:
    return float(raw.get("Actual Total Time", 0.0)) * float(raw.get("Actual Loops", 1))


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
