"""`ramet doctor`: what is missing here, and the command that mends it."""

import asyncio
import dataclasses
import json
from collections import Counter

import click

from ramet.cli.application import current
from ramet.errors import ConfigError
from ramet.operate.diagnosis import Finding, Status, diagnose
from ramet.operate.facts import gather

FOUND = 1
_COLORS = {Status.OK: "green", Status.WARN: "yellow", Status.MISSING: "red"}


@click.command()
@click.option("--port", "ports", type=click.IntRange(1, 65535), multiple=True, help="A port that you want to use; several times.")
@click.option("--json", "json_", is_flag=True, help="One JSON array.")
@click.pass_context
def doctor(context: click.Context, ports: tuple[int, ...], json_: bool) -> None:
    """Look at Python, engines, ports, memory, versions and the application of the folder. Exit code 1 if something is missing;
    each finding says what mends it. A PostgreSQL is started for a moment in a folder of its own.

    \b
    ramet doctor
    ramet doctor --port 8000 --json
    """
    try:
        file = current().file
    except ConfigError:
        file = None  # is a finding like others
    findings = diagnose(asyncio.run(gather(file, ports=ports)))
    if json_:
        click.echo(json.dumps([dataclasses.asdict(each) for each in findings], indent=2))
    else:
        _print(findings)
    if any(each.status is Status.MISSING for each in findings):
        context.exit(FOUND)


def _print(findings: list[Finding]) -> None:
    width = max(len(each.subject) for each in findings)
    for each in findings:
        click.echo(f"{click.style(f'{each.status:<7}', fg=_COLORS[each.status])}  {each.subject:<{width}}  {each.found}")
        if each.mend:
            click.echo(f"{'':<7}  {'':<{width}}  mend: {each.mend}")
    counts = Counter(each.status for each in findings)
    click.echo(f"{counts[Status.MISSING]} missing, {counts[Status.WARN]} to watch, {counts[Status.OK]} fine", err=True)
