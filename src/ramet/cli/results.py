"""What `ramet migrate new MODULE --materialized NAME` writes."""

from datetime import UTC, datetime
from pathlib import Path

from ramet.cli.application import check_known
from ramet.data import materialized_migration
from ramet.module import Module


def write(module: Module, folder: Path, name: str) -> Path:
    """The migration that makes a materialised result, or drops one that is declared no more. Raises ConfigError for another
    name."""
    now = datetime.now(UTC)
    check_known("materialised result", name, {*module.results, *materialized_migration.made(folder)})
    if name in module.results:
        return materialized_migration.write(folder, module.results[name].declared, now=now)
    return materialized_migration.write_drop(folder, name, now=now)
