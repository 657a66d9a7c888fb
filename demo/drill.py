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
from demo.fleet import Conduit, DemoFailed, interrupted_by_signals  # noqa: E402
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
            report = await load.finish()
        return report, wrong
    finally:
        wrong += [f"it still ran after `ramet down`: {command}" for command in await asyncio.to_thread(conduit.remove)]


async def _alone(conduit: Conduit, url: str) -> None:
    os.kill(conduit.status()["pid"], signal.SIGKILL)
    await asyncio.sleep(ALONE_S)
    if (taken := await asyncio.to_thread(conduit.up, "seed")) != url:
        raise DemoFailed(f"the next controller answers at {taken}, what ran was at {url}")


def over_goal(report: LoadReport) -> list[str]:
    """Phases whose p99 was over three times what it was before: told, since other load on the machine does that too."""
    return [
        f"{phase.name}: p99 {phase.p99_before_ms:.1f} ms before, {phase.p99_during_ms:.1f} ms during (goal: 3 times)"
        for phase in report.phases
        if phase.p99_before_ms and phase.p99_during_ms and phase.p99_during_ms > 3 * phase.p99_before_ms
    ]


def judge(report: LoadReport) -> list[str]:
    """What must not have been. Of the broken canary fewer than 1 % of all requests may have failed."""
    wrong: list[str] = []
    for phase in report.phases:
        is_over = phase.failed >= 0.01 * phase.requests if phase.name == "broken canary" else phase.failed > 0
        if is_over or phase.twice or phase.lost or phase.stale or phase.unexpected:
            wrong.append(f"{phase.name}: {phase.failed} failed, {phase.twice} twice, {phase.lost} lost, {phase.stale} stale")
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
    interrupted_by_signals()
    try:
        report, wrong = asyncio.run(drill(arguments.rate, arguments.runs))
    except (DemoFailed, KeyboardInterrupt) as error:
        sys.stdout.write(f"FAILED: {error or 'it was interrupted'}\n")
        return 1
    wrong += judge(report)
    over = over_goal(report)
    result = {"rate": arguments.rate, **report.as_dict(), "wrong": wrong, "over_goal": over}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(f"{history.table([*report.phases, report.total])}\n")
    for text in (*wrong, *over):
        sys.stdout.write(f"{text}\n")
    sys.stdout.write(f"{'FAILED' if wrong else 'passed'}; see {RESULT.relative_to(REPOSITORY)}\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
