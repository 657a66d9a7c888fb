"""What an expression is, as far as it can be known without running it: a dotted name, a text, a value that can change."""

import ast
from collections.abc import Mapping

from ramet.check.sql import GAP

_MUTABLE = {
    "dict": "dict",
    "list": "list",
    "set": "set",
    "bytearray": "bytearray",
    "defaultdict": "dict",
    "OrderedDict": "dict",
    "WeakKeyDictionary": "dict",
    "WeakValueDictionary": "dict",
    "ChainMap": "dict",
    "Counter": "counter",
    "count": "counter",
    "deque": "list",
    "WeakSet": "set",
}
"""Constructors, and the word for what they make."""


def dotted(node: ast.expr) -> str:
    """`a.b.c` of nested attributes of a name; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def within(node: ast.expr) -> ast.expr:
    """`cache` of `cache[key][0]`."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node


def text_of(node: ast.expr, known: Mapping[str, str]) -> str | None:
    """The text that an expression makes, with a gap for each part that is only known when it runs. None: not a text.

    known: top-level names with their texts.
    """
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name)
        case ast.JoinedStr(values=values):
            return "".join(_part(value, known) for value in values)
        case ast.BinOp(op=ast.Add()):
            return _sum(node, known)
        case ast.BinOp(op=ast.Mod(), left=left):
            return text_of(left, known)
        case ast.Call(func=ast.Attribute(attr="format", value=value)):
            text = text_of(value, known)
            return None if text is None else _formatted(text)
        case _:
            return None


def _part(value: ast.expr, known: Mapping[str, str]) -> str:
    inner = value.value if isinstance(value, ast.FormattedValue) else value
    text = text_of(inner, known)
    return GAP if text is None else text


def _sum(node: ast.BinOp, known: Mapping[str, str]) -> str | None:
    """From left to right in a loop: a text may be the sum of hundreds."""
    parts: list[str | None] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
        parts.append(text_of(left.right, known))
        left = left.left
    parts.append(text_of(left, known))
    if all(part is None for part in parts):
        return None
    return "".join(GAP if part is None else part for part in reversed(parts))


def _formatted(text: str) -> str:
    """Each `{...}` is a gap, `{{` is a brace."""
    made: list[str] = []
    rest = text.replace("{{", "\1").replace("}}", "\2")
    while (start := rest.find("{")) >= 0 and (end := rest.find("}", start)) >= 0:
        made += [rest[:start], GAP]
        rest = rest[end + 1 :]
    return "".join([*made, rest]).replace("\1", "{").replace("\2", "}")


def mutable_kind(node: ast.expr | None) -> str | None:
    """`dict`, `list`, `set`, `counter`, ... for a value that can change in place, or that is counted up. None for others."""
    match node:
        case ast.Dict() | ast.DictComp():
            return "dict"
        case ast.List() | ast.ListComp():
            return "list"
        case ast.Set() | ast.SetComp():
            return "set"
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return "counter"
        case ast.Call(func=func):
            return _MUTABLE.get(dotted(func).rpartition(".")[2])
        case _:
            return None
