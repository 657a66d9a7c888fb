"""The safe sequence of migrations for a change that would be unsafe as one statement, as files. Pure but for writing them.

Each sequence is a list of parts in order: a phase, whether each statement is a transaction, and the bodies of upgrade() and
downgrade(). A contract is the last part, and its file ships with the first version of the code that does without what it takes
away.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ramet.data import revisions
from ramet.data.dual_writes import quote
from ramet.data.revisions import Phase
from ramet.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Part:
    """upgrade, downgrade: lines of Python; none for nothing to do."""

    phase: Phase
    upgrade: tuple[str, ...]
    downgrade: tuple[str, ...] = ()
    is_autocommit: bool = False


def rename(table: str, old: str, new: str, *, key: Sequence[str]) -> list[Part]:
    return [
        Part(Phase.EXPAND, (_call("add_twin", table, old, new), _call("dual_write", table, old, new)), _back_from(table, new)),
        Part(Phase.BACKFILL, (_backfill(table, new, quote(old), key),)),
        _carried(table, old, new),
        Part(Phase.CONTRACT, (_call("take_over", table, old, new),)),
    ]


def column_type(table: str, old: str, new: str, type_: str, *, using: str, back: str, key: Sequence[str]) -> list[Part]:
    """new: the name of the column that has the new type. using: its value; back: the old one's; SQL over the row, empty for a
    plain cast."""
    up = using or f"{quote(old)}::{type_}"
    more = f", up={_shown(up)}" + (f", down={_shown(back)}" if back else "")
    added = _sql(f"ALTER TABLE {quote(table)} ADD COLUMN IF NOT EXISTS {quote(new)} {type_}")
    return [
        Part(Phase.EXPAND, (added, _call("dual_write", table, old, new, more)), _back_from(table, new)),
        Part(Phase.BACKFILL, (_backfill(table, new, up, key),)),
        _carried(table, old, new),
        Part(Phase.CONTRACT, (_call("take_over", table, old, new),)),
    ]


def not_null(table: str, column: str, *, using: str, key: Sequence[str]) -> list[Part]:
    """using: what a row without a value gets, SQL over the row. Without it there must be none, and all of it is a contract: a
    version that leaves the column empty is refused from its first part on."""
    checked, fixed = (_call("check_not_null", table, column),), (_call("set_not_null", table, column),)
    if not using:
        return [Part(Phase.CONTRACT, checked, is_autocommit=True), Part(Phase.CONTRACT, fixed)]
    unchecked = (_call("drop_check", table, column),)
    return [
        Part(Phase.EXPAND, (_call("fill", table, column, using),), (_call("drop_fill", table, column),)),
        Part(Phase.BACKFILL, (_backfill(table, column, using, key, where=f"{quote(column)} IS NULL"),)),
        Part(Phase.EXPAND, checked, unchecked, is_autocommit=True),
        Part(Phase.CONTRACT, (*fixed, _call("drop_fill", table, column))),
    ]


def index(table: str, columns: Sequence[str], *, is_unique: bool) -> list[Part]:
    """Unique: a constraint of the same name."""
    name = _short(f"{table}_{'_'.join(columns)}_{'key' if is_unique else 'idx'}")
    over = ", ".join(map(quote, columns))
    made = f"CREATE {'UNIQUE ' if is_unique else ''}INDEX CONCURRENTLY IF NOT EXISTS {quote(name)} ON {quote(table)} ({over})"
    dropped = _sql(f"DROP INDEX CONCURRENTLY IF EXISTS {quote(name)}")
    parts = [Part(Phase.EXPAND, (_sql(made),), (dropped,), is_autocommit=True)]
    if is_unique:
        altered = f"ALTER TABLE {quote(table)}"
        constraint = _sql(f"{altered} ADD CONSTRAINT {quote(name)} UNIQUE USING INDEX {quote(name)}")
        parts.append(Part(Phase.EXPAND, (constraint,), (_sql(f"{altered} DROP CONSTRAINT {quote(name)}"),)))
    return parts


def foreign_key(table: str, column: str, other: str, other_column: str) -> list[Part]:
    name = _short(f"{table}_{column}_fkey")
    altered = f"ALTER TABLE {quote(table)}"
    points = f"FOREIGN KEY ({quote(column)}) REFERENCES {quote(other)} ({quote(other_column)})"
    made = _sql(f"{altered} ADD CONSTRAINT {quote(name)} {points} NOT VALID")
    return [
        Part(Phase.EXPAND, (made,), (_sql(f"{altered} DROP CONSTRAINT {quote(name)}"),)),
        Part(Phase.EXPAND, (_sql(f"{altered} VALIDATE CONSTRAINT {quote(name)}"),)),
    ]


def drop_column(table: str, column: str) -> list[Part]:
    """A version that does not know the column any more leaves it empty, so that is allowed first."""
    altered = f"ALTER TABLE {quote(table)}"
    return [
        Part(Phase.EXPAND, (_sql(f"{altered} ALTER COLUMN {quote(column)} DROP NOT NULL"),)),
        Part(Phase.CONTRACT, (_sql(f"{altered} DROP COLUMN {quote(column)}"),)),
    ]


def write(folder: Path, message: str, parts: Iterable[Part], *, now: datetime) -> list[Path]:
    """The files, in order. All of them belong to one sequence, which is undone as a whole."""
    sequence = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    sequence = f"{sequence}_{now:%Y%m%d%H%M%S}"
    return [revisions.add(folder, f"{message}: {part.phase}", _template(part, sequence), now=now) for part in parts]


def split(text: str, pattern: str, form: str) -> tuple[str, ...]:
    """The groups of a pattern in what a person typed. Raises ConfigError with the form that it has."""
    if found := re.fullmatch(pattern, text):
        return tuple(group or "" for group in found.groups())
    raise ConfigError(f"{text!r} is not of the form {form}")


def _template(part: Part, sequence: str) -> str:
    """For `revisions.add`."""
    text = "\n".join((*part.upgrade, *part.downgrade))
    helpers = sorted({name for name in _HELPERS if re.search(rf"\b{name}\(", text)})
    imports = ["from alembic import op"] if "op.execute(" in text else []
    imports += [f"from ramet.migrations import {', '.join(helpers)}"] if helpers else []
    facts = ["revision = {revision}", "down_revision = {after}", f'phase = "{part.phase}"']
    facts += ["autocommit = True"] if part.is_autocommit else []
    facts.append(f'sequence = "{sequence}"')
    back = part.downgrade or ("pass",)
    if part.phase is Phase.CONTRACT:
        back = ('raise NotImplementedError("what it took away does not come back")',)
    functions = "\n\n\n".join((_function("upgrade", part.upgrade), _function("downgrade", back)))
    whole = "\n\n".join(("{message}", "\n\n".join(imports), "\n".join(facts), f"\n{functions}"))
    escaped = whole.replace("{", "{{").replace("}", "}}")
    for name, shown in (("message", '"""{message}"""'), ("revision", '"{revision}"'), ("after", "{after}")):
        escaped = escaped.replace(f"{{{{{name}}}}}", shown, 1)
    return f"{escaped}\n"


def _function(name: str, lines: Iterable[str]) -> str:
    return "\n".join((f"def {name}() -> None:", *(f"    {line}" for line in lines)))


_HELPERS = (
    "add_twin",
    "backfill",
    "carry_not_null",
    "check_not_null",
    "drop_check",
    "drop_dual_write",
    "drop_fill",
    "dual_write",
    "fill",
    "set_not_null",
    "take_over",
)
"""Of `ramet.migrations`, which is above this."""


def _back_from(table: str, new: str) -> tuple[str, ...]:
    return _call("drop_dual_write", table, new), _sql(f"ALTER TABLE {quote(table)} DROP COLUMN IF EXISTS {quote(new)}")


def _carried(table: str, old: str, new: str) -> Part:
    return Part(Phase.EXPAND, (_call("carry_not_null", table, old, new),), is_autocommit=True)


def _backfill(table: str, column: str, value: str, key: Sequence[str], *, where: str = "") -> str:
    more = f", where={_shown(where)}" if where else ""
    names = ", ".join(map(_shown, key))
    return f"backfill({_shown(table)}, set={{{_shown(column)}: {_shown(value)}}}{more}, key=[{names}])"


def _call(helper: str, *arguments: str) -> str:
    """The last one may be keywords, which begin with a comma."""
    *first, last = arguments
    shown = ", ".join(_shown(each) for each in (first if last.startswith(", ") else arguments))
    return f"{helper}({shown}{last if last.startswith(', ') else ''})"


def _sql(statement: str) -> str:
    return f"op.execute({_shown(statement)})"


def _shown(text: str) -> str:
    """As Python, in double quotes where that needs no backslash."""
    return repr(text) if set(text) & {'"', "\\"} else f'"{text}"'


def _short(name: str) -> str:
    """Within the 63 bytes of an identifier."""
    return name.encode()[:63].decode(errors="ignore")
