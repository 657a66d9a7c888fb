"""The command's root: verbs, did-you-mean, and the one place where errors become text and an exit code."""

import os
import sys
from typing import Any

import click

from ramet.cli.certs import certs
from ramet.cli.config import config
from ramet.cli.dev import dev
from ramet.cli.docs import docs
from ramet.cli.migrate import migrate
from ramet.cli.new import new
from ramet.cli.status import show_logs, status
from ramet.cli.up import down, up
from ramet.errors import InternalError, RametError
from ramet.kit.near import did_you_mean
from ramet.version import __version__

FOUND = 1
COULD_NOT = 2


class Verbs(click.Group):
    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None:
            hint = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"there is no verb `{name}`" + (f"; {hint}" if hint else ""), ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="ramet")
def verbs() -> None:
    """Backends that start as one process and grow into services, replicas and shards, live."""


for verb in (new, dev, up, down, status, show_logs, migrate, config, docs, certs):
    verbs.add_command(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    try:
        outcome: Any = verbs.main(arguments, prog_name="ramet", standalone_mode=False)
    except click.exceptions.Exit as stopped:
        return stopped.exit_code
    except click.ClickException as error:
        error.show()
        return COULD_NOT
    except click.Abort:
        click.echo("stopped", err=True)
        return COULD_NOT
    except RametError as error:
        show(error)
        return COULD_NOT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; Python would complain at exit
        return 0
    except OSError as error:  # the world's: a full disk, a file where a folder is needed, no permission
        show(RametError(error.strerror or str(error), where=error.filename and str(error.filename)))
        return COULD_NOT
    return outcome if isinstance(outcome, int) else 0


def show(error: RametError) -> None:
    """error, where it is, and what to do next."""
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(f"{error.message} [{error.code}]", err=True)
    if error.where:
        click.echo(f"  at: {error.where}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    if tail := getattr(error, "log_tail", ""):
        click.echo(f"the end of its log:\n{tail.strip()[-2000:]}", err=True)
    if isinstance(error, InternalError):
        click.echo("This is a bug in Ramet. Please report it with the text above.", err=True)
