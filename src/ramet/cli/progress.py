"""A plan as it goes on, step by step, until it is over or waits for a person. A line a step where nobody watches a terminal."""

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import click

from ramet.errors import NothingRuns, PlanError
from ramet.model.commands import JournalLine, PlanState
from ramet.operate.client import Client

WAITING = frozenset({"done", "undone", "paused", "stuck"})
POLL_S = 0.1
"""How often the journal is asked for news. Nothing waits for it, and a tenth of a second is at once for a person."""
PATIENCE_S = 120.0
"""How long a controller may be away: the next one that is started goes on with the plan."""
_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "held": ("!", "yellow"), "undone": ("↶", "yellow")}


def follow(client: Client, plan: int, *, after: int = -1, quiet: bool) -> PlanState:
    """Show it until it waits or is over. Ctrl-C asks it to pause after the step in hand, and waits for that.

    after: number of the last entry of its journal that is no news.
    """
    silent_since: float | None = None
    with _display(quiet) as show:
        while True:
            try:
                try:
                    progress = client.progress(plan, after=after)
                    silent_since = None
                except NothingRuns:
                    silent_since = silent_since or time.monotonic()
                    if time.monotonic() - silent_since > PATIENCE_S:
                        raise
                    time.sleep(POLL_S)
                    continue
                for line in progress.lines:
                    after = line.entry
                    show(line, progress.plan)
                if progress.plan.state in WAITING:
                    break
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                click.echo("pausing after the step in hand", err=True)
                with contextlib.suppress(PlanError, NothingRuns):  # it is over already, or nobody is there to pause it
                    client.pause()
    if not quiet:
        _end(progress.plan)
    return progress.plan


Show = Callable[[JournalLine, PlanState], None]


@contextmanager
def _display(quiet: bool) -> Generator[Show]:
    if quiet:
        yield lambda _line, _plan: None
    elif sys.stderr.isatty() and importlib.util.find_spec("rich") is not None:
        with _live() as show:
            yield show
    else:
        yield _print


def _print(line: JournalLine, plan: PlanState) -> None:
    """A line of the journal that says how a step ended."""
    if line.step < 0 or line.event not in _MARKS:
        return
    mark, color = _MARKS[line.event]
    detail = f"  {line.detail}" if line.detail else ""
    click.echo(f"{click.style(mark, fg=color)} {line.step + 1:>2}/{len(plan.steps)}  {plan.steps[line.step]}{detail}", err=True)


@contextmanager
def _live() -> Generator[Show]:
    """The step in hand with a bar over all steps below what is printed."""
    # Deferred: an extra, and only for a terminal.
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(line: JournalLine, plan: PlanState) -> None:
            if line.step >= 0:
                what = plan.steps[line.step]
                back = "take back: " if line.event == "undoing" else ""
                bar.update(task, total=len(plan.steps), completed=plan.taken, description=escape(f"{back}{what}"))
            if line.step >= 0 and line.event in _MARKS:
                mark, color = _MARKS[line.event]
                detail = f"  [dim]{line.detail}[/dim]" if line.detail else ""
                bar.console.print(
                    f"[{color}]{mark}[/{color}] {line.step + 1:>2}  {plan.steps[line.step]}{detail}", highlight=False
                )

        yield show


def _end(plan: PlanState) -> None:
    why = f": {plan.why}" if plan.why else ""
    hint = {"paused": "ramet apply --resume, or --undo", "stuck": "ramet logs; then ramet apply --undo, or --resume"}
    took = f" after {plan.ended - plan.began:.1f} s" if plan.ended is not None else ""
    color = {"done": "green", "stuck": "red"}.get(plan.state, "yellow")
    click.secho(f"plan {plan.id}: {plan.state}{took}{why}", fg=color, err=True)
    if plan.state in hint:
        click.echo(f"hint: {hint[plan.state]}", err=True)
