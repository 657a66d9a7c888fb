"""`python -m demo`: exit code 0 only if nothing failed, was lost, doubled or stale. Writes `demo.json` beside the Makefile."""

import argparse
import asyncio
import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY / "examples"))

from conduit_load.load import Load, LoadReport  # noqa: E402  (found by the line above)
from conduit_load.memory import World  # noqa: E402

from demo.fleet import Conduit, DemoFailed  # noqa: E402
from ramet.testing import history  # noqa: E402

RESULT = REPOSITORY / "demo.json"
TOPOLOGIES = ("seed", "grown")
PEOPLE = 40
LIMIT_S = 165.0
"""For all together but the last cleaning up: the promise is three minutes."""
SEED = 2026
MAX_TOLD = 20
"""Findings of a phase that are printed; the counts are of all."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--rate", type=float, default=80.0, help="people a second who begin to do something (default 80)")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the load in each phase (default 30)")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    demo = Demo(arguments.rate, arguments.seconds)
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


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Demo:
    def __init__(self, rate: float, seconds: float) -> None:
        self._rate = rate
        self._seconds = seconds
        self._begin = time.monotonic()
        self._conduit = Conduit()
        self._world = World(f"{int(time.time()):x}-")
        self.phases: list[history.Phase] = []
        self.problems: list[str] = []

    def run(self) -> None:
        """Raises DemoFailed."""
        for topology in TOPOLOGIES:
            self._say(f"{topology}: ramet up {topology} --detach")
            url = self._conduit.up(topology)
            instances = [each["instance"] for each in self._conduit.status().get("instances", [])]
            self._say(f"{topology}: {url}, {len(instances)} instance{'s' * (len(instances) != 1)}: {', '.join(instances)}")
            try:
                left_s = LIMIT_S - (time.monotonic() - self._begin)
                report = asyncio.run(asyncio.wait_for(self._phase(topology, url), left_s))
            except TimeoutError as error:
                raise DemoFailed(f"{topology}: not done after {LIMIT_S:.0f} s") from error
            self.phases.append(replace(report.total, name=topology))
            self.problems += [f"{topology}: {finding}" for finding in report.found.findings[:MAX_TOLD]]
            self._say(f"{topology}: ramet down")
            self._conduit.down()

    async def _phase(self, topology: str, url: str) -> LoadReport:
        if self._world.people:
            self._say(f"{topology}: is all there that was written before?")
        else:
            self._say(f"{topology}: {PEOPLE} people register, publish and follow each other")
        async with Load(url, rate=self._rate, world=self._world, people=PEOPLE, seed=SEED + len(self.phases)) as load:
            self._say(f"{topology}: {self._seconds:.0f} s of load, {self._rate:g} people a second, every answer recorded")
            watch = asyncio.create_task(self._watch(topology, load))
            try:
                await asyncio.sleep(self._seconds)
            finally:
                watch.cancel()
            self._say(f"{topology}: is all there that was acknowledged? {self._known()}")
            return await load.finish()

    def _known(self) -> str:
        comments = sum(len(article.comments) for article in self._world.articles)
        return f"{len(self._world.people)} people, {len(self._world.articles)} articles, {comments} comments"

    async def _watch(self, topology: str, load: Load) -> None:
        while True:
            await asyncio.sleep(5.0)
            so_far = load.statistics()
            self._say(f"{topology}: {so_far['requests']} requests, {so_far['failed']} failed, p99 {so_far['p99_ms'] or 0:.0f} ms")

    def end(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # what is begun here is ended, whoever is impatient
        left = self._conduit.remove()
        if not self.problems:  # else a start was broken off, and what it had begun is no surprise
            self.problems += [f"it still ran after `ramet down`: {command}" for command in left]

    def report(self) -> bool:
        """Print the table, write the file; returns whether all is well."""
        clean = all(phase.is_clean and phase.requests for phase in self.phases)
        passed = clean and not self.problems and len(self.phases) == len(TOPOLOGIES)
        result = {"passed": passed, "phases": [phase.as_dict() for phase in self.phases], "problems": self.problems}
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
        sys.stdout.write(f"{history.table(self.phases)}\n")
        for text in self.problems:
            sys.stdout.write(f"{text}\n")
        sys.stdout.write(f"{'passed' if passed else 'FAILED'} after {time.monotonic() - self._begin:.0f} s; see {RESULT.name}\n")
        return passed

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._begin:5.1f} s  {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
