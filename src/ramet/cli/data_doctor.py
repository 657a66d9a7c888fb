"""`ramet data doctor`: what is wrong with the databases, and the command that mends it."""

import asyncio
import dataclasses
import json
from collections import Counter

import click

from ramet.cli import completing
from ramet.cli.application import Current, check_known, current
from ramet.errors import ConfigError
from ramet.operate.data_diagnosis import Finding, Severity, diagnose
from ramet.operate.data_facts import Budget, DatabaseFacts, gather
from ramet.operate.databases import DatabaseServer

FOUND = 1
_COLORS = {Severity.OK: "green", Severity.WARN: "yellow", Severity.PROBLEM: "red"}


@click.command()
@click.option("--module", shell_complete=completing.modules, help="Only the schema of this module, and not the server.")
@click.option("--json", "json_", is_flag=True, help="One JSON array.")
@click.pass_context
def doctor(context: click.Context, module: str | None, json_: bool) -> None:
    """Look at the databases: pool budget, replication slots, replicas, indexes, long transactions, sequences, keys and buckets.
    Exit code 1 where there is a problem; each finding says what mends it. Nothing is changed.

    \b
    ramet data doctor
    ramet data doctor --module articles --json
    """
    findings = diagnose(*asyncio.run(_look(current(), module)))
    if json_:
        click.echo(json.dumps([dataclasses.asdict(each) for each in findings], indent=2))
    else:
        _print(findings)
    if any(each.severity is Severity.PROBLEM for each in findings):
        context.exit(FOUND)


async def _look(here: Current, only: str | None) -> tuple[list[DatabaseFacts], Budget | None]:
    keys = {name: module.db.key for name, module in here.modules.items() if module.db is not None}
    if only is not None:
        check_known("module", only, here.application.modules)
        if only not in keys:
            raise ConfigError(f"the module `{only}` has no database", hint="ramet data doctor")
        keys = {only: keys[only]}
    if not keys:
        return [], None
    server = DatabaseServer(here.application, here.modules.values(), here.folder, lambda _: None)
    await server.attach()
    try:
        facts = await gather("postgres", server.admin, keys, is_whole=only is None)
        return [facts], _budget(here, server) if only is None else None
    finally:
        await server.release()


def _budget(here: Current, server: DatabaseServer) -> Budget:
    record = here.folder.load()
    topology = here.application.topologies.get(record.topology if record else "") or here.application.first_topology
    return Budget(
        topology=topology.name, server=server.capacity, demands=tuple(server.demands(topology)), is_pooled=server.is_pooled
    )


def _print(findings: list[Finding]) -> None:
    width = max((len(each.what) for each in findings), default=0)
    for each in findings:
        first, *more = each.found.splitlines()
        severity = click.style(f"{each.severity:<7}", fg=_COLORS[each.severity])
        click.echo(f"{severity}  {each.what:<{width}}  {each.where}: {first}")
        for line in more:
            click.echo(f"{'':<7}  {'':<{width}}  {line}")
        if each.mend:
            click.echo(f"{'':<7}  {'':<{width}}  mend: {each.mend}")
    counts = Counter(each.severity for each in findings)
    click.echo(f"{counts[Severity.PROBLEM]} problems, {counts[Severity.WARN]} to watch, {counts[Severity.OK]} fine", err=True)
