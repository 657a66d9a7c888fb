"""`python -m bench [GROUP...]`: measure, print the tables, merge the figures into `bench/results.json`."""

import importlib
import sys
import time
from collections.abc import Iterable

import click

from bench import results
from bench.harness import Effort
from bench.results import Outcome, Report, say

GROUPS = {
    "local": "bench.local",
    "record": "bench.record",
    "calls": "bench.calls",
    "http": "bench.http",
    "data": "bench.data",
    "conduit": "bench.conduit",
    "check": "bench.check",
    "migration": "bench.migration",
    "moves": "bench.moves",
}
"""Imported only if asked for: each brings stacks that the others should not have to load."""


@click.command(epilog="Exit: 0 all goals are met, 1 one is not, 2 a figure with a goal could not be measured.")
@click.argument("groups", nargs=-1, type=click.Choice(list(GROUPS)))
@click.option("--rounds", default=Effort.rounds, show_default=True, type=click.IntRange(1), help="Turns of every subject.")
@click.option("--seconds", default=Effort.seconds, show_default=True, type=click.FloatRange(0.05), help="Of one turn of `calls`.")
def main(groups: tuple[str, ...], rounds: int, seconds: float) -> None:
    """Measure Ramet against its peers, in one run, taking turns.

    GROUPS: local (what a local call costs over a bare await), record (one record of a unit of work), calls (remote
    calls), http (a typed route), data (one read, one write), conduit (an application), check (`ramet check`), migration (a column
    renamed in a table of a million rows, under load), moves (half of the buckets to another server, under load). All of them if
    none is given. Other groups' figures in bench/results.json stay as they were.

    \b
    python -m bench
    python -m bench calls --rounds 3 --seconds 0.5
    """
    start = time.monotonic()
    figures: dict[str, Outcome] = {}
    for group in groups or GROUPS:
        report: Report = importlib.import_module(GROUPS[group]).measure(Effort(rounds=rounds, seconds=seconds))
        print(report.table, end="\n\n", flush=True)
        figures |= report.figures
    results.merge(results.RESULTS, figures)
    print(results.figures_table(figures))
    say(f"{time.monotonic() - start:.0f} s; merged into {results.RESULTS}")
    sys.exit(exit_code(figures.values()))


def exit_code(outcomes: Iterable[Outcome]) -> int:
    verdicts = [outcome.met for outcome in outcomes if outcome.goal]
    if False in verdicts:
        return 1
    return 2 if None in verdicts else 0


if __name__ == "__main__":
    main()
