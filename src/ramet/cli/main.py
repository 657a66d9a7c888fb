"""The command's root: the table of its verbs, and the one place where errors become text and an exit code."""

import os
import sys
from typing import Any

import click

from ramet.cli.groups import Verb, Verbs
from ramet.errors import InternalError, RametError
from ramet.version import __version__

COULD_NOT = 2

DEVELOP, RUN, GROW, LOOK = "Develop", "Run", "Grow", "Look"

VERBS = {
    "absorb": Verb(GROW, "plans:absorb"),
    "apply": Verb(GROW, "plans:apply"),
    "call": Verb(DEVELOP, "call:make_call"),
    "certs": Verb(RUN, "certs:certs"),
    "check": Verb(DEVELOP, "check:check"),
    "completion": Verb(DEVELOP, "completion:completion"),
    "config": Verb(LOOK, "config:config"),
    "data": Verb(LOOK, "data:data"),
    "dev": Verb(DEVELOP, "dev:dev"),
    "docs": Verb(LOOK, "docs:docs"),
    "doctor": Verb(LOOK, "doctor:doctor"),
    "down": Verb(RUN, "up:down"),
    "explain": Verb(LOOK, "explain:explain"),
    "extract": Verb(GROW, "plans:extract"),
    "failover": Verb(GROW, "replicas:failover"),
    "gate": Verb(LOOK, "gate:gate"),
    "history": Verb(GROW, "plans:show_history"),
    "isolate": Verb(GROW, "dividing:isolate"),
    "logs": Verb(LOOK, "status:show_logs"),
    "migrate": Verb(RUN, "migrate:migrate"),
    "move": Verb(GROW, "dividing:move"),
    "new": Verb(DEVELOP, "new:new"),
    "openapi": Verb(DEVELOP, "openapi:show_openapi"),
    "plan": Verb(GROW, "plans:plan"),
    "rebalance": Verb(GROW, "dividing:rebalance"),
    "replicate": Verb(GROW, "replicas:replicate"),
    "roll": Verb(GROW, "plans:roll"),
    "routes": Verb(DEVELOP, "routes:show_routes"),
    "scale": Verb(GROW, "plans:scale"),
    "shard": Verb(GROW, "dividing:shard"),
    "shell": Verb(DEVELOP, "shell:shell"),
    "status": Verb(LOOK, "status:status"),
    "up": Verb(RUN, "up:up"),
}
"""One verb a line, by the alphabet. A new one is a file of its own and a line here."""

verbs = Verbs(
    name="ramet",
    purposes=(DEVELOP, RUN, GROW, LOOK),
    table=VERBS,
    help="""Backends that start as one process and grow into services, replicas and shards, live.

    \b
    ramet dev            one process, started again when a file changes
    ramet up --help      what a verb does, with examples
    """,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
click.version_option(__version__, prog_name="ramet")(verbs)


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
    click.echo(str(error), err=True)  # of a call also whether it may have run
    if error.where:
        click.echo(f"  at: {error.where}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    if tail := getattr(error, "log_tail", ""):
        click.echo(f"the end of its log:\n{tail.strip()[-2000:]}", err=True)
    if isinstance(error, InternalError):
        click.echo("This is a bug in Ramet. Please report it with the text above.", err=True)
