"""`ramet routes`: which request leads where."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from ramet.cli import completing
from ramet.cli.application import check_known, current
from ramet.edge.listing import Listed, routes


@click.command("routes")
@click.argument("modules", nargs=-1, shell_complete=completing.modules)
@click.option("--json", "json_", is_flag=True, help="One JSON array.")
def show_routes(modules: tuple[str, ...], json_: bool) -> None:
    """List the HTTP routes of MODULES (default: all) in the order in which they match: endpoints, WebSockets, what each instance
    answers itself, mounted applications. Nothing is started.

    \b
    ramet routes
    ramet routes orders --json
    """
    here = current()
    for module in modules:
        check_known("module", module, here.application.modules)
    chosen = [module for name, module in here.modules.items() if not modules or name in modules]
    listed = routes(chosen, prefix=here.application.http_prefix)
    if modules:
        listed = [each for each in listed if each.kind != "own"]
    if json_:
        click.echo(json.dumps([each._asdict() for each in listed], indent=2))
    else:
        _print(listed, here.file.parent)


def _print(listed: Sequence[Listed], folder: Path) -> None:
    rows = [
        (each.method, each.path, f"{each.target}{_note(each)}", _failures(each), _near(each.where, folder)) for each in listed
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _note(each: Listed) -> str:
    return " (no call)" if each.kind == "handler" else ""


def _failures(each: Listed) -> str:
    return ", ".join(f"{name} {status}" for name, status in each.failures.items()) or "-"


def _near(where: str, folder: Path) -> str:
    """Relative to the application's folder, for what is in it."""
    if not where:
        return "-"
    path, _, line = where.rpartition(":")
    resolved = Path(path).resolve()
    return f"{resolved.relative_to(folder)}:{line}" if resolved.is_relative_to(folder) else where
