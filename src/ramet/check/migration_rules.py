"""Ramet's own rules for the SQL of a migration, by sqlglot: what a general linter cannot know, since it knows no phases, modules
and keys. A rule is a function from a statement to what is wrong with it. Pure.

A statement that sqlglot passes through, such as a DO block, is not looked into.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ramet.data.revisions import Phase

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it warns of what it passes through
_SERIALS = frozenset({"SERIAL", "SMALLSERIAL", "BIGSERIAL"})


@dataclass(frozen=True, slots=True)
class Setting:
    """module: whose migration it is. key: of its database's rows, None for none. phase: of the migration. made: tables that the
    same migration has made, in lower case."""

    module: str
    key: str | None
    phase: Phase
    made: Collection[str] = ()

    @property
    def placed(self) -> str:
        return f"rows of `{self.module}` are placed by {self.key}"


@dataclass(frozen=True, slots=True)
class Fault:
    """rule: its name, by which it is waived. message: what is wrong. safe: the form that is not."""

    rule: str
    statement: str
    message: str
    safe: str


_Found = Iterator[tuple[str, str]]
"""What is wrong, and the safe form."""


def faults(statements: Iterable[str], *, module: str, key: str | None, phase: Phase) -> list[Fault]:
    made: set[str] = set()
    found: list[Fault] = []
    for text in statements:
        for statement in _parsed(text):
            setting = Setting(module, key, phase, made)
            for name, rule in RULES.items():
                found += [Fault(name, _line(statement, text), message, safe) for message, safe in rule(statement, setting)]
            if isinstance(statement, exp.Create) and statement.kind == "TABLE":
                made.add(_table(statement))
    return found


def _parsed(text: str) -> Iterator[exp.Expr]:
    try:
        yield from (each for each in sqlglot.parse(text, dialect="postgres") if isinstance(each, exp.Expr))
    except SqlglotError:
        return  # squawk has PostgreSQL's own grammar, and says where it is wrong


def _contract_in_expand(statement: exp.Expr, setting: Setting) -> _Found:
    """Whatever runs still reads it."""
    if setting.phase is Phase.CONTRACT or _table(statement) in setting.made:
        return
    safe = 'a migration with phase = "contract", which waits until no version that runs needs it'
    if isinstance(statement, exp.Drop) and statement.args.get("kind") in {"TABLE", "VIEW", "SCHEMA", "TYPE"}:
        yield f"it drops a {str(statement.args['kind']).lower()}, and is no contract", safe
    for action in _actions(statement):
        match action:
            case exp.Drop() if action.args.get("kind") == "COLUMN":
                yield "it drops a column, and is no contract", safe
            case exp.AlterRename() | exp.RenameColumn():
                yield "it renames in place, and is no contract", f"ramet migrate new {setting.module} --rename TABLE.OLD:NEW"
            case exp.AlterColumn() if action.args.get("dtype") is not None:
                yield (
                    "it changes a type in place, and is no contract",
                    f"ramet migrate new {setting.module} --column-type TABLE.COLUMN:TYPE",
                )
            case exp.AlterColumn() if action.args.get("allow_null") is False:
                yield (
                    "it makes a column NOT NULL, and is no contract",
                    f"ramet migrate new {setting.module} --not-null TABLE.COLUMN --using VALUE",
                )
            case _:
                pass


def _rows_at_once(statement: exp.Expr, setting: Setting) -> _Found:
    """All rows that it changes are locked until the migration commits."""
    target = statement.this if isinstance(statement, (exp.Update, exp.Delete)) else None
    is_copy = isinstance(statement, exp.Insert) and isinstance(statement.expression, exp.Select)
    if isinstance(target, exp.Table) and target.name.lower() not in setting.made:
        yield "it changes rows in one transaction", 'backfill(...) in a migration with phase = "backfill"'
    elif is_copy:
        yield "it copies rows in one transaction", "a table of its own with a dual write, filled by a job of the application"


def _key_in_primary_key(statement: exp.Expr, setting: Setting) -> _Found:
    for columns, is_primary in _keys(statement):
        if setting.key is not None and is_primary and columns[:1] != [setting.key]:
            yield (
                f"the primary key is ({', '.join(columns)}); {setting.placed}, and a row that moves is found by it",
                f"PRIMARY KEY ({', '.join([setting.key, *(each for each in columns if each != setting.key)])})",
            )
    if setting.key is not None and isinstance(statement, exp.Create) and statement.kind == "TABLE":
        schema = statement.this
        defined = {each.name.lower() for each in schema.find_all(exp.ColumnDef)} if isinstance(schema, exp.Schema) else set[str]()
        if defined and setting.key not in defined:
            yield (
                f"the table has no column {setting.key}; {setting.placed}",
                f"{setting.key} in every table of the module, first in its primary key",
            )


def _key_in_unique(statement: exp.Expr, setting: Setting) -> _Found:
    for columns, is_primary in _keys(statement):
        if setting.key is not None and not is_primary and setting.key not in columns:
            yield (
                f"({', '.join(columns)}) would be unique on each shard alone; {setting.placed}",
                f"UNIQUE ({', '.join([setting.key, *columns])}), or a table that has {columns[0]} as its key",
            )


def _no_sequence(statement: exp.Expr, setting: Setting) -> _Found:
    if setting.key is None:
        return
    safe = "uuid with a value from the application, or uuidv7() from PostgreSQL 18 on"
    for column in statement.find_all(exp.ColumnDef):
        kind = column.args.get("kind")
        is_serial = isinstance(kind, exp.DataType) and kind.this.name in _SERIALS
        is_counted = any(
            isinstance(each.args.get("kind"), exp.GeneratedAsIdentityColumnConstraint) or "NEXTVAL(" in each.sql().upper()
            for each in column.find_all(exp.ColumnConstraint)
        )
        if is_serial or is_counted:
            yield f"{column.name} counts on each shard by itself, so two rows would get one number", safe


def _key_stays_home(statement: exp.Expr, setting: Setting) -> _Found:
    for reference in statement.find_all(exp.Reference):
        table = reference.find(exp.Table)
        if table is not None and table.db and table.db.lower() != setting.module.lower():
            yield (
                f"a foreign key to {table.db}.{table.name} holds `{setting.module}` in the database of another module",
                "no constraint: a call or an event of that module tells what is there",
            )


Rule = Callable[[exp.Expr, Setting], _Found]
RULES: dict[str, Rule] = {
    "contract-in-expand": _contract_in_expand,
    "rows-at-once": _rows_at_once,
    "key-in-primary-key": _key_in_primary_key,
    "key-in-unique": _key_in_unique,
    "no-sequence": _no_sequence,
    "foreign-key-at-home": _key_stays_home,
}


def _keys(statement: exp.Expr) -> Iterator[tuple[list[str], bool]]:
    """Columns of each primary key and unique constraint or index that a statement makes, and whether it is a primary key."""
    if isinstance(statement, exp.Create) and statement.kind == "INDEX":
        parameters = statement.this.args.get("params")
        if statement.args.get("unique") and parameters is not None:
            yield [each.this.sql().lower().strip('"') for each in parameters.args.get("columns") or ()], False
        return
    for column in statement.find_all(exp.ColumnDef):
        for constraint in column.find_all(exp.ColumnConstraint):
            kind = constraint.args.get("kind")
            if isinstance(kind, (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint)):
                yield [column.name.lower()], isinstance(kind, exp.PrimaryKeyColumnConstraint)
    for primary in statement.find_all(exp.PrimaryKey):
        yield _names(primary.expressions), True
    for unique in statement.find_all(exp.UniqueColumnConstraint):
        if isinstance(unique.this, exp.Schema):
            yield _names(unique.this.expressions), False


def _names(columns: Iterable[exp.Expr]) -> list[str]:
    return [each.name.lower() for each in columns]


def _actions(statement: exp.Expr) -> Iterable[exp.Expr]:
    return statement.args.get("actions") or () if isinstance(statement, exp.Alter) else ()


def _table(statement: exp.Expr) -> str:
    table = statement.find(exp.Table)
    return table.name.lower() if table is not None else ""


def _line(statement: exp.Expr, text: str) -> str:
    """The statement on one line; the text itself where it is the only one."""
    return " ".join((statement.sql(dialect="postgres") if ";" in text.rstrip("; \n") else text).split())
