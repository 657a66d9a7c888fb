"""What a query asks of each table, by sqlglot: columns compared with values, columns that tables are joined by, the order wanted.

Only conditions that all rows must meet are read: those of AND, in WHERE and in JOIN. Below an OR nothing is known, and a column
inside of a function is not the column.
"""

import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# It warns of statements that it only passes through. Those come out as a problem here.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

MAX_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Want:
    """Of one table. equal: columns that must equal a value, or one of a list. ranges: compared with a value in another way.
    order: columns that the rows are ordered by, if they are all this table's. links: (column, other table, its column) that must
    be equal. wrapped: columns compared only inside of a function or cast."""

    table: str
    equal: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    links: tuple[tuple[str, str, str], ...] = ()
    wrapped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """verb: select, insert, update, delete, or empty. wants: a table once for each time that it is named. inserted: table and the
    columns that an INSERT gives. problem: why it could not be read."""

    verb: str
    wants: tuple[Want, ...] = ()
    inserted: tuple[tuple[str, tuple[str, ...]], ...] = ()
    problem: str = ""


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    if len(text) > MAX_CHARACTERS:
        return Reading("", problem=f"it has more than {MAX_CHARACTERS} characters")
    try:
        parsed = [statement for statement in sqlglot.parse(text, dialect="postgres") if statement is not None]
    except (SqlglotError, RecursionError) as error:
        return Reading("", problem=f"sqlglot: {str(error).partition(chr(10))[0][:160]}")
    if len(parsed) != 1:
        return Reading("", problem=f"it is {len(parsed)} statements")
    statement = parsed[0]
    verb = type(statement).__name__.lower()
    if verb not in {"select", "insert", "update", "delete", "union", "except", "intersect"}:
        return Reading("", problem=f"sqlglot does not read this {statement.key.upper()} statement")
    made = {cte.alias_or_name.lower() for cte in statement.find_all(exp.CTE)}
    wants = tuple(want for scope in statement.find_all(exp.Select, exp.Update, exp.Delete) for want in _wants(scope, made))
    inserted = tuple(_inserted(insert) for insert in statement.find_all(exp.Insert))
    return Reading(verb if verb in {"insert", "update", "delete"} else "select", wants, inserted)


@dataclass(slots=True)
class _Scope:
    """names: alias -> table, of the tables that the scope names itself."""

    names: dict[str, str]
    equal: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    ranges: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    wrapped: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    links: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])

    def owner(self, column: exp.Column) -> str:
        """The alias whose column it is; empty where that is not known."""
        named = _folded(column.args.get("table"))
        if named:
            return named if named in self.names else ""
        return next(iter(self.names)) if len(self.names) == 1 else ""

    def note(self, into: dict[str, dict[str, None]], column: exp.Column) -> None:
        if owner := self.owner(column):
            into.setdefault(owner, {})[_folded(column.this)] = None


def _wants(scope: exp.Expr, made: set[str]) -> Iterator[Want]:
    tables = [table for table in _tables(scope) if _folded(table.this)]
    names = {(_folded(table.args.get("alias")) or _folded(table.this)): _folded(table.this) for table in tables}
    found = _Scope(names)
    for condition in _conditions(scope):
        _take(found, condition)
    order = _order(scope, found)
    for alias, table in names.items():
        if table in made:
            continue
        links = [(own, names[other], column) for one, own, other, column in found.links if one == alias]
        links += [(column, names[one], own) for one, own, other, column in found.links if other == alias]
        yield Want(
            table,
            tuple(found.equal.get(alias, ())),
            tuple(found.ranges.get(alias, ())),
            order if len(names) == 1 else (),
            tuple(links),
            tuple(found.wrapped.get(alias, ())),
        )


def _tables(scope: exp.Expr) -> Iterator[exp.Table]:
    if isinstance(scope, (exp.Update, exp.Delete)) and isinstance(scope.this, exp.Table):
        yield scope.this
        yield from (each.this for each in scope.this.args.get("joins") or () if isinstance(each.this, exp.Table))
    source = scope.args.get("from_")
    joined = [*(scope.args.get("joins") or ()), *(source.this.args.get("joins") or () if source else ())]
    for each in [source.this if source else None, *(scope.args.get("using") or ()), *(join.this for join in joined)]:
        if isinstance(each, exp.Table):
            yield each


def _conditions(scope: exp.Expr) -> Iterator[exp.Expr]:
    """What must hold. An outer join's condition holds for the table that it brings, which is what is asked here."""
    source = scope.args.get("from_")
    joins = [*(scope.args.get("joins") or ()), *(source.this.args.get("joins") or () if source else ())]
    for each in [scope.args.get("where"), *(join.args.get("on") for join in joins)]:
        condition = each.this if isinstance(each, exp.Where) else each
        if isinstance(condition, exp.Expr):
            yield from condition.flatten() if isinstance(condition, exp.And) else (condition,)


def _take(found: _Scope, condition: exp.Expr) -> None:
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.And):
        for each in condition.flatten():
            _take(found, each)
        return
    sides = [_bare(side) for side in (condition.this, condition.args.get("expression"))]
    if isinstance(condition, exp.EQ):
        match sides:
            case [exp.Column() as one, exp.Column() as other]:
                _link(found, one, other)
            case [exp.Column() as column, value] | [value, exp.Column() as column] if isinstance(value, exp.Expr):
                if _is_value(value):
                    found.note(found.equal, column)
            case _:
                _wrap(found, condition)
    elif isinstance(condition, exp.In) and isinstance(sides[0], exp.Column):
        found.note(found.equal, sides[0])
    elif isinstance(condition, (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)):
        columns = [side for side in sides if isinstance(side, exp.Column)]
        if len(columns) == 1:
            found.note(found.ranges, columns[0])


def _link(found: _Scope, one: exp.Column, other: exp.Column) -> None:
    left, right = found.owner(one), found.owner(other)
    if left and right and left != right:
        found.links.append((left, _folded(one.this), right, _folded(other.this)))
    else:  # with a column of the query around this one, which is a value here
        for column, owner in ((one, left), (other, right)):
            if owner and not (left and right):
                found.note(found.equal, column)


def _wrap(found: _Scope, condition: exp.Expr) -> None:
    for side in (condition.this, condition.args.get("expression")):
        if isinstance(side, exp.Func):
            for column in side.find_all(exp.Column):
                found.note(found.wrapped, column)


def _bare(side: object) -> object:
    """`= ANY ($1)` is a comparison with a list."""
    while isinstance(side, (exp.Paren, exp.Any)):
        side = side.this
    return side


def _is_value(side: exp.Expr) -> bool:
    """Known before the row is read: parameters, literals, functions of them."""
    return side.find(exp.Column, exp.Query) is None or isinstance(side, exp.Subquery)


def _order(scope: exp.Expr, found: _Scope) -> tuple[str, ...]:
    order = scope.args.get("order")
    columns: list[str] = []
    for each in order.expressions if isinstance(order, exp.Order) else ():
        column = each.this if isinstance(each, exp.Ordered) else each
        if not isinstance(column, exp.Column) or not found.owner(column):
            return ()
        columns.append(_folded(column.this))
    return tuple(columns)


def _inserted(insert: exp.Insert) -> tuple[str, tuple[str, ...]]:
    target = insert.this
    if isinstance(target, exp.Schema):
        return _folded(target.this.this), tuple(_folded(each) for each in target.expressions)
    return (_folded(target.this) if isinstance(target, exp.Table) else ""), ()


def _folded(identifier: object) -> str:
    """Unquoted names are lower case, as PostgreSQL has them."""
    if isinstance(identifier, exp.TableAlias):
        identifier = identifier.this
    if not isinstance(identifier, exp.Identifier):
        return ""
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()
