"""`ramet new`: a small application to begin with."""

import shlex
from importlib import metadata
from pathlib import Path

import click

from ramet.deliver import starter
from ramet.errors import ConfigError

SHOWN = 5
"""Names of what is in the way, in an error."""


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write an application NAME of two modules into a new folder NAME, with tests that pass.

    \b
    ramet new shop
    ramet new shop && cd shop && pytest      test it, in one process and apart
    """
    starter.check_name(name, installed=metadata.packages_distributions())
    folder = Path(name)
    _check_free(folder)
    for path, text in starter.files(name).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:  # somebody else may write at the same time
            opened.write(text)
        click.echo(str(file))
    click.echo(f"next: cd {shlex.quote(name)} && pytest, then `ramet dev`; README.md says how to go on", err=True)


def _check_free(folder: Path) -> None:
    """Raises ConfigError where something is there already: nothing is overwritten."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"{folder} is there already, and is no folder", where=str(folder.absolute()), hint="another name")
    found = sorted(each.name for each in folder.iterdir()) if folder.exists() else []
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ConfigError(
            f"the folder {folder} is not empty: {', '.join(found[:SHOWN])}{more}",
            where=str(folder.absolute()),
            hint=f"another name, or move that folder: mv {folder} {folder}.old",
        )
