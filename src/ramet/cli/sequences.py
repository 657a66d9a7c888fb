"""`ramet migrate new`: the next migration of a module, empty, or the safe sequence for a change."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ramet.cli import completing, results
from ramet.cli.application import check_known, current
from ramet.data import revisions, sequences
from ramet.data.sequences import Part, split
from ramet.errors import ConfigError
from ramet.process.modules import FACE

_COLUMN = r"(\w+)\.(\w+)"
_COLUMNS = r"(\w+)\s*\(\s*(\w+(?:\s*,\s*\w+)*)\s*\)"
_CHANGES = ("rename", "column_type", "not_null", "unique", "index", "foreign_key", "drop_column")


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, metavar, words in reversed(
        (
            ("--rename", "TABLE.OLD:NEW", "A column under another name, with a dual write."),
            ("--column-type", "TABLE.COLUMN:TYPE", "A column of another type beside it, with a dual write; see --as, --using."),
            ("--not-null", "TABLE.COLUMN", "No row may have NULL there; with --using, rows that have get a value."),
            ("--unique", "TABLE(COLUMN,...)", "A unique constraint."),
            ("--index", "TABLE(COLUMN,...)", "An index."),
            ("--foreign-key", "TABLE.COLUMN:OTHER.COLUMN", "A foreign key to another table of the module."),
            ("--drop-column", "TABLE.COLUMN", "A column less."),
            ("--as", "NAME", "For --column-type: name of the new column. Default: COLUMN_TYPE."),
            ("--using", "SQL", "The new value, from the row's columns. For --column-type and --not-null."),
            ("--back", "SQL", "For --column-type: the old value from the new one. Default: as an assignment converts it."),
            ("--key", "COLUMN,...", "By which a backfill goes through the table. Default: id."),
        )
    ):
        target = "name" if name == "--as" else name.removeprefix("--").replace("-", "_")
        command = click.option(name, target, metavar=metavar, default="", help=words)(command)
    return command


@click.command()
@click.argument("module", shell_complete=completing.modules)
@click.argument("message", default="")
@click.option("--materialized", metavar="NAME", default="", help="This materialised result; dropped if it is declared no more.")
@_options
def new(module: str, message: str, materialized: str, **options: str) -> None:
    """Write the next migration of MODULE, to be filled in; or, for a change that is unsafe as one statement, its safe sequence:
    expand, backfill, contract. A contract waits until every version that runs knows it, so leave its file out of a version that
    still needs what it takes away.

    \b
    ramet migrate new articles "add tags"
    ramet migrate new articles --materialized article_stats
    ramet migrate new articles --rename articles.title:headline
    ramet migrate new articles --column-type articles.views:bigint --key author_id,id
    ramet migrate new articles --not-null articles.slug --using "lower(title)"
    """
    asked = [name for name in _CHANGES if options[name]]
    if len(asked) + bool(materialized) > 1 or not (asked or message or materialized) or (materialized and message):
        known = [f"--{name.replace('_', '-')}" for name in _CHANGES]
        raise click.UsageError(f"a MESSAGE, or one of: {', '.join([*known, '--materialized'])}")
    folder = _folder(module)
    if materialized:
        click.echo(str(results.write(current().modules[module], folder, materialized)))
        return
    if not asked:
        click.echo(str(revisions.new(folder, message, now=datetime.now(UTC))))
        return
    title, parts = _parts(asked[0], options)
    for path in sequences.write(folder, message or title, parts, now=datetime.now(UTC)):
        click.echo(str(path))


def _folder(module: str) -> Path:
    here = current()
    check_known("module", module, here.application.modules)
    package = here.application.modules[module]
    if here.modules[module].db is None:
        raise ConfigError(
            f"the module `{module}` has no database, so nothing would run the migration",
            hint=f"db = module.database() in {package}.{FACE}",
        )
    return revisions.folder_of(package)


def _parts(change: str, options: dict[str, str]) -> tuple[str, list[Part]]:
    """Title and parts of the sequence. Raises ConfigError for a text that is not of its form."""
    text, using = options[change], options["using"]
    key = [each.strip() for each in (options["key"] or "id").split(",")]
    match change:
        case "rename":
            table, old, new_name = split(text, rf"{_COLUMN}:(\w+)", "TABLE.OLD:NEW")
            return f"rename {table}.{old} to {new_name}", sequences.rename(table, old, new_name, key=key)
        case "column_type":
            table, old, type_ = split(text, rf"{_COLUMN}:(.+)", "TABLE.COLUMN:TYPE")
            name = options["name"] or f"{old}_{re.sub(r'[^a-z0-9]+', '_', type_.lower()).strip('_')}"
            parts = sequences.column_type(table, old, name, type_, using=using, back=options["back"], key=key)
            return f"{table}.{old} as {type_}", parts
        case "not_null":
            table, column = split(text, _COLUMN, "TABLE.COLUMN")
            return f"{table}.{column} not null", sequences.not_null(table, column, using=using, key=key)
        case "foreign_key":
            table, column, other, there = split(text, rf"{_COLUMN}:{_COLUMN}", "TABLE.COLUMN:OTHER.COLUMN")
            return f"{table}.{column} references {other}", sequences.foreign_key(table, column, other, there)
        case "drop_column":
            table, column = split(text, _COLUMN, "TABLE.COLUMN")
            return f"drop {table}.{column}", sequences.drop_column(table, column)
        case _:
            table, listed = split(text, _COLUMNS, "TABLE(COLUMN,...)")
            columns = [each.strip() for each in listed.split(",")]
            return f"{change} {table} {' '.join(columns)}", sequences.index(table, columns, is_unique=change == "unique")
