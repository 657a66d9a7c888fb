"""A driver's error as one of ours, by its SQLSTATE (PostgreSQL, appendix A)."""

import re
from typing import Any

from ramet.data import driver, errors
from ramet.data.errors import DatabaseError

_CONSTRAINTS: dict[str, type[errors.ConstraintViolation]] = {
    "23505": errors.UniqueViolation,
    "23503": errors.ForeignKeyViolation,
    "23502": errors.NotNullViolation,
    "23514": errors.CheckViolation,
    "23P01": errors.ExclusionViolation,
}
_OTHERS: dict[str, type[DatabaseError]] = {
    "40001": errors.TransactionConflict,
    "40P01": errors.TransactionConflict,
    "25P02": errors.TransactionAborted,
    "42501": errors.InsufficientPrivilege,
    "25006": errors.ReadOnly,
    "55P03": errors.LockNotAvailable,
    "RM001": errors.Moved,
}
_UNAVAILABLE = ("08", "57P", "53")
"""Connection exceptions, the server shutting down or starting, out of connections, memory or disk."""

_GONE = re.compile(r"connection (?:is|was) closed|connection lost", re.IGNORECASE)


def ours(error: BaseException, *, may_have_run: bool = False, is_closed: bool = False) -> BaseException:
    """One of `ramet.data.errors`, or the error itself where it is not the driver's. Chaining is the caller's business.

    is_closed: the connection is, by now; then what the driver says of its own state is but a consequence.
    """
    if isinstance(error, driver.InvalidCachedStatementError):
        return errors.SchemaChanged(_text(error), sqlstate="0A000", hint="a migration has changed the table; run the block again")
    if isinstance(error, driver.ConnectionDoesNotExistError):
        return unavailable(error, may_have_run=may_have_run)
    if isinstance(error, driver.PostgresError):
        return _refusal(error, may_have_run)
    if isinstance(error, driver.OutdatedSchemaCacheError):
        return errors.SchemaChanged(
            _text(error), may_have_run=may_have_run, hint="a migration has changed a type; run the block again"
        )
    if isinstance(error, (driver.InterfaceError, driver.InternalClientError)):
        if is_closed or _GONE.search(str(error)):
            return unavailable(error, may_have_run=may_have_run)
        return errors.StatementRefused(_text(error))
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return unavailable(error, may_have_run=may_have_run)
    return error


def unavailable(error: BaseException, *, may_have_run: bool = False) -> errors.DatabaseUnavailable:
    return errors.DatabaseUnavailable(
        f"the connection to the database was lost: {_text(error)}",
        sqlstate=getattr(error, "sqlstate", None) or "",
        may_have_run=may_have_run,
    )


def _refusal(error: Any, may_have_run: bool) -> DatabaseError:
    state: str = error.sqlstate or ""
    message, detail = _text(error), error.detail or ""
    if state[:2] == "23":
        kind = _CONSTRAINTS.get(state, errors.ConstraintViolation)
        return kind(
            message,
            sqlstate=state,
            detail=detail,
            constraint=error.constraint_name or "",
            table=error.table_name or "",
            column=error.column_name or "",
        )
    if state.startswith(_UNAVAILABLE):
        return errors.DatabaseUnavailable(message, sqlstate=state, detail=detail, may_have_run=may_have_run)
    kind = _OTHERS.get(state, errors.StatementRefused)
    return kind(message, sqlstate=state, detail=detail, hint=_hint(kind, error))


def _hint(kind: type[DatabaseError], error: Any) -> str | None:
    if kind is errors.ReadOnly:
        return "a block of `db.read()` cannot write: use `db.write()`"
    if kind is errors.InsufficientPrivilege:
        return "a module reaches its own schema only: ask the other module by a call"
    if kind is errors.TransactionConflict:
        return "run it again, or hand the block to `db.run(...)`, which does"
    if kind is errors.Moved:
        return "run the block again, or hand it to `db.run(...)`, which does, at the new owner"
    return error.hint


def _text(error: BaseException) -> str:
    """The server's message without its DETAIL, which may hold values of rows."""
    return str(error.args[0]) if error.args else type(error).__name__
