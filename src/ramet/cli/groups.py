"""How a name on the command line becomes a verb: what was meant instead, verbs by purpose, and each file loaded when it is used.

A verb whose extra is not installed is listed all the same, and says what installs it when it is called. So `ramet doctor` and
`ramet --help` work with nothing but the core, and completion loads one file in place of all.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from ramet.errors import ConfigError
from ramet.kit.near import did_you_mean
from ramet.operate import extras


class Group(click.Group):
    """A verb with verbs of its own."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in (known := self.list_commands(ctx)):
            hint = did_you_mean(name, known)
            raise click.UsageError(f"there is no verb `{name}`" + (f"; {hint}" if hint else ""), ctx)
        return super().resolve_command(ctx, args)


class Choice(click.Choice[str]):
    """One of a few words."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        hint = did_you_mean(str(value), self.choices)
        return super().get_invalid_choice_message(value, ctx) + (f" {hint.capitalize()}" if hint else "")


class Verb(NamedTuple):
    """purpose: the heading under which `ramet --help` lists it. place: `file:name` below `ramet.cli`."""

    purpose: str
    place: str


class Verbs(Group):
    """The root, or a verb whose verbs are loaded as the root's are. prefix: the words that are typed before a verb. purposes:
    headings, in the order of `--help`. table: name -> Verb."""

    def __init__(self, *, prefix: str, purposes: Sequence[str], table: Mapping[str, Verb], **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix
        self.purposes = purposes
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (click's signature)
        return self._load(cmd_name) if cmd_name in self.table else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click's signature)
        width = max(map(len, self.table))
        for purpose in self.purposes:
            rows = [
                (name.ljust(width), self._short_help(name, formatter.width - width - 6))
                for name, verb in self.table.items()
                if verb.purpose == purpose
            ]
            if rows:
                with formatter.section(purpose):
                    formatter.write_dl(rows)

    def _short_help(self, name: str, limit: int) -> str:
        try:
            return self._load(name).get_short_help_str(limit)
        except ConfigError as error:
            return f"not installed: {error.hint}"

    def _load(self, name: str) -> click.Command:
        file, _, attribute = self.table[name].place.partition(":")
        try:
            return getattr(importlib.import_module(f"ramet.cli.{file}"), attribute)
        except ModuleNotFoundError as error:
            extra = extras.extra_of(error.name)
            if extra is None:
                raise
            raise ConfigError(
                f"{self.prefix} {name} needs {error.name}, which is not installed", hint=extras.command(extra)
            ) from error
