"""What a migration of a module may use beside Alembic's `op`: changes of a table that two versions of the code are at work on.

`ramet migrate new` writes migrations that use these. Each but `backfill` executes SQL by `op`; see `ramet.data.dual_writes`.

Not here: running migrations (`ramet.data.migrations`).
"""

from collections.abc import Iterable, Mapping, Sequence

from ramet.data import dual_writes
from ramet.data.backfilling import Backfill, want


def backfill(table: str, *, set: Mapping[str, str], where: str = "", key: Sequence[str] = ("id",)) -> None:  # noqa: A002  (SQL's word)
    """Fill in columns of all rows, in batches outside of a transaction: alone in a migration with `phase = "backfill"`.

    set: column -> SQL expression over the row's columns. key: of a unique index, in its order.
    """
    want(Backfill(table=table, set=dict(set), where=where, key=tuple(key)))


def add_twin(table: str, old: str, new: str) -> None:
    """Add a column of the same type as `old`, if it is not there."""
    _execute([dual_writes.add_twin(table, old, new)])


def dual_write(table: str, old: str, new: str, *, up: str = "", down: str = "") -> None:
    """Keep two columns equal, whichever a writer knows. up: `new` as an expression over the row's columns, default `old` itself;
    down: `old`, default `new` itself. A change of both types is converted as an assignment is."""
    _execute(dual_writes.dual_write(table, old, new, up or _column(old), down or _column(new)))


def drop_dual_write(table: str, new: str) -> None:
    _execute(dual_writes.drop_dual_write(table, new))


def fill(table: str, column: str, value: str) -> None:
    """Give a value to a column that a writer leaves NULL: an expression over the row's columns."""
    _execute(dual_writes.fill(table, column, value))


def drop_fill(table: str, column: str) -> None:
    _execute(dual_writes.drop_fill(table, column))


def carry_not_null(table: str, old: str, new: str) -> None:
    """Where `old` may not be NULL, `new` may not be from here on. In a migration with `autocommit = True`."""
    _execute(dual_writes.carry_not_null(table, old, new))


def check_not_null(table: str, column: str) -> None:
    """No row may have NULL there from here on, and none has. In a migration with `autocommit = True`."""
    _execute(dual_writes.check_not_null(table, column))


def drop_check(table: str, column: str) -> None:
    """The way back of `check_not_null`."""
    _execute([dual_writes.drop_check(table, column)])


def set_not_null(table: str, column: str) -> None:
    """After `check_not_null`, whose check goes. In a migration with `phase = "contract"`."""
    _execute([dual_writes.set_not_null(table, column)])


def take_over(table: str, old: str, new: str) -> None:
    """`new` gets NOT NULL and the default of `old`; the dual write and `old` go. Refused while `old` is in indexes or constraints
    that `new` is not in. Its place is a migration with `phase = "contract"`."""
    _execute(dual_writes.take_over(table, old, new))


def _column(name: str) -> str:
    return dual_writes.quote(name)


def _execute(statements: Iterable[str]) -> None:
    from ramet.data import alembic  # where a migration runs it is loaded already; elsewhere this module stays light

    for statement in statements:
        alembic.execute(statement)
