"""`ramet status` and `ramet logs`: what runs here, and what it says."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from ramet.cli import completing
from ramet.cli.application import check_known, current
from ramet.errors import NothingRuns
from ramet.kit.durations import format_duration
from ramet.model.control import ResultStatus, Status
from ramet.model.launch import FleetRecord
from ramet.operate.looking import as_json, is_running, look

NOT_RUNNING = 1


@click.command()
@click.option("--json", "json_", is_flag=True, help="One JSON object; `url` is the HTTP entrance.")
@click.pass_context
def status(context: click.Context, json_: bool) -> None:
    """What runs here: each instance, asked itself. Exit code 1 if nothing runs or an instance is not ready.

    \b
    ramet status
    ramet status --json | jq -r .url
    """
    record = current().folder.load()
    if record is None:
        click.echo(json.dumps({"running": False})) if json_ else click.echo("nothing runs here; ramet up")
        context.exit(NOT_RUNNING)
    running = is_running(record)
    found = asyncio.run(look(record))
    if json_:
        click.echo(json.dumps(as_json(record, found, running=running), indent=2))
    else:
        _print(record, found, running)
    if not running or any(isinstance(each, str) or each.state != "ready" for each in found):
        context.exit(NOT_RUNNING)


def _print(record: FleetRecord, found: list[Status | str], running: bool) -> None:
    click.echo(f"{record.app} as {record.topology}, {record.url}{'' if running else ', but its supervisor died: ramet up'}")
    for known, each in zip(record.instances, found, strict=True):
        if isinstance(each, str):
            click.echo(f"  {known.name:<14} {click.style('unreachable', fg='red')}  {each}")
            continue
        state = click.style(f"{each.state:<9}", fg="green" if each.state == "ready" else "yellow")
        since = _clock(each.started)
        memory = each.memory_bytes / 2**20
        load = f"{each.requests_in_flight} requests, {each.calls_in_flight} calls"
        click.echo(
            f"  {known.name:<14} {state} {', '.join(each.modules):<36} {memory:4.0f} MB  {load}  since {since}  {each.why}"
        )
        for schedule in each.schedules:
            last = f"last at {_clock(schedule.last_run_at)}" if schedule.last_run_at else "not yet run here"
            failed = f", {schedule.failed} failed" if schedule.failed else ""
            error = click.style(f"  {schedule.last_error}", fg="red") if schedule.last_error else ""
            click.echo(f"  {'':<14} runs {schedule.module}.{schedule.name}: {schedule.runs} times{failed}, {last}{error}")
        for result in each.results:
            click.echo(f"  {'':<14} keeps {result.module}.{result.name}: {_kept(result)}")
    for line in record.data:
        click.echo(f"  {line}")


def _kept(result: ResultStatus) -> str:
    behind = f"{format_duration(result.stale_s)} behind" if result.stale_s else "up to date"
    if result.max_stale_s is not None and result.stale_s > result.max_stale_s:
        behind = click.style(f"{behind}, more than {format_duration(result.max_stale_s)}", fg="red")
    failed = f", {result.failed} failed" if result.failed else ""
    error = click.style(f"  {result.last_error}", fg="red") if result.last_error else ""
    return f"{behind}, {result.refreshes} refreshes{failed}{error}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%H:%M:%S")


@click.command("logs")
@click.argument("instances", nargs=-1, shell_complete=completing.instances)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="Lines from the end of each.")
def show_logs(instances: tuple[str, ...], follow: bool, lines: int) -> None:
    """The logs of INSTANCES (default: all).

    \b
    ramet logs web-1 -n 100
    ramet logs -f
    """
    record = current().folder.load()
    if record is None:
        raise NothingRuns("nothing runs here", hint="ramet up")
    known = {each.name: Path(each.log) for each in record.instances}
    for name in instances:
        check_known("instance", name, known)
    files = {name: known[name] for name in instances or known}
    ends = {name: _print_tail(name, path, lines, width=max(map(len, files))) for name, path in files.items()}
    while follow:
        for name, path in files.items():
            ends[name] = _print_from(name, path, ends[name], width=max(map(len, files)))
        time.sleep(0.2)


def _print_tail(name: str, path: Path, lines: int, *, width: int) -> int:
    if not path.exists():
        return 0
    data = path.read_bytes()
    text = data.decode(errors="replace").splitlines()
    for line in text[max(len(text) - lines, 0) :]:
        click.echo(f"{name:<{width}}  {line}")
    return len(data)


def _print_from(name: str, path: Path, begin: int, *, width: int) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        if path.stat().st_size < begin:
            begin = 0  # it was begun anew
        file.seek(begin)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        click.echo(f"{name:<{width}}  {line}")
    return begin + len(whole)
