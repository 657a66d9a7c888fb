"""`ramet data advise`: indexes that would help or could go, and the column to divide rows by."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from ramet.advise import indexes, keys
from ramet.advise.indexes import Candidate, Needless
from ramet.advise.keys import Key
from ramet.cli import completing
from ramet.cli.application import Current, check_known, current
from ramet.data import revisions
from ramet.data.errors import DatabaseError
from ramet.data.insight import index_revision
from ramet.data.insight.catalog import read_catalog
from ramet.engines.errors import EngineError
from ramet.errors import NothingRuns
from ramet.model.catalog import Catalog, Trial
from ramet.model.insight import QueryUse, by_query
from ramet.operate import asked
from ramet.operate.databases import DatabaseServer, attached
from ramet.operate.trying import try_on_a_copy

MAX_TRIED = 10
"""Indexes of one module that are tried: those that are expected to save the most."""
SHOWN_KEYS = 4


@dataclass(frozen=True)
class Advice:
    """For one module. useless: candidates that did not help when they were tried. declared: its key, empty for none. untried: why
    nothing was tried, empty where it was."""

    module: str
    catalog: Catalog
    wanted: list[Candidate]
    useless: list[Candidate]
    needless: list[Needless]
    keys: list[Key]
    declared: str
    untried: str


@click.command("advise")
@click.option("--module", help="Of this module alone.", shell_complete=completing.modules)
@click.option("--no-trial", is_flag=True, help="Do not try the indexes on a copy of the statistics.")
@click.option("--write", is_flag=True, help="Write a migration with CREATE INDEX CONCURRENTLY for each module that wants one.")
@click.option("--json", "json_", is_flag=True, help="One JSON array, an object for each module.")
def advise(module: str | None, no_trial: bool, write: bool, json_: bool) -> None:
    """Indexes that the queries since the start want, tried on a PostgreSQL of a moment's life that has the tables' statistics and
    none of their rows; indexes that could go; and for each column that queries compare, the share of them that one shard could
    answer if rows were divided by it. Changes nothing but for the migrations of --write.

    \b
    ramet data advise
    ramet data advise --module articles --write
    """
    here = current()
    if module is not None:
        check_known("module", module, here.application.modules)
    found = asyncio.run(_advise(here, _uses(here), module, try_them=not no_trial))
    if json_:
        click.echo(json.dumps([_plain(each) for each in found], indent=2))
    else:
        for each in found:
            _print(each)
    if write:
        _write(here, found)


def _uses(here: Current) -> list[QueryUse]:
    """None where nothing runs: what is in the database can be looked at all the same."""
    try:
        return asked.of_folder(here.folder, here.application.name).uses
    except NothingRuns:
        click.echo("nothing runs here, so no query is known; what the databases have is looked at alone", err=True)
        return []


async def _advise(here: Current, uses: Sequence[QueryUse], only: str | None, *, try_them: bool) -> list[Advice]:
    modules = [name for name, each in here.modules.items() if each.db is not None and only in (None, name)]
    async with attached(here.application, here.modules.values(), here.folder) as server:
        return [await _of_module(here, server, name, uses, try_them=try_them) for name in modules]


async def _of_module(here: Current, server: DatabaseServer, module: str, uses: Sequence[QueryUse], *, try_them: bool) -> Advice:
    catalog = await read_catalog(server.address(module))
    queries = list(by_query(use for use in uses if use.module == module).values())
    guessed = indexes.candidates(queries, catalog)[:MAX_TRIED]
    untried = "" if try_them else "--no-trial"
    if guessed and try_them:
        try:
            trials = await try_on_a_copy(catalog, [(each.index, [query.worst for query in each.queries]) for each in guessed])
        except (EngineError, DatabaseError) as error:
            untried = str(error)
        else:
            guessed = [indexes.tried(each, its) for each, its in zip(guessed, trials, strict=True)]
    database = here.modules[module].db
    return Advice(
        module,
        catalog,
        sorted((each for each in guessed if each.helps), key=lambda each: -each.saved_s),
        [each for each in guessed if not each.helps],
        indexes.needless(catalog),
        keys.keys(queries, catalog),
        (database.key if database is not None else None) or "",
        untried,
    )


def _print(advice: Advice) -> None:
    click.secho(advice.module, bold=True)
    for each in advice.wanted:
        _print_wanted(each, advice)
    for each in advice.useless:
        before_after = ", ".join(f"cost {trial.before:,.0f} -> {trial.after:,.0f}" for trial in each.trials)
        click.echo(f"  no index on {each.index}: tried, it does not halve a cost ({before_after})")
    for each in advice.needless:
        size = f"{each.index.bytes / 2**20:,.1f} MB"
        since = (
            f" since {_day(advice.catalog.since)}" if not each.instead and each.index.is_valid and advice.catalog.since else ""
        )
        click.echo(
            f"  {click.style('index ' + each.index.name, fg='yellow')} on {each.index.table} could go, {size}: {each.why}{since}"
        )
    _print_keys(advice)
    if not (advice.wanted or advice.needless or advice.keys):
        click.echo("  nothing to say")


def _print_wanted(each: Candidate, advice: Advice) -> None:
    share = each.saved_s / each.total_s if each.total_s else 0.0
    title = click.style(f"index on {each.index}", fg="green")
    click.echo(f"  {title}: {share:.0%} less for the {each.total_s:,.3g} s that its queries have taken")
    click.echo(
        f"      about {each.left:,.0f} of {each.rows:,.0f} rows to read; {each.writes:,} rows written would each cost it too"
    )
    for number, query in enumerate(each.queries):
        trial = each.trials[number] if each.trials else Trial(problem=advice.untried)
        outcome = f"cost {trial.before:,.0f} -> {trial.after:,.0f}" if not trial.problem else f"not tried: {trial.problem}"
        click.echo(f"      {query.fingerprint}  {outcome}  {_short(query.text)}")
    click.echo(click.style(f"      {each.index.create(_name(each, advice), concurrently=True)}", dim=True))


def _print_keys(advice: Advice) -> None:
    for key in advice.keys[:SHOWN_KEYS]:
        is_declared = " (the module's key)" if key.column == advice.declared else ""
        elsewhere = f", {key.elsewhere} are of tables without it" if key.elsewhere else ""
        fans = f", {key.fanned} would ask every shard" if key.fanned else ""
        most = f", most often {key.worst.fingerprint}" if key.worst else ""
        click.echo(
            f"  divided by {key.column}{is_declared}: {key.share:.0%} of what ran would ask one shard{fans}{most}{elsewhere}"
        )


def _write(here: Current, found: Sequence[Advice]) -> None:
    now = datetime.now(UTC)
    for advice in found:
        if advice.wanted:
            folder = revisions.folder_of(here.application.modules[advice.module])
            path = index_revision.write(folder, [each.index for each in advice.wanted], taken=_taken(advice), now=now)
            click.echo(f"written: {path}; ramet migrate up {advice.module}", err=True)
    if not any(advice.wanted for advice in found):
        click.echo("no index is wanted, so no migration was written", err=True)


def _taken(advice: Advice) -> set[str]:
    return {index.name for table in advice.catalog.tables.values() for index in table.indexes}


def _name(candidate: Candidate, advice: Advice) -> str:
    return candidate.index.name(_taken(advice))


def _plain(advice: Advice) -> dict[str, Any]:
    """Durations in seconds, costs in the planner's units."""
    return {
        "module": advice.module,
        "untried": advice.untried,
        "indexes": [
            {
                "table": each.index.table,
                "columns": each.index.columns,
                "statement": each.index.create(_name(each, advice), concurrently=True),
                "helps": each.helps,
                "rows": each.rows,
                "left": each.left,
                "total_s": each.total_s,
                "saved_s": each.saved_s,
                "writes": each.writes,
                "queries": [query.fingerprint for query in each.queries],
                "trials": [
                    {"before": trial.before, "after": trial.after, "used": trial.used, "problem": trial.problem}
                    for trial in each.trials
                ],
            }
            for each in [*advice.wanted, *advice.useless]
        ],
        "needless": [
            {
                "index": each.index.name,
                "table": each.index.table,
                "why": each.why,
                "instead": each.instead,
                "bytes": each.index.bytes,
            }
            for each in advice.needless
        ],
        "keys": [
            {
                "column": key.column,
                "declared": key.column == advice.declared,
                "share": key.share,
                "single": key.single,
                "fanned": key.fanned,
                "elsewhere": key.elsewhere,
                "tables": key.tables,
                "worst": key.worst.fingerprint if key.worst else None,
            }
            for key in advice.keys
        ],
    }


def _short(text: str) -> str:
    return text if len(text) <= 70 else text[:66] + " ..."


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
