"""The migration of a materialised result, written from its declaration: to be read, and kept, like any other."""

from datetime import datetime
from pathlib import Path

from ramet.data import materialized_sql, revisions
from ramet.model.materialized import Materialized


def write(folder: Path, result: Materialized, *, now: datetime) -> Path:
    """After the last one; returns its path. Where an earlier one has made a result of this name, that is dropped first: what is
    read from it is empty until it is filled. A table of this name that something else has made is left alone: `up` then fails."""
    replaces = any(f'CREATE TABLE "{result.changes}"' in path.read_text(encoding="utf-8") for path in _versions(folder))
    return revisions.new(
        folder,
        f"materialised {result.name}",
        now=now,
        upgrade=materialized_sql.upgrade(result, replaces=replaces),
        downgrade=materialized_sql.downgrade(result),
    )


def _versions(folder: Path) -> list[Path]:
    return sorted((folder / "versions").glob("*.py"))
