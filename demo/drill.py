"""`python -m demo.drill`: each plan several times under open-loop load, the controller dead for a minute, and a broken canary.

Exit code 0 only if nothing failed, was lost or doubled. Writes `demo/drill.json`: what was measured, published as it is.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY / "examples"))

from conduit_load.load import Load, LoadReport  # noqa: E402  (found by the line above)

from demo import versions  # noqa: E402
from demo.fleet import Conduit  # noqa: E402
from ramet.testing import history  # noqa: E402

RESULT = Path(__file__).parent / "drill.json"
ALONE_S = 60.0
"""How long the system is without its controller."""
PEOPLE = 40
WINDOW_S = 6.0

Act = Callable[[], Awaitable[None]]


def plans(conduit: Conduit) -> list[tuple[str, Act]]:
    """In an order in which each finds what it needs. A roll rolls the same code again, under another label."""

    def plan(*arguments: str) -> Act:
        return lambda: conduit.plan(*arguments)

    return [
        ("scale up", plan("scale", "main", "2")),
        ("extract", plan("extract", "feed")),
        ("roll", plan("roll")),
        ("blue/green", plan("roll", "--blue-green")),
        ("canary", plan("roll", "--canary")),
        ("absorb", plan("absorb", "feed")),
        ("scale down", plan("scale", "main", "1")),
    ]


async def drill(rate: float, runs: int) -> tuple[LoadReport, list[str]]:
    """The report of all runs, and what went wrong beside it."""
    conduit = Conduit()
    wrong: list[str] = []
    try:
        url = await asyncio.to_thread(conduit.up, "seed")
        async with Load(url, rate=rate, people=PEOPLE, window_s=WINDOW_S) as load:
            for run in range(1, runs + 1):
                for name, act in plans(conduit):
                    async with load.phase(f"{name} {run}"):
                        tell(f"{name} {run}: {load.statistics()}")
                        await act()
            async with load.phase("no controller, 60 s"):
                await _alone(conduit, url)
            async with load.phase("broken canary"):
                began = time.monotonic()
                folder = str(versions.broken(conduit.beside("broken")))
                await conduit.plan("roll", "--canary", "--path", folder, ends="undone")
                if (took := time.monotonic() - began) > ALONE_S:
                    wrong.append(f"the broken canary was undone after {took:.0f} s")
            return await load.finish(), wrong
    finally:
        await asyncio.to_thread(conduit.remove)


async def _alone(conduit: Conduit, url: str) -> None:
    os.kill(conduit.status()["pid"], signal.SIGKILL)
    await asyncio.sleep(ALONE_S)
    assert await asyncio.to_thread(conduit.up, "seed") == url, "the next controller has taken over what runs"


def judge(report: LoadReport) -> list[str]:
    """What must not have been. Of the broken canary fewer than 1 % of all requests may have failed."""
    wrong: list[str] = []
    for phase in report.phases:
        may_fail = 0.01 * phase.requests if phase.name == "broken canary" else 0
        if phase.failed > may_fail or phase.twice or phase.lost or phase.stale or phase.unexpected:
            wrong.append(f"{phase.name}: {phase.failed} failed, {phase.twice} twice, {phase.lost} lost, {phase.stale} stale")
        if phase.p99_before_ms and phase.p99_during_ms and phase.p99_during_ms > 3 * phase.p99_before_ms:
            wrong.append(
                f"{phase.name}: p99 {phase.p99_before_ms:.1f} ms before, {phase.p99_during_ms:.1f} ms during (goal: 3 times)"
            )
    between = report.total.failed - sum(phase.failed for phase in report.phases)
    if between:
        wrong.append(f"{between} requests failed between the phases")
    return wrong


def tell(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stderr.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.drill", description=__doc__)
    parser.add_argument(
        "--rate",
        type=float,
        default=200.0,
        help="people a second who begin to do something (default 200: half of what two cores carry)",
    )
    parser.add_argument("--runs", type=int, default=3, help="of each plan (default 3)")
    arguments = parser.parse_args()
    report, wrong = asyncio.run(drill(arguments.rate, arguments.runs))
    wrong += judge(report)
    RESULT.write_text(json.dumps({"rate": arguments.rate, **report.as_dict(), "wrong": wrong}, indent=2) + "\n")
    sys.stdout.write(f"{history.table([*report.phases, report.total])}\n")
    for text in wrong:
        sys.stdout.write(f"{text}\n")
    sys.stdout.write(f"{'FAILED' if wrong else 'passed'}; see {RESULT.relative_to(REPOSITORY)}\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
