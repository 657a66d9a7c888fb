"""The migration of a materialised result, written from its declaration: to be read, and kept, like any other."""

import re
from datetime import datetime
from pathlib import Path

from ramet.data import materialized_sql, revisions
from ramet.model.materialized import CHANGES, Materialized

_MADE = re.compile(rf'CREATE TABLE "{CHANGES}(\w+)"')


def made(folder: Path) -> set[str]:
    """Names of the results that migrations of this folder have made."""
    paths = (folder / "versions").glob("*.py")
    return {name for path in paths for name in _MADE.findall(path.read_text(encoding="utf-8"))}


def write(folder: Path, result: Materialized, *, now: datetime) -> Path:
    """After the last one; returns its path. Where an earlier one has made a result of this name, that is dropped first: what is
    read from it is empty until it is filled. A table of this name that something else has made is left alone: `up` then fails."""
    upgrade = materialized_sql.upgrade(result, replaces=result.name in made(folder))
    downgrade = materialized_sql.drop(result.name)
    return revisions.new(folder, f"materialised {result.name}", now=now, upgrade=upgrade, downgrade=downgrade)


def write_drop(folder: Path, name: str, *, now: datetime) -> Path:
    """Of a result that is declared no more. Its way back is the migration that has made it."""
    return revisions.new(folder, f"no more {name}", now=now, upgrade=materialized_sql.drop(name))
