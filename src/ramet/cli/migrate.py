"""`ramet migrate`: each module's migrations, by Alembic, in the module's own folder."""

import asyncio
import json
from datetime import UTC, datetime

import click

from ramet.cli import completing, results
from ramet.cli.application import Current, check_known, current
from ramet.cli.groups import Group
from ramet.data import migrations, revisions
from ramet.data.revisions import Revision
from ramet.errors import ConfigError
from ramet.operate.databases import DatabaseServer
from ramet.operate.folder import Folder
from ramet.process.modules import FACE

PENDING = 1


@click.group(cls=Group)
def migrate() -> None:
    """Migrations of the modules' databases: new, up, status.

    \b
    ramet migrate new articles "add tags"
    ramet migrate up
    """


@migrate.command()
@click.argument("module", shell_complete=completing.modules)
@click.argument("message", required=False)
@click.option("--materialized", metavar="NAME", help="Make this materialised result; drop it if it is declared no more.")
def new(module: str, message: str | None, materialized: str | None) -> None:
    """Write the next migration of MODULE. To be filled in, or whole where it is for a materialised result.

    \b
    ramet migrate new articles "add tags"
    ramet migrate new articles --materialized article_stats
    """
    if (message is None) is (materialized is None):
        raise click.UsageError("one of MESSAGE and --materialized is needed")
    here = current()
    check_known("module", module, here.application.modules)
    package = here.application.modules[module]
    if here.modules[module].db is None:
        raise ConfigError(
            f"the module `{module}` has no database, so nothing would run the migration",
            hint=f"db = module.database() in {package}.{FACE}",
        )
    folder = revisions.folder_of(package)
    if materialized is not None:
        click.echo(str(results.write(here.modules[module], folder, materialized)))
    elif message is not None:
        click.echo(str(revisions.new(folder, message, now=datetime.now(UTC))))


@migrate.command()
@click.argument("modules", nargs=-1, shell_complete=completing.modules)
def up(modules: tuple[str, ...]) -> None:
    """Apply what is missing to the databases of MODULES (default: all). A second one at the same time waits.

    \b
    ramet migrate up
    ramet migrate up articles
    """
    here = current()
    for module in modules:
        check_known("module", module, here.application.modules)

    def report(module: str, revision: Revision) -> None:
        click.echo(f"{module}: {revision}")

    async def run() -> None:
        server = _server(here)
        await server.attach()
        try:
            await server.provision()
            await server.migrate(report, only=modules or None)
        finally:
            await server.release()

    asyncio.run(run())
    click.echo("up to date", err=True)


@migrate.command()
@click.option("--json", "json_", is_flag=True, help="One JSON array.")
@click.pass_context
def status(context: click.Context, json_: bool) -> None:
    """What each module's database has, and what it lacks. Exit code 1 if something is missing.

    \b
    ramet migrate status
    ramet migrate status --json
    """
    here = current()

    async def run() -> list[migrations.Status]:
        server = _server(here)
        await server.attach()
        try:
            await server.provision()
            return await server.migration_status()
        finally:
            await server.release()

    found = asyncio.run(run())
    if json_:
        rows = [
            {"module": each.module, "current": each.current, "head": each.head, "missing": [str(m) for m in each.missing]}
            for each in found
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for each in found:
            lacks = f"lacks {len(each.missing)}: {', '.join(map(str, each.missing))}" if each.missing else "up to date"
            click.echo(f"{each.module:<16} {', '.join(each.current) or 'nothing':<24} {lacks}")
    if any(each.missing for each in found):
        context.exit(PENDING)


def _server(here: Current) -> DatabaseServer:
    folder: Folder = here.folder
    return DatabaseServer(here.application, here.modules.values(), folder, lambda _: None)
