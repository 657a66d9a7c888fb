"""`ramet gate`: what a recorded gate said, tick by tick, and what another policy would have said."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from ramet.cli.groups import Group
from ramet.model.gates import gate as gates
from ramet.model.gates.policy import Policy
from ramet.model.gates.recordings import Recording, read
from ramet.model.gates.samples import Sample, Side
from ramet.model.gates.state import METRICS, Gate
from ramet.model.gates.verdicts import Verdict
from ramet.model.gates.wording import e_value, percent
from ramet.wire import values

NOT_PASSED = 1
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60
COLORS = {"pass": "green", "fail": "red"}


class Tick(NamedTuple):
    """A sample, and the gate after it."""

    sample: Sample
    gate: Gate


@click.group(cls=Group)
def gate() -> None:
    """Gates of plans: whether a change may go on.

    \b
    ramet gate replay feed-5.jsonl
    ramet gate replay feed-5.jsonl --json
    """


@gate.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--alpha", type=click.FloatRange(0, 0.5, min_open=True), help="As if this chance of a false alarm were allowed.")
@click.option("--tolerance", type=click.FloatRange(1, 100), help="As if a ratio up to this were not held against the new side.")
@click.option("--pass-ratio", type=click.FloatRange(1, 1000), help="As if refuting this ratio were enough for an early pass.")
@click.option("--min-requests", type=click.IntRange(1), help="As if a pass needed so many requests of each side.")
@click.option("--bake", "bake_s", type=click.FloatRange(0, min_open=True), help="As if a bake took so many seconds.")
@click.option("--json", "json_", is_flag=True, help="One JSON object.")
@click.pass_context
def replay(context: click.Context, file: Path, json_: bool, **asked: float | None) -> None:
    """Judge the recording of a gate again. Exit code 1 unless it passes.

    For each tick: requests, errors and slow requests of the new and the old side, and the evidence (e-value) that the new side is
    worse. The options judge it by another policy than the recorded one.

    \b
    ramet gate replay feed-5.jsonl
    ramet gate replay feed-5.jsonl --alpha 0.01 --json | jq .verdict.kind
    """
    recording = read(file.read_bytes(), file=str(file))
    policy = _changed(recording.policy, {name: value for name, value in asked.items() if value is not None})
    ticks = list(_ticks(policy, recording))
    verdict = gates.verdict(ticks[-1].gate if ticks else gates.opened(policy))
    if json_:
        click.echo(json.dumps(_as_json(policy, ticks, verdict), indent=2))
    else:
        _print(ticks, verdict, left=len(recording.samples) - len(ticks))
    if verdict.kind != "pass":
        context.exit(NOT_PASSED)


def _changed(policy: Policy, asked: dict[str, float]) -> Policy:
    try:
        return policy.but(**asked)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _ticks(policy: Policy, recording: Recording) -> Iterator[Tick]:
    """Up to the one that ended the gate."""
    state = gates.opened(policy)
    for sample in recording.samples:
        state = gates.observe(state, sample)
        yield Tick(sample, state)
        if state.final:
            return


def _as_json(policy: Policy, ticks: list[Tick], verdict: Verdict) -> Any:
    return {
        "verdict": values.to_plain(verdict),
        "policy": values.to_plain(policy),
        "ticks": [
            {
                **values.to_plain(sample),
                "log10_e_worse": {metric: state.evidence(metric).log_e_worse / math.log(10) for metric in METRICS},
                "verdict": gates.verdict(state).kind,
            }
            for sample, state in ticks
        ],
    }


def _print(ticks: list[Tick], verdict: Verdict, *, left: int) -> None:
    if ticks:
        click.echo(f"{'':>8} {'':>7}  {'new side':^23}  {'old side':^23}  {'evidence: new is worse':>23}")
        sides = f"{'requests':>9} {'errors':>6} {'slow':>6}"
        click.echo(f"{'at':>8} {'weight':>7}  {sides}  {sides}  {'errors':>11} {'slow':>11}")
    begin_s = ticks[0].sample.since_s if ticks else 0.0
    for sample, state in ticks:
        evidence = " ".join(f"{e_value(state.evidence(metric).log_e_worse):>11}" for metric in METRICS)
        at = f"{sample.at_s - begin_s:.0f} s"
        click.echo(f"{at:>8} {percent(sample.weight):>7}  {_counts(sample.new)}  {_counts(sample.old)}  {evidence}")
        for signal in sample.signals:
            click.echo(
                f"{'':>8} {signal.kind} of {signal.instance} ({signal.side}){f': {signal.detail}' if signal.detail else ''}"
            )
    if ticks:
        _picture(ticks)
    click.echo(f"{click.style(verdict.kind, fg=COLORS.get(verdict.kind, 'yellow'), bold=True)}: {verdict.reason}")
    if left:
        click.echo(f"{left} samples after that were not looked at", err=True)


def _counts(side: Side) -> str:
    return f"{side.requests:>9,} {side.errors:>6,} {side.slow:>6,}"


def _picture(ticks: list[Tick]) -> None:
    """The evidence of each metric over time, on a logarithmic scale on which the full height is what makes it fail."""
    columns = min(len(ticks), WIDTH)
    shown = [ticks[(column + 1) * len(ticks) // columns - 1] for column in range(columns)]
    for metric in METRICS:
        heights = [state.evidence(metric).log_e_worse / state.log_e_fail for _, state in shown]
        bars = "".join(BARS[min(max(int(height * (len(BARS) - 1)), 0), len(BARS) - 1)] for height in heights)
        last = ticks[-1].gate
        click.echo(f"{metric:<6} {bars} {e_value(last.evidence(metric).log_e_worse)} of {e_value(last.log_e_fail)}")
