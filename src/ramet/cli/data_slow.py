"""`ramet data slow`: the queries that cost the most."""

import json
import shutil
import time

import click

from ramet.advise import slow as slowness
from ramet.advise.slow import Slow
from ramet.cli import completing
from ramet.cli.application import check_known, current
from ramet.cli.groups import Choice
from ramet.model.insight import Queries
from ramet.observe.names import CALL_BOUNDS_S
from ramet.operate import asked


@click.command("slow")
@click.option("--by", type=Choice(list(slowness.ORDERS)), default="total", show_default=True, help="What comes first.")
@click.option("--module", help="Of this module alone.", shell_complete=completing.modules)
@click.option("--limit", "-n", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@click.option("--json", "json_", is_flag=True, help="One JSON object, with every call that runs a query.")
def slow(by: str, module: str | None, limit: int, json_: bool) -> None:
    """The queries that cost the most since the instances started, by what they cost in all, their slowest hundredth, or how often
    they run; `n+1` lists those that a loop runs, with the call whose loop it is, `fan-out` those that do not say their module's
    key. Asks what runs in this folder.

    \b
    ramet data slow
    ramet data slow --by n+1 --module articles
    """
    here = current()
    if module is not None:
        check_known("module", module, here.application.modules)
    found = asked.of_folder(here.folder, here.application.name)
    keys = {name: each.db.key for name, each in here.modules.items() if each.db is not None and each.db.key}
    uses = [use for use in found.uses if module in (None, use.module)]
    rows = slowness.rank(uses, by=by, keys=keys, bounds=CALL_BOUNDS_S)
    if json_:
        shown = [_plain(row) for row in rows[:limit]]
        click.echo(json.dumps({"queries": shown, "unreachable": found.unreachable, "dropped": found.dropped}, indent=2))
        return
    _print(rows, limit, by)
    _print_foot(found, rows, limit)


_NONE = {"n+1": "no query repeats within a request", "fan-out": "every query says its key"}


def _print(rows: list[Slow], limit: int, by: str) -> None:
    if not rows:
        click.echo(_NONE.get(by, "no query ran yet"), err=True)
        return
    width = shutil.get_terminal_size((110, 20)).columns
    click.echo(f"{'':10}  {'share':>5}  {'total':>8}  {'runs':>7}  {'mean':>8}  {'p99':>8}  {'rows':>6}  module")
    for row in rows[:limit]:
        query = row.query
        each = query.rows / max(query.executions, 1)
        click.echo(
            f"{click.style(row.fingerprint, bold=True)}  {row.share:>5.0%}  {_seconds(query.total_s):>8}  {query.executions:>7}"
            f"  {_seconds(row.mean_s):>8}  {_seconds(row.p99_s):>8}  {each:>6.3g}  {query.module}"
        )
        text = query.text
        click.echo(f"  {text if len(text) <= width - 2 else text[: width - 6] + ' ...'}")
        calls = ", ".join(f"{use.call or 'outside of calls'} {use.executions}" for use in row.uses[:3])
        more = f", and {len(row.uses) - 3} more" if len(row.uses) > 3 else ""
        shards = "; shard " + ", ".join(f"{shard}: {runs}" for shard, runs in row.shards.items()) if len(row.shards) > 1 else ""
        click.echo(click.style(f"  run by {calls}{more}{shards}", dim=True))
        for words in slowness.words(row):
            click.echo(f"  {click.style(words, fg='yellow')}")


def _print_foot(found: Queries, rows: list[Slow], limit: int) -> None:
    if rows:
        left = f", {len(rows) - limit} more: -n {len(rows)}" if len(rows) > limit else ""
        since = time.strftime("%H:%M:%S", time.localtime(found.started))
        click.echo(f"since {since}{left}; the plan of one: ramet data explain {rows[0].fingerprint}", err=True)
    for instance, why in found.unreachable.items():
        click.echo(f"without {instance}, which does not answer: {why}", err=True)
    if found.dropped:
        click.echo(f"{found.dropped} texts were not counted, since there were too many: are values pasted into SQL?", err=True)


def _plain(row: Slow) -> dict[str, object]:
    """Durations in seconds."""
    query = row.query
    return {
        "fingerprint": row.fingerprint,
        "module": query.module,
        "text": query.text,
        "share": row.share,
        "total_s": query.total_s,
        "executions": query.executions,
        "mean_s": row.mean_s,
        "p50_s": row.p50_s,
        "p99_s": row.p99_s,
        "slowest_s": query.worst.duration_s,
        "rows": query.rows,
        "errors": query.errors,
        "fans_out": row.fans_out,
        "shards": row.shards,
        "calls": [
            {
                "call": use.call,
                "executions": use.executions,
                "total_s": use.total_s,
                "per_request": slowness.per_request(use),
                "most_in_a_request": use.most,
                "n_plus_1": slowness.is_loop(use),
                "callers": use.callers,
            }
            for use in row.uses
        ],
        "words": slowness.words(row),
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
