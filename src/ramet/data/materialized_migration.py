"""The migration of a materialised result, written from its declaration: to be read, and kept, like any other."""

import re
import textwrap
from datetime import datetime
from pathlib import Path

from ramet.data import materialized_sql, revisions
from ramet.model.materialized import CHANGES, Materialized

_MADE = re.compile(rf'CREATE TABLE "{CHANGES}(\w+)"')
_TEMPLATE = '''\
"""{message}"""

from alembic import op

revision = "{revision}"
down_revision = {after}
HEAD


def upgrade() -> None:
    op.execute(
        """
UPGRADE
        """
    )


def downgrade() -> None:
    op.execute(
        """
DOWNGRADE
        """
    )
'''
_SHARDS = "# ramet: allow key-in-primary-key because its rows are computed at each shard, and are not moved"
_REPLACES = "# ramet: allow contract-in-expand because what is dropped is computed anew"
_DROPS = 'phase = "contract"'


def made(folder: Path) -> set[str]:
    """Names of the results that migrations of this folder have made."""
    paths = (folder / "versions").glob("*.py")
    return {name for path in paths for name in _MADE.findall(path.read_text(encoding="utf-8"))}


def write(folder: Path, result: Materialized, *, now: datetime) -> Path:
    """After the last one; returns its path. Where an earlier one has made a result of this name, that is dropped first: what is
    read from it is empty until it is filled. A table of this name that something else has made is left alone: `up` then fails."""
    replaces = result.name in made(folder)
    head = f"{_SHARDS}\n{_REPLACES}" if replaces else _SHARDS
    upgrade = materialized_sql.upgrade(result, replaces=replaces)
    text = _filled(head, upgrade, materialized_sql.drop(result.name))
    return revisions.add(folder, f"materialised {result.name}", text, now=now)


def write_drop(folder: Path, name: str, *, now: datetime) -> Path:
    """Of a result that is declared no more. There is no way back but to declare it again."""
    return revisions.add(folder, f"no more {name}", _filled(_DROPS, materialized_sql.drop(name), "SELECT"), now=now)


def _filled(head: str, upgrade: str, downgrade: str) -> str:
    """A template of its own for `revisions.add`."""
    text = _TEMPLATE.replace("HEAD", head)
    for place, script in (("DOWNGRADE", downgrade), ("UPGRADE", upgrade)):
        quoted = script.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').replace("{", "{{").replace("}", "}}")
        text = text.replace(place, textwrap.indent(quoted, " " * 8))
    return text
