"""Tables that are named outside of SQL: Alembic's operations, SQLAlchemy's tables and foreign keys, Django's `db_table`."""

import ast
from collections.abc import Iterator

from ramet.check.facts import Statement, Table

_OPERATIONS = {
    "add_column": (0,),
    "alter_column": (0,),
    "drop_column": (0,),
    "drop_table": (0,),
    "rename_table": (0,),
    "batch_alter_table": (0,),
    "create_index": (1,),
    "create_unique_constraint": (1,),
    "create_check_constraint": (1,),
    "create_foreign_key": (1, 2),
}
"""Of Alembic's `op`, and which of their arguments are tables."""


def of_call(node: ast.Call, written: str) -> Iterator[Statement]:
    """written: the function, dotted."""
    owner, _, last = written.rpartition(".")
    if last == "ForeignKey":
        parts = _text(node, 0).split(".")
        if len(parts) in {2, 3} and all(part.isidentifier() and part.islower() for part in parts):
            yield Statement(node.lineno, (Table(parts[0] if len(parts) == 3 else "", parts[-2]),), (), "")
    elif (last == "create_table" and owner == "op") or (last == "Table" and len(node.args) > 1):
        yield from _made(node)
    elif owner == "op" and last in _OPERATIONS:
        named = tuple(Table(_schema(node), name) for position in _OPERATIONS[last] if (name := _text(node, position)))
        if named:
            yield Statement(node.lineno, named, (), "")


def of_class_body(node: ast.stmt) -> Iterator[Statement]:
    match node:
        case ast.Assign(targets=[ast.Name(id="__tablename__" | "db_table")], value=ast.Constant(value=str(name))):
            yield Statement(node.lineno, (), (Table("", name),), "")
        case _:
            return


def _made(node: ast.Call) -> Iterator[Statement]:
    if name := _text(node, 0):
        yield Statement(node.lineno, (), (Table(_schema(node), name),), "")


def _schema(node: ast.Call) -> str:
    for keyword in node.keywords:
        if keyword.arg in {"schema", "source_schema"} and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value or "")
    return ""


def _text(node: ast.Call, position: int) -> str:
    if position < len(node.args):
        argument = node.args[position]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return argument.value
    return ""
