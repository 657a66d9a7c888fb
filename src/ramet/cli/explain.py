"""`ramet explain`: what a code means, and what to do."""

import json
from dataclasses import asdict

import click

from ramet.cli import explanations
from ramet.errors import ConfigError
from ramet.kit.near import did_you_mean


@click.command()
@click.argument("code")
@click.option("--json", "json_", is_flag=True, help="One JSON object.")
def explain(code: str, json_: bool) -> None:
    """Say what CODE means: of an error, of a finding of `ramet check`, or of both.

    \b
    ramet explain RM101
    ramet explain RM701 --json
    """
    known = explanations.all_codes()
    wanted = code.strip().strip("[]").upper()
    if wanted.isdecimal():
        wanted = f"RM{wanted}"
    if wanted not in known:
        raise ConfigError(
            f"there is no code `{code}`",
            hint=did_you_mean(wanted, known) or "docs/reference/errors.md and docs/reference/findings.md list them",
        )
    found = known[wanted]
    if json_:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for number, each in enumerate(found):
        if number:
            click.echo()
        click.secho(f"{each.code} {each.title}", bold=True)
        click.echo(f"  {each.kind}")
        for label, text in (("when", each.when), ("why", each.why), ("do", each.do)):
            if text:
                click.echo(click.wrap_text(text, 100, f"  {label + ':':<6}", " " * 8))
