"""A migration that makes indexes while the table is in use."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from ramet.data import revisions
from ramet.model.catalog import NewIndex, quote

_BODY = """\
def upgrade() -> None:
    # Outside of a transaction, as CONCURRENTLY wants it. One that broke off leaves an invalid index, hence the DROP.
    with op.get_context().autocommit_block():
{up}


def downgrade() -> None:
    with op.get_context().autocommit_block():
{down}
"""


def write(folder: Path, indexes: Sequence[NewIndex], *, taken: Collection[str], now: datetime) -> Path:
    """The next revision of a module's migrations; returns its path. taken: names of the indexes that are there. Raises
    MigrationFailed for migrations that cannot be read."""
    names: list[str] = []
    for index in indexes:
        names.append(index.name({*taken, *names}))
    message = f"index {', '.join(str(index).replace(' (', ' by ').rstrip(')') for index in indexes)}"
    path = revisions.new(folder, message, now=now)
    drops = [_execute(f"DROP INDEX CONCURRENTLY IF EXISTS {quote(name)}") for name in names]
    creates = [_execute(index.create(name, concurrently=True)) for index, name in zip(indexes, names, strict=True)]
    up = "\n".join(line for pair in zip(drops, creates, strict=True) for line in pair)
    head, _, _ = path.read_text(encoding="utf-8").partition("def upgrade(")
    path.write_text(head + _BODY.format(up=up, down="\n".join(reversed(drops))), encoding="utf-8")
    return path


def _execute(statement: str) -> str:
    return f"        op.execute({statement!r})" if '"' in statement else f'        op.execute("{statement}")'
