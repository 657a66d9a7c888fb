"""`ramet plan`, `apply`, `extract`, `absorb`, `scale`, `roll`, `history`: changes of the running system."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ramet.cli import completing
from ramet.cli.application import current
from ramet.cli.progress import follow
from ramet.model.commands import PlanState
from ramet.model.dividing import DataWish
from ramet.model.explaining import Told
from ramet.model.sharding import Whole
from ramet.model.wanted import Strategy
from ramet.model.wishes import Wish
from ramet.operate.client import Client
from ramet.wire import values

NOT_DONE = 1


def _client() -> Client:
    return Client(current().folder)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What all that begin a plan take."""
    command = click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)
    command = click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")(command)
    return click.option(
        "--json", "json_", is_flag=True, help="One JSON object: the plan; with --yes the plan as it ended, with its journal."
    )(command)


@click.command()
@click.argument("topology", shell_complete=completing.topologies)
@click.option("--json", "json_", is_flag=True, help="One JSON object.")
def plan(topology: str, json_: bool) -> None:
    """The steps from what runs to TOPOLOGY: what each does, why, how long, its risk, how it is undone. Changes nothing.

    \b
    ramet plan grown
    ramet plan grown --json | jq .takes_s
    """
    _tell(_client().explain(Wish(topology=topology)), json_)


@click.command("apply")
@click.argument("topology", required=False, shell_complete=completing.topologies)
@click.option("--resume", is_flag=True, help="Go on with the plan that is paused.")
@click.option("--undo", is_flag=True, help="Take back what the plan under way has done.")
@options
@click.pass_context
def apply(context: click.Context, topology: str | None, resume: bool, undo: bool, json_: bool, dry_run: bool, yes: bool) -> None:
    """Take the running system to TOPOLOGY, live, step by step. Ctrl-C pauses after the step in hand.

    \b
    ramet apply grown
    ramet apply --undo
    """
    if (topology is not None) + resume + undo != 1:
        raise click.UsageError("one of: TOPOLOGY, --resume, --undo")
    if topology is not None:
        begin(context, Wish(topology=topology), json_, dry_run, yes)
        return
    client = _client()
    plans = client.plans()
    seen = max((line.entry for line in client.progress(plans[0].id).lines), default=-1) if plans else -1
    if resume:
        client.resume()
    else:
        client.undo()
    _follow(context, client, plans[0].id, json_, after=seen, wanted="undone" if undo else "done")


@click.command()
@click.argument("module", shell_complete=completing.modules)
@click.option("--as", "service", default="", help="Name of the service. Default: the module's.")
@click.option("--database", is_flag=True, help="Its data instead: all of it, to a database server of its own.")
@options
@click.pass_context
def extract(context: click.Context, module: str, service: str, database: bool, json_: bool, dry_run: bool, yes: bool) -> None:
    """Make MODULE a service of its own, live: its calls and requests go over in steps of 5, 25, 50, 100 %.

    \b
    ramet extract feed
    ramet extract feed --as timeline --dry-run
    ramet extract feed --database
    """
    if database:
        if service:
            raise click.UsageError("--as names a service, and --database moves data: one of the two")
        begin(context, Wish(data=DataWish(module=module, of=Whole())), json_, dry_run, yes)
        return
    begin(context, Wish(extract=module, service=service), json_, dry_run, yes)


@click.command()
@click.argument("service", shell_complete=completing.services)
@click.option(
    "--into",
    default="",
    shell_complete=completing.services,
    help="The service that takes its modules. Default: the one with the most modules.",
)
@options
@click.pass_context
def absorb(context: click.Context, service: str, into: str, json_: bool, dry_run: bool, yes: bool) -> None:
    """Fold SERVICE back into another one, live: the way back of `extract`.

    \b
    ramet absorb feed
    ramet absorb feed --into web
    """
    begin(context, Wish(absorb=service, into=into), json_, dry_run, yes)


@click.command()
@click.argument("service", shell_complete=completing.services)
@click.argument("instances", type=click.IntRange(min=0))
@options
@click.pass_context
def scale(context: click.Context, service: str, instances: int, json_: bool, dry_run: bool, yes: bool) -> None:
    """Run SERVICE with so many INSTANCES.

    \b
    ramet scale web 3
    ramet scale web 1 --yes
    """
    begin(context, Wish(scale=service, instances=instances), json_, dry_run, yes)


@click.command()
@click.option(
    "--path",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the new version, with a ramet.toml; its own .venv runs it, if it has one. Default: the current one.",
)
@click.option("--canary", is_flag=True, help="All of it, then 5, 25, 50, 100 % of the traffic, with gates.")
@click.option("--blue-green", is_flag=True, help="All of it, then one switch; the old one stays 30 s.")
@click.option("--rolling", is_flag=True, help="An instance at a time. The default.")
@options
@click.pass_context
def roll(
    context: click.Context,
    path: Path | None,
    canary: bool,
    blue_green: bool,
    rolling: bool,
    json_: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Bring another version of the code, live. Refused where it breaks a caller that runs.

    \b
    ramet roll
    ramet roll --canary --path ../conduit-2
    """
    if canary + blue_green + rolling > 1:
        raise click.UsageError("one of: --rolling, --canary, --blue-green")
    strategy = Strategy.CANARY if canary else Strategy.BLUE_GREEN if blue_green else Strategy.ROLLING
    folder = str((path or current().file.parent).resolve())
    begin(context, Wish(roll=folder, strategy=strategy), json_, dry_run, yes)


@click.command("history")
@click.argument("number", type=int, required=False)
@click.option("--json", "json_", is_flag=True, help="JSON.")
def show_history(number: int | None, json_: bool) -> None:
    """The plans of this system, newest first; or the journal of one, by its NUMBER.

    \b
    ramet history
    ramet history 3 --json
    """
    client = _client()
    if number is None:
        plans = client.plans()
        if json_:
            click.echo(json.dumps(values.to_plain(plans), indent=2))
            return
        for each in plans:
            _print_plan(each)
        if not plans:
            click.echo("no plan yet; ramet plan TOPOLOGY", err=True)
        return
    progress = client.progress(number)
    if json_:
        click.echo(json.dumps(values.to_plain(progress), indent=2))
        return
    _print_plan(progress.plan)
    for line in progress.lines:
        step = f"step {line.step + 1}" if line.step >= 0 else "plan"
        click.echo(f"  {_time(line.at, milliseconds=True)}  {step:<8} {line.event:<8} {line.detail}")


def _print_plan(plan: PlanState) -> None:
    took = f"{plan.ended - plan.began:.1f} s" if plan.ended is not None else f"{plan.taken} of {len(plan.steps)} steps"
    why = f"  {plan.why}" if plan.why else ""
    color = {"done": "green", "undone": "yellow", "stuck": "red"}.get(plan.state)
    click.echo(f"{plan.id:>4}  {_time(plan.began)}  {click.style(f'{plan.state:<8}', fg=color)} {took:>12}  {plan.title}{why}")


def _time(seconds: float, *, milliseconds: bool = False) -> str:
    local = datetime.fromtimestamp(seconds, UTC).astimezone()
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}" if milliseconds else f"{local:%Y-%m-%d %H:%M:%S}"


def begin(context: click.Context, wish: Wish, json_: bool, dry_run: bool, yes: bool) -> None:
    """Explain it, ask, begin it, and show it until it is over."""
    client = _client()
    told = client.explain(wish)
    is_only_told = dry_run or not told.lines or (json_ and not yes)
    if is_only_told or not json_:
        _tell(told, json_)
    if is_only_told:
        return
    if not yes:
        click.confirm("take these steps?", abort=True, err=True)
    _follow(context, client, client.begin(wish), json_, wanted="done")


def _follow(context: click.Context, client: Client, plan: int, json_: bool, *, wanted: str, after: int = -1) -> None:
    ended = follow(client, plan, after=after, quiet=json_)
    if json_:
        click.echo(json.dumps(values.to_plain(client.progress(plan)), indent=2))
    if ended.state != wanted:
        context.exit(NOT_DONE)


def _tell(told: Told, json_: bool) -> None:
    if json_:
        click.echo(json.dumps(values.to_plain(told), indent=2))
        return
    if not told.lines:
        click.echo("nothing to do: the system is what is wanted already")
        return
    click.secho(told.title, bold=True)
    said: set[tuple[str, str]] = set()
    for number, line in enumerate(told.lines, 1):
        click.echo(f"{number:>3}  {line.takes_s:5.1f} s  {line.what}")
        if (line.kind, line.why) not in said:  # once for each kind of step: four shifts have one reason
            said.add((line.kind, line.why))
            click.secho(f"{'':>14}why: {line.why}", dim=True)
            click.secho(f"{'':>14}risk: {line.risk}; undo: {line.undo}", dim=True)
    click.echo(f"about {told.takes_s:.0f} s; needs {told.needs}")
