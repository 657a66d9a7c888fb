"""`ramet migrate plan`, `apply`, `undo`, `lint`: changes of schemas as plans. Where a fleet runs its controller takes them, so
that nothing is taken away that an instance needs; where none runs they are taken here."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from ramet.cli import completing, plans
from ramet.cli.application import Current, check_known, current
from ramet.cli.groups import Choice
from ramet.data import revisions
from ramet.data.backfilling import Progress
from ramet.data.revisions import Phase, Revision
from ramet.errors import ConfigError, NothingRuns, PlanImpossible
from ramet.model import explaining
from ramet.model.explaining import Told
from ramet.model.facts import Facts, Needs
from ramet.model.planning import Plan
from ramet.model.system import System
from ramet.model.wishes import Wish
from ramet.operate import extras, schemas
from ramet.operate.client import Client
from ramet.operate.databases import DatabaseServer
from ramet.operate.plans import rehearse
from ramet.wire import values

FAULTY = 1
T = TypeVar("T")
_modules = click.argument("modules", nargs=-1, shell_complete=completing.modules)
_phase = click.option("--phase", type=Choice([each.value for each in Phase]), help="Go no further than this. Default: contract.")


@click.command()
@_modules
@_phase
@click.option("--json", "json_", is_flag=True, help="One JSON object.")
def plan(modules: tuple[str, ...], phase: str | None, json_: bool) -> None:
    """The steps that bring the databases of MODULES (default: all) up to date, linted. Changes nothing.

    \b
    ramet migrate plan
    ramet migrate plan articles --phase backfill
    """
    wish = _wish(modules, phase)
    here = current()
    found = _explain_here(here, wish) if is_alone(here) else Client(here.folder).explain(wish)
    plans.tell(found, json_)


@click.command("apply")
@_modules
@_phase
@plans.options
@click.pass_context
def apply(context: click.Context, modules: tuple[str, ...], phase: str | None, json_: bool, dry_run: bool, yes: bool) -> None:
    """Bring the databases of MODULES (default: all) up to date: expand, backfill, contract, each on all shards before the next.
    A contract waits until every version that runs knows it.

    \b
    ramet migrate apply articles
    ramet migrate apply --phase expand --yes
    """
    _go(context, _wish(modules, phase), json_, dry_run, yes)


@click.command()
@click.argument("module", shell_complete=completing.modules)
@plans.options
@click.pass_context
def undo(context: click.Context, module: str, json_: bool, dry_run: bool, yes: bool) -> None:
    """Take back the last change of the schema of MODULE: its last migration, with all others of its sequence. Refused after its
    contract, and while a version runs that knows it.

    \b
    ramet migrate undo articles --dry-run
    ramet migrate undo articles
    """
    here = current()
    check_known("module", module, here.application.modules)
    _go(context, Wish(retract=module), json_, dry_run, yes)


@click.command()
@_modules
@click.option("--all", "all_", is_flag=True, help="Also those that the databases have already.")
@click.option("--json", "json_", is_flag=True, help="One JSON array.")
@click.pass_context
def lint(context: click.Context, modules: tuple[str, ...], all_: bool, json_: bool) -> None:
    """What would block, break or lose something in the migrations of MODULES (default: all) that are not applied yet. Exit code 1
    if there is any.

    \b
    ramet migrate lint
    ramet migrate lint articles --all --json
    """
    here = current()
    for module in modules:
        check_known("module", module, here.application.modules)
    found = _lint(here, modules, set() if all_ else None)
    if json_:
        rows = [
            {
                "module": each.module,
                "revision": each.revision,
                "file": each.file,
                "rule": each.fault.rule,
                "statement": each.fault.statement,
                "message": each.fault.message,
                "safe": each.fault.safe,
            }
            for each in found
        ]
        click.echo(json.dumps(rows, indent=2))
    else:
        for each in found:
            click.echo(str(each))
    if found:
        context.exit(FAULTY)
    click.echo("nothing would block or break", err=True)


def _wish(modules: tuple[str, ...], phase: str | None) -> Wish:
    """Linted. Raises MigrationFailed with all that is wrong."""
    here = current()
    for module in modules:
        check_known("module", module, here.application.modules)
    _linter().refuse(_lint(here, modules, None))
    return Wish(migrate=modules or (schemas.ALL,), phase=phase or "")


def _linter() -> Any:
    """Deferred: `up` and `status` do without its extra."""
    try:
        from ramet.check import migration_lint
    except ModuleNotFoundError as error:
        raise ConfigError(f"lint needs {error.name}, which is not installed", hint=extras.command("check")) from error
    return migration_lint


def _lint(here: Current, modules: tuple[str, ...], applied: set[str] | None) -> list[Any]:
    """applied: ids that are not looked at; None for what the databases have."""
    known = {name: module for name, module in here.modules.items() if module.db is not None and (not modules or name in modules)}
    folders = {name: revisions.folder_of(here.application.modules[name]) for name in known}
    lacking: dict[str, set[str]] = {}
    if applied is None:

        async def ask(server: DatabaseServer) -> None:
            wanted = [name for name in server.modules if name in known]
            for change in await server.lacking(wanted):
                lacking.setdefault(change.module, set()).update(change.revisions)

        asyncio.run(with_server(here, ask))
    found: list[Any] = []
    for name, module in known.items():
        all_of_it = revisions.read(folders[name]).revisions
        wanted = [each for each in all_of_it if applied is not None or each.id in lacking.get(name, ())]
        assert module.db is not None, "filtered above"
        found += _linter().lint(name, module.db.key, folders[name], wanted)
    return found


def _go(context: click.Context, wish: Wish, json_: bool, dry_run: bool, yes: bool) -> None:
    here = current()
    if not is_alone(here):
        plans.begin(context, wish, json_, dry_run, yes)
        return
    found = _explain_here(here, wish)
    is_only_told = dry_run or not found.lines or (json_ and not yes)
    if is_only_told or not json_:
        plans.tell(found, json_)
    if is_only_told:
        return
    if not yes:
        click.confirm("take these steps?", abort=True, err=True)

    def told(shard: int, what: Revision | Progress) -> None:
        click.echo(f"shard {shard}: {what}", err=True)

    async def take(server: DatabaseServer) -> None:
        _, steps = await schemas.steps(wish, server, {})
        for step in steps:
            click.echo(step.describe(), err=json_)
            await schemas.take(step, server, told)

    asyncio.run(with_server(here, take))
    if json_:
        click.echo(json.dumps(values.to_plain(found), indent=2))


def is_alone(here: Current) -> bool:
    """Whether no fleet was left running. Raises NothingRuns where one was whose controller does not answer: its instances may
    need what a contract takes away."""
    if here.folder.load() is None:
        return True
    try:
        Client(here.folder).system()
    except NothingRuns as error:
        raise NothingRuns(
            f"{error.message}, and instances of the fleet may be at work", hint="ramet up takes over, ramet down ends them"
        ) from error
    return False


def _explain_here(here: Current, wish: Wish) -> Told:
    async def ask(server: DatabaseServer) -> Told:
        title, steps = await schemas.steps(wish, server, {})
        needs = Needs(connections=2, max_connections=None, instances=0, ports=0, more_bytes=0, free_bytes=0)
        made = Plan(title=title, steps=tuple(steps), needs=needs)
        return explaining.told(made, Facts(releases={}, pool_size=0, start_s=0.0), await rehearse(System(), made))

    return asyncio.run(with_server(here, ask))


async def with_server(here: Current, work: Callable[[DatabaseServer], Awaitable[T]]) -> T:
    server = DatabaseServer(here.application, here.modules.values(), here.folder, lambda _: None)
    if not server.is_needed:
        raise PlanImpossible("no module has a database", hint="db = module.database() in a module's face")
    await server.attach()
    try:
        await server.provision()
        return await work(server)
    finally:
        await server.release()
