"""The tables that a text of SQL names, by sqlglot, which is known here and in `migration_rules`."""

import logging
import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ramet.check.facts import Table

GAP = "\0"
"""In a text: what an f-string puts there when it runs."""

_BEFORE = r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*"
_NAME = r"(?:ONLY\s+)?[\w.\"\0]+"
_STATEMENT = re.compile(
    rf"{_BEFORE}(?:SELECT\b|WITH\s+(?:RECURSIVE\s+)?[\w\0]+\s*(?:\([^)]*\)\s*)?(?:AS\b)?|INSERT\s+INTO\b|UPDATE\s+{_NAME}\s+(?:AS\s+)?(?:\w+\s+)?SET\b"
    r"|DELETE\s+FROM\b|MERGE\s+INTO\b|TRUNCATE\b|COPY\s|CREATE\s|ALTER\s+TABLE\b|DROP\s+(?:TABLE|VIEW)\b)",
    re.IGNORECASE | re.DOTALL,
)
_GAPS = re.compile(rf"{GAP}(?:\s*{GAP})+")
_FILLED = "ramet_gap"
_MAX_CHARACTERS = 100_000
"""A longer text is data that is loaded, and reading it would take seconds."""

# sqlglot warns of statements that it only passes through, such as LOCK. What is not understood is told as a finding.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


def looks_like_sql(text: str) -> bool:
    """Whether it begins as a statement does that names tables."""
    return _STATEMENT.match(text) is not None


def tables(text: str) -> tuple[tuple[Table, ...], tuple[Table, ...], str]:
    """Tables that are used, tables that are created, and why not all of it could be read, or empty."""
    if len(text) > _MAX_CHARACTERS:
        return (), (), f"it has more than {_MAX_CHARACTERS} characters"
    parsed, problem = _parse(text)
    used: dict[Table, None] = {}
    created: dict[Table, None] = {}
    for statement in parsed:
        if isinstance(statement, exp.Command):  # passed through, such as CREATE FUNCTION
            problem = problem or f"sqlglot does not read this {statement.name.upper()} statement"
            continue
        own = _created(statement)
        if own is not None:
            created[_table(own)] = None
        known = {cte.alias_or_name.lower() for cte in statement.find_all(exp.CTE)}
        for table in statement.find_all(exp.Table):
            named = _table(table)
            if table is not own and named.name and _FILLED not in named and (named.schema or named.name not in known):
                used[named] = None
    return tuple(used), tuple(created), problem


def _parse(text: str) -> tuple[list[exp.Expr], str]:
    """A gap is mostly an expression or a name, and sometimes nothing, such as a condition that is left out."""
    problem = ""
    text = _GAPS.sub(GAP, text)
    for filling in (f" {_FILLED} ", "") if GAP in text else ("",):
        try:
            parsed = sqlglot.parse(text.replace(GAP, filling), dialect="postgres")
        except (SqlglotError, RecursionError) as error:
            problem = problem or f"sqlglot: {_first_line(error)}"
        else:
            return [statement for statement in parsed if statement is not None], ""
    return [], problem


def _created(statement: exp.Expr) -> exp.Table | None:
    """The table of CREATE TABLE, also AS or with columns."""
    if not isinstance(statement, exp.Create) or statement.kind not in {"TABLE", "VIEW"}:
        return None
    target = statement.this
    if isinstance(target, exp.Schema):
        target = target.this
    return target if isinstance(target, exp.Table) else None


def _table(table: exp.Table) -> Table:
    """Unquoted names are lower case, as PostgreSQL has them. A function in FROM has no name."""
    return Table(_folded(table.args.get("db")), _folded(table.this) if isinstance(table.this, exp.Identifier) else "")


def _folded(identifier: object) -> str:
    if not isinstance(identifier, exp.Identifier):
        return ""
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def _first_line(error: Exception) -> str:
    return re.sub(r"\x1b\[\d*m", "", str(error)).partition("\n")[0][:160] or type(error).__name__
