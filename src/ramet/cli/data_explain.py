"""`ramet data explain`: the plan of one query, and what it says in words."""

import asyncio
import dataclasses
import json
import shutil
from collections.abc import Sequence

import click

from ramet.advise.plan import Plan, parse
from ramet.advise.plan_tree import MARK, draw
from ramet.advise.plan_words import Flag, flags
from ramet.advise.predicates import read
from ramet.advise.slow import fans_out
from ramet.cli.application import Current, current
from ramet.data.insight.explaining import Explained
from ramet.data.insight.explaining import explain as ask
from ramet.data.insight.server_side import ServerSide, server_side
from ramet.errors import ConfigError
from ramet.model.insight import QueryUse, by_query
from ramet.operate import asked
from ramet.operate.databases import attached


@click.command("explain")
@click.argument("fingerprint")
@click.option("--analyze", is_flag=True, help="Run it and measure; for a SELECT whose parameters were kept.")
@click.option("--json", "json_", is_flag=True, help="One JSON object, with the server's own plan.")
def explain(fingerprint: str, analyze: bool, json_: bool) -> None:
    """The plan of the query that `ramet data slow` calls FINGERPRINT (its first digits do): with the parameters of its slowest
    execution, or where none were kept the plan for every parameter. Asked as the module itself, in a transaction that only reads.

    \b
    ramet data explain 09adc98cc7
    ramet data explain 09ad --analyze
    """
    here = current()
    query = _find(fingerprint, asked.of_folder(here.folder, here.application.name).uses)
    _check(query, analyze=analyze)
    found, measured = asyncio.run(_ask(here, query, analyze=analyze))
    plan = parse(found.plan)
    said = flags(plan, found.sizes)
    database = here.modules[query.module].db
    if database is not None and database.key and fans_out(query, database.key):
        said.append(
            Flag(f"it fans out: {database.key} is compared with nothing, so it asks every shard", f"say which {database.key}")
        )
    if json_:
        click.echo(json.dumps(_plain(query, found, plan, said, measured), indent=2))
        return
    _print(query, found, plan, said, measured)


def _find(start: str, uses: Sequence[QueryUse]) -> QueryUse:
    """The query that begins so; of the same one in several modules that of the most time."""
    queries = list(by_query(uses).values())
    names = sorted({each.fingerprint for each in queries if start and each.fingerprint.startswith(start.lower())})
    if not names:
        raise ConfigError(f"no query that ran here is called {start}", hint="ramet data slow")
    if len(names) > 1:
        raise ConfigError(f"{len(names)} queries begin with {start}", hint=", ".join(names))
    return max((each for each in queries if each.fingerprint == names[0]), key=lambda each: each.total_s)


def _check(query: QueryUse, *, analyze: bool) -> None:
    if not query.worst.text:
        raise ConfigError(f"the text of {query.fingerprint} was too long to be kept")
    if analyze and (reading := read(query.worst.text)).verb != "select":
        why = reading.problem or f"it is an {reading.verb.upper()}"
        raise ConfigError(
            f"--analyze runs the query, and this one may write: {why}", hint=f"ramet data explain {query.fingerprint}"
        )


async def _ask(here: Current, query: QueryUse, *, analyze: bool) -> tuple[Explained, ServerSide | None]:
    """With what the server has measured of it; None where it measures nothing."""
    async with attached(here.application, here.modules.values(), here.folder) as server:
        address = asked.address_of(here.folder, server, query.module, query.worst.shard)
        measured = (await server_side(address)).get(query.fingerprint)
        return await ask(address, query.worst, analyze=analyze), measured


def _print(query: QueryUse, found: Explained, plan: Plan, said: list[Flag], measured: ServerSide | None) -> None:
    click.echo(f"{query.module}: {query.text}")
    if found.is_generic:
        click.echo("the plan for every parameter; none were kept, or it has changed since", err=True)
    elif query.worst.parameters:
        shown = ", ".join(f"${index} = {_short(value)}" for index, value in enumerate(query.worst.parameters, 1))
        click.echo(f"with the parameters of its slowest execution, {query.worst.duration_s * 1e3:.3g} ms: {shown}")
    if measured is not None and measured.executions:
        click.echo(_words(measured, query))
    click.echo()
    for line in draw(plan, width=shutil.get_terminal_size((110, 20)).columns):
        click.echo(click.style(line, bold=True) if line.endswith(MARK) else line)
    click.echo()
    for flag in said:
        click.echo(f"{click.style(flag.what, fg='yellow')}\n  do: {flag.do}")
    if not said:
        click.echo("nothing in it stands out")
    if plan.took_ms is not None:
        click.echo(f"it took {plan.took_ms:.3g} ms", err=True)


def _words(measured: ServerSide, query: QueryUse) -> str:
    """What of its time is the server's, and what came from disk or went there."""
    there_ms = measured.total_s / measured.executions * 1e3
    here_ms = query.total_s / query.executions * 1e3
    spilled = f", {measured.spilled_mb:,.1f} MB to temporary files" if measured.spilled_mb else ""
    return (
        f"on the server {there_ms:.3g} ms each, with the way there and back {here_ms:.3g} ms; "
        f"{measured.read_mb:,.1f} MB from outside of its memory{spilled}"
    )


def _plain(query: QueryUse, found: Explained, plan: Plan, said: list[Flag], measured: ServerSide | None) -> dict[str, object]:
    return {
        "fingerprint": query.fingerprint,
        "module": query.module,
        "text": query.worst.text,
        "parameters": None if found.is_generic else query.worst.parameters,
        "generic": found.is_generic,
        "took_ms": plan.took_ms,
        "cost": plan.cost,
        "expensive": {"node": plan.expensive.title, "share": plan.share(plan.expensive)},
        "server": None if measured is None else dataclasses.asdict(measured),
        "flags": [{"what": flag.what, "do": flag.do} for flag in said],
        "plan": found.plan,
    }


def _short(value: str | None) -> str:
    if value is None:
        return "NULL"
    return value if len(value) <= 40 else value[:37] + "..."
