"""The tables of docs/concepts/gates.md are computed here, and its replay is what the command prints."""

import math
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from ramet.cli.main import run
from ramet.model.gates.evidence import Counts, Evidence, weigh
from ramet.model.gates.policy import Policy
from ramet.model.gates.state import Gate
from tests.docs.example import DOCS, blocks
from tests.model.rollouts import blamed_after_minutes

PAGE = "concepts/gates.md"
RUNS = 300
TRAFFIC = [(0.5, 0.10, 0.005), (2, 0.10, 0.005), (2, 0.50, 0.005), (20, 0.10, 0.001), (200, 0.10, 0.001)]
"""(requests per second, weight, error rate of the old side)"""


def table(first: str) -> list[str]:
    """The rows of the page's table whose head begins so."""
    found = re.search(rf"^\| {first}.*\|\n\|[-|]+\|\n((?:\|.*\|\n)*)", (DOCS / PAGE).read_text(), re.M)
    assert found, first
    return found[1].splitlines()


def errors_needed() -> Iterator[str]:
    """Each row: the fewest errors of the new side with which the default policy fails it."""
    policy = Policy()
    for old_errors in (0, 2, 5, 10):
        row = [str(old_errors)]
        for weight in (0.05, 0.10, 0.25, 0.50):
            needed, log_e = 0, 0.0
            while log_e < Gate(policy=policy).log_e_fail:
                needed += 1
                new, old = Counts(round(10_000 * weight), needed), Counts(round(10_000 * (1 - weight)), old_errors)
                log_e = weigh(
                    Evidence(), new, old, tolerance=policy.tolerance, pass_ratio=policy.pass_ratio, attempts=policy.attempts
                ).log_e_worse
            row.append(str(needed))
        yield f"| {' | '.join(row)} |"


def seen(rps: float, weight: float, error_rate: float) -> Iterator[str]:
    yield f"| {rps:g} per second | {100 * weight:g} % | {100 * error_rate:g} % "
    for ratio in (1, 2, 5, 20):
        rates = (error_rate * ratio, error_rate)
        found = blamed_after_minutes(RUNS, Policy(bake_s=1200), rps=rps, weight=lambda _: weight, errors=lambda _, r=rates: r)
        share = f"{100 * len(found) / RUNS:.1f} %"
        yield f"{share}, {math.ceil(statistics.median(found))} min " if ratio > 1 and found else f"{share} "


@pytest.mark.parametrize("row", range(len(TRAFFIC)))
def test_what_can_be_seen_is_what_the_simulation_finds(row: int) -> None:
    """Seeded, so the figures of the page are exactly these."""
    rows = table("requests")
    assert len(rows) == len(TRAFFIC)
    assert rows[row] == "| ".join(seen(*TRAFFIC[row])) + "|"


def late() -> str:
    """The row of median minutes from the beginning of a fault, after so many healthy minutes."""
    row = ["median minute of the fault in which it is found"]
    for before in (0, 10, 20, 40):
        found = blamed_after_minutes(
            RUNS // 2,
            Policy(bake_s=6000),
            rps=2,
            weight=lambda _: 0.1,
            errors=lambda at_s, begin_s=60 * before: (0.1 if at_s >= begin_s else 0.005, 0.005),
            for_s=60 * before + 1200,
        )
        row.append(f"{statistics.median(found) - before:g}")
    return f"| {' | '.join(row)} |"


def test_how_long_a_late_fault_takes_is_what_the_simulation_finds() -> None:
    """The price of carrying evidence on."""
    assert table("healthy minutes before the fault") == [late()]


def test_the_errors_that_make_a_fail_are_computed() -> None:
    """At the default policy, in which alpha is split over two metrics."""
    assert table("errors of the old side so far") == list(errors_needed())


def test_the_table_of_the_policy_has_every_field_with_its_default() -> None:
    """In the order of the code."""
    rows = [re.match(r"\| `(\w+)` \| ([\d.]+) \|", row) for row in table("field")]
    assert [(row[1], float(row[2])) for row in rows if row] == [
        (name, getattr(Policy(), name)) for name in Policy.__struct_fields__
    ]
    assert all(rows)


def test_the_replay_of_the_page_is_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the recording that stands above it."""
    [(_, recording, _)] = blocks(PAGE, "jsonl")
    [printed] = [text for mark, text, _ in blocks(PAGE, "text") if mark == "replay"]
    (tmp_path / "feed.jsonl").write_text(recording)
    assert run(["gate", "replay", str(tmp_path / "feed.jsonl")]) == 1
    assert capsys.readouterr().out == printed
