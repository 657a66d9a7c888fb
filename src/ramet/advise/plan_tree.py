"""A plan drawn as a tree, a line for each node: its share of the whole, its rows, what it does. The expensive one is marked."""

from collections.abc import Iterator

from ramet.advise.plan import Node, Plan

MARK = "  <-- most of it"


def draw(plan: Plan, *, width: int = 110) -> list[str]:
    """Lines. rows: that came, and in brackets how many were expected where those are others."""
    measured = plan.took_ms is not None
    lines = [f"{'share':>5}  {'ms' if measured else 'cost':>9}  {'rows':>17}"]
    for node, own, below in _walk(plan.root, "", ""):
        spent = node.self_ms if node.self_ms is not None else node.self_cost
        mark = MARK if node is plan.expensive and plan.root.children else ""
        lines.append(f"{plan.share(node):>5.0%}  {_number(spent):>9}  {_rows(node):>17}  {own}{node.title}{mark}")
        for name, text in node.conditions:
            lines.append(_cut(f"{'':35}  {below}  {_NAMES.get(name, name.lower())} {_plain(text)}", width))
    return lines


_NAMES = {
    "Index Cond": "where",
    "Recheck Cond": "again where",
    "Hash Cond": "on",
    "Merge Cond": "on",
    "Join Filter": "on",
    "Filter": "only where",
    "One-Time Filter": "only if",
    "Sort Key": "by",
    "Group Key": "by",
}


def _walk(node: Node, own: str, below: str) -> Iterator[tuple[Node, str, str]]:
    """(node, what stands before its title, what stands before the lines of its conditions)"""
    rail = "│ " if node.children else "  "
    yield node, own, below + rail
    for index, child in enumerate(node.children):
        is_last = index == len(node.children) - 1
        yield from _walk(child, below + ("└─ " if is_last else "├─ "), below + ("   " if is_last else "│  "))


def _rows(node: Node) -> str:
    if node.actual_rows is None:
        return _number(node.rows)
    came = _number(node.actual_rows * node.loops)
    expected = _number(node.rows * node.loops)
    return came if came == expected else f"{came} ({expected})"


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def _plain(text: str) -> str:
    """Without the parentheses around all of it."""
    if text.startswith("(") and text.endswith(")"):
        depth = 0
        for index, letter in enumerate(text):
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and index < len(text) - 1:
                return text
        return text[1:-1]
    return text


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 4] + " ..."
