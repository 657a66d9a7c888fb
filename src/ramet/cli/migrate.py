"""`ramet migrate`: each module's migrations, by Alembic, in the module's own folder."""

import asyncio
import json

import click

from ramet.cli import completing, schemas, sequences
from ramet.cli.application import check_known, current
from ramet.cli.groups import Group
from ramet.data import migrations
from ramet.data.revisions import Phase, Revision
from ramet.model.changes import SchemaChange
from ramet.operate.databases import DatabaseServer

PENDING = 1


@click.group(cls=Group)
def migrate() -> None:
    """Migrations of the modules' databases: new, lint, plan, apply, undo, up, status.

    \b
    ramet migrate new articles --rename articles.title:headline
    ramet migrate apply
    """


for verb in (sequences.new, schemas.lint, schemas.plan, schemas.apply, schemas.undo):
    migrate.add_command(verb)


@migrate.command()
@click.argument("modules", nargs=-1, shell_complete=completing.modules)
def up(modules: tuple[str, ...]) -> None:
    """Apply what is missing to the databases of MODULES (default: all), unlinted and without a plan: for tests, and where nothing
    runs. Beside a fleet it stops before a contract. A second one at the same time waits.

    \b
    ramet migrate up
    ramet migrate up articles
    """
    here = current()
    for module in modules:
        check_known("module", module, here.application.modules)
    is_alone = here.folder.load() is None

    def report(module: str, revision: Revision) -> None:
        click.echo(f"{module}: {revision}")

    async def work(server: DatabaseServer) -> list[SchemaChange]:
        await server.migrate(report, only=modules or None, is_alone=is_alone)
        return await server.lacking([each for each in server.modules if each in modules or not modules])

    waiting = [each for change in asyncio.run(schemas.with_server(here, work)) for each in change.revisions]
    click.echo(f"{', '.join(waiting)} waits: ramet migrate apply" if waiting else "up to date", err=True)


@migrate.command()
@click.option("--json", "json_", is_flag=True, help="One JSON array.")
@click.pass_context
def status(context: click.Context, json_: bool) -> None:
    """What each shard of each module's database has, and what it lacks. Exit code 1 if something is missing.

    \b
    ramet migrate status
    ramet migrate status --json
    """

    async def work(server: DatabaseServer) -> list[tuple[int, migrations.Status]]:
        return await server.migration_status()

    found = asyncio.run(schemas.with_server(current(), work))
    if json_:
        rows = [
            {
                "module": each.module,
                "shard": shard,
                "current": each.current,
                "head": each.head,
                "missing": [str(m) for m in each.missing],
            }
            for shard, each in found
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for shard, each in found:
            lacks = f"lacks {len(each.missing)}: {', '.join(map(_shown, each.missing))}" if each.missing else "up to date"
            name = each.module if [other.module for _, other in found].count(each.module) == 1 else f"{each.module}/{shard}"
            click.echo(f"{name:<16} {', '.join(each.current) or 'nothing':<24} {lacks}")
    if any(each.missing for _, each in found):
        context.exit(PENDING)


def _shown(revision: Revision) -> str:
    return str(revision) if revision.phase is Phase.EXPAND else f"{revision} [{revision.phase}]"
