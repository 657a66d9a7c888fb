"""Group `check`: how long `ramet check` takes for 100,000 lines, the first time and again.

The subject is Django as it is installed, by name, and what it takes is scaled to 100,000 lines. Each run is a process of its own,
so the start of Python is in it. The peer is import-linter with one contract of layers on that package: it reads imports alone.
"""

import importlib.metadata
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.harness import Effort
from bench.results import Figure, NotMeasured, Report, at_most, table
from ramet.check import opening

LINES = 100_000
PACKAGE = "django"
CONTRACT = f"""
[importlinter]
root_package = {PACKAGE}

[importlinter:contract:layers]
name = layers
type = layers
layers =
    {PACKAGE}.contrib
    {PACKAGE}.utils
"""
OURS, PEER = "ramet check", "import-linter, one contract of layers"
COLD, WARM = "first", "again"


@dataclass(frozen=True)
class Took:
    """Of the fastest round, both for 100,000 lines."""

    wall_s: float
    cpu_s: float


Measured = dict[tuple[str, str], Took]


def figure(name: str, turn: str, limit: float | None) -> Figure[Measured]:
    return Figure(
        name,
        "s",
        lambda measured: took(measured, OURS, turn).wall_s,
        lambda measured: {f"{PEER} {importlib.metadata.version('import-linter')}": took(measured, PEER, turn).wall_s},
        None if limit is None else at_most(limit),
    )


FIGURES = [figure("check.first_s_100k_lines", COLD, 5.0), figure("check.again_s_100k_lines", WARM, None)]


def measure(effort: Effort) -> Report:
    lines = lines_of_package()
    measured: Measured = {}
    for _ in range(effort.rounds):
        for name, command in commands().items():
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                (folder / ".importlinter").write_text(CONTRACT)
                for turn in (COLD, WARM):
                    now = timed(command, folder, lines)
                    best = measured.get((name, turn))
                    measured[name, turn] = now if best is None or now.wall_s < best.wall_s else best
    rows = [(name, turn, f"{each.wall_s:.2f}", f"{each.cpu_s:.2f}") for (name, turn), each in measured.items()]
    return Report.of(table(("for 100,000 lines", "run", "s", "CPU s"), rows, left=(0, 1)), FIGURES, measured)


def commands() -> dict[str, list[str]]:
    python = Path(sys.executable)
    return {OURS: [str(python), "-m", "ramet", "check", PACKAGE], PEER: [str(python.parent / "lint-imports")]}


def timed(command: list[str], folder: Path, lines: int) -> Took:
    before, start = children_cpu_s(), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wall_s, cpu_s = time.perf_counter() - start, children_cpu_s() - before
    if done.returncode not in {0, 1}:
        raise NotMeasured(done.stderr)
    return Took(wall_s * LINES / lines, cpu_s * LINES / lines)


def lines_of_package() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return opening.of_package(PACKAGE, Path(folder), cached=False).lines


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def took(measured: Measured, name: str, turn: str) -> Took:
    if (name, turn) not in measured:
        raise NotMeasured(f"{name} was not run")
    return measured[name, turn]
