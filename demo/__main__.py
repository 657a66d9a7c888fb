"""`python -m demo`: Conduit grows and shrinks under load. Exit code 0 only if nothing failed that must not, and nothing was lost,
doubled or stale. Writes `demo.json` beside the Makefile."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY / "examples"))

from conduit_load.load import Load, LoadReport  # noqa: E402  (found by the line above)

from demo.fleet import Conduit, DemoFailed, interrupted_by_signals  # noqa: E402
from demo.story import STORY, Chapter  # noqa: E402
from ramet.testing import history  # noqa: E402

RESULT = REPOSITORY / "demo.json"
PEOPLE = 40
WINDOW_S = 4.0
"""Before and after each step, for the p99 that it is compared with."""
LIMIT_S = 285.0
"""For all together but the last cleaning up: the promise is five minutes."""
SEED = 2026
MAX_TOLD = 20
"""Findings of a phase that are printed; the counts are of all."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--rate", type=float, default=80.0, help="people a second who begin to do something (default 80)")
    arguments = parser.parse_args()
    interrupted_by_signals()
    demo = Demo(arguments.rate)
    RESULT.unlink(missing_ok=True)
    try:
        demo.run()
    except DemoFailed as error:
        demo.problems.append(str(error))
    except KeyboardInterrupt:
        demo.problems.append("it was interrupted")
    finally:
        demo.end()
    return 0 if demo.report() else 1


class Demo:
    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._begin = time.monotonic()
        self._conduit = Conduit()
        self._chapter = ""
        self.phases: list[history.Phase] = []
        self.problems: list[str] = []

    def run(self) -> None:
        """Raises DemoFailed."""
        self._say("seed: ramet up seed --detach")
        url = self._conduit.up("seed")
        self._say(f"seed: {url}, one process")
        try:
            asyncio.run(asyncio.wait_for(self._tell(url), LIMIT_S - (time.monotonic() - self._begin)))
        except TimeoutError as error:
            raise DemoFailed(f"{self._chapter}: not done after {LIMIT_S:.0f} s") from error
        self._say("ramet down")
        self._conduit.down()

    async def _tell(self, url: str) -> None:
        self._say(f"{PEOPLE} people register, publish and follow each other")
        struck: dict[str, float] = {}
        async with Load(url, rate=self._rate, people=PEOPLE, seed=SEED, window_s=WINDOW_S) as load:
            self._say(f"{self._rate:g} people a second, every answer recorded, until the end")
            watch = asyncio.create_task(self._watch(load))
            try:
                for chapter in STORY:
                    self._chapter = f"{chapter.name}: soon"
                    async with load.phase(chapter.name):
                        self._chapter = chapter.name
                        struck[chapter.name] = load.world.history.clock()
                        self._say(chapter.name)
                        await chapter.act(self._conduit)
                self._chapter = "is all there that was acknowledged?"
                self._say(self._chapter)
                report = await load.finish()
            finally:
                watch.cancel()
        self._judge(load, report, struck)

    def _judge(self, load: Load, report: LoadReport, struck: dict[str, float]) -> None:
        """What failed, and may not have: in chapters where something may fail, more than that or later."""
        self.phases = [*report.phases, report.total]
        for phase in report.phases:
            chapter = _chapter(phase.name)
            if phase.failed > chapter.may_fail * phase.requests:
                self.problems.append(
                    f"{phase.name}: {phase.failed} of {phase.requests} requests failed, {chapter.may_fail:.0%} may"
                )
            if chapter.fails_for_s is not None:
                began = struck[phase.name]
                times = [each.due_s - began for each in load.world.history.operations if _failed(each, began, phase.seconds)]
                if late := [each for each in times if each > chapter.fails_for_s]:
                    self.problems.append(
                        f"{phase.name}: {len(late)} requests failed later than {chapter.fails_for_s:g} s after it"
                    )
        spans = [(struck[phase.name], phase) for phase in report.phases if _chapter(phase.name).may_fail]
        wrong = [finding for finding in report.found.findings if not _may_be(finding, load, spans)]
        self.problems += [str(finding) for finding in wrong[:MAX_TOLD]]

    async def _watch(self, load: Load) -> None:
        """On a terminal a line that changes, else a line now and then."""
        is_terminal = sys.stderr.isatty()
        while True:
            await asyncio.sleep(0.5 if is_terminal else 5.0)
            so_far = load.statistics()
            text = f"{so_far['requests']:,} requests, {so_far['failed']} failed, p99 {so_far['p99_ms'] or 0:.0f} ms"
            text = f"{self._chapter}: {text}{f'  {self._conduit.step}' if self._conduit.step else ''}"
            if is_terminal:
                width = shutil.get_terminal_size().columns - 10
                sys.stderr.write(f"\r\x1b[2K{time.monotonic() - self._begin:5.1f} s  {text[:width]}")
                sys.stderr.flush()
            else:
                self._say(text)

    def end(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # what is begun here is ended, whoever is impatient
        left = self._conduit.remove()
        if not self.problems:  # else a start was broken off, and what it had begun is no surprise
            self.problems += [f"it still ran after `ramet down`: {command}" for command in left]

    def report(self) -> bool:
        """Print the table, write the file; returns whether all is well."""
        passed = not self.problems and len(self.phases) == len(STORY) + 1 and all(phase.requests for phase in self.phases)
        result = {"passed": passed, "phases": [phase.as_dict() for phase in self.phases], "problems": self.problems}
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
        sys.stdout.write(f"{history.table(self.phases)}\n")
        for text in self.problems:
            sys.stdout.write(f"{text}\n")
        sys.stdout.write(f"{'passed' if passed else 'FAILED'} after {time.monotonic() - self._begin:.0f} s; see {RESULT.name}\n")
        return passed

    def _say(self, text: str) -> None:
        clear = "\r\x1b[2K" if sys.stderr.isatty() else ""
        sys.stderr.write(f"{clear}{time.monotonic() - self._begin:5.1f} s  {text}\n")
        sys.stderr.flush()


def _chapter(name: str) -> Chapter:
    return next(chapter for chapter in STORY if chapter.name == name)


def _may_be(finding: history.Finding, load: Load, spans: list[tuple[float, history.Phase]]) -> bool:
    """A failed request in a chapter in which some may fail. Nothing else that is found may be, ever."""
    if finding.kind is not history.Kind.FAILED or finding.operation is None:
        return False
    due_s = load.world.history.operations[finding.operation].due_s
    return any(began_s <= due_s < began_s + phase.seconds for began_s, phase in spans)


def _failed(operation: history.Operation, began_s: float, seconds: float) -> bool:
    return operation.outcome is not history.Outcome.OK and began_s <= operation.due_s < began_s + seconds


if __name__ == "__main__":
    sys.exit(main())
