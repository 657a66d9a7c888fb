"""Plans under load with a fault at a chosen point of their journal, and what must hold afterwards.

A fault is a victim, a signal and a moment: the number of the journal's entry at whose writing it strikes, with a delay that puts it
into the middle of the step. Run as a script it goes through all of them: `python -m tests.operate.faults extract`.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ramet.errors import RametError
from ramet.model.commands import PlanProgress
from ramet.model.dividing import DataWish
from ramet.model.sharding import Whole
from ramet.model.wanted import Strategy
from ramet.model.wishes import Wish
from ramet.operate.client import Client
from ramet.operate.folder import Folder
from tests.operate import app
from tests.operate.app import Command, request

TOML = app.TOML.replace('main = { modules = ["*"] }', 'main = { modules = ["*"], instances = 2 }')
ENDED = {"done", "undone"}
PLANS = {
    "extract": (None, Wish(extract="orders")),
    "absorb": (Wish(extract="orders"), Wish(absorb="orders")),
    "scale": (None, Wish(scale="main", instances=3)),
    "apply": (None, Wish(topology="grown")),
    "roll": (None, Wish(roll=".")),
    "canary": (None, Wish(roll=".", strategy=Strategy.CANARY)),
    "blue-green": (None, Wish(roll=".", strategy=Strategy.BLUE_GREEN)),
    "extract-database": (None, Wish(data=DataWish(module="orders", of=Whole()))),
    "take-back": (Wish(data=DataWish(module="orders", of=Whole())), Wish(data=DataWish(module="orders", back="last"))),
}
"""What is done before, and the plan that meets the fault."""


@dataclass(frozen=True)
class Fault:
    """victim: controller, envoy, old or new (an instance of the first or the last place). at: entry of the journal."""

    victim: str
    kind: str
    at: int
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind} {self.victim} at entry {self.at} + {self.delay_s * 1e3:.0f} ms"


@dataclass
class Seen:
    """What the clients saw. failed: (when, what, status or error)."""

    statuses: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[float, str, str]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    struck: float = 0.0
    entries: int = 0
    state: str = ""
    why: str = ""


@asynccontextmanager
async def clients(url: str, seen: Seen, *, count: int = 4, pause_s: float = 0.02):
    """Orders that must not run twice, payments that may be sent again, and reads."""
    stop = asyncio.Event()

    async def one(method: str, path: str, sku: str | None) -> None:
        began = time.monotonic()
        try:
            status, _ = await request(url, method, path)
        except (OSError, TimeoutError) as error:
            status = type(error).__name__
        seen.statuses[str(status)] += 1
        if status in (200, 201):
            if sku:
                seen.acknowledged.append(sku)
        else:
            seen.failed.append((began, f"{method} {path}", str(status)))
            if sku:
                seen.unknown.add(sku)

    async def client(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            sku = f"c{number}-{turn}"
            if number % 2:
                await one("POST", f"/front?sku={sku}", sku)
            else:
                await one("POST", f"/orders?sku={sku}", sku)
            await one("GET", "/front/1", None)
            await one("POST", f"/pay?sku=p{sku}&key=k{sku}", f"p{sku}")
            await asyncio.sleep(pause_s)

    tasks = [asyncio.create_task(client(number)) for number in range(count)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


class Drill:
    """One fleet in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        app.write(folder)
        (folder / "ramet.toml").write_text(TOML)
        self.command = Command(folder)
        self.client = Client(Folder(folder / ".ramet"))
        self.folder = folder

    def up(self) -> str:
        return self.command.ok("up", "--detach").strip()

    def pid_of(self, victim: str) -> int | None:
        """Of the process; None if there is none at this moment."""
        if victim == "controller":
            return json.loads((self.folder / ".ramet" / "fleet.json").read_text())["pid"]
        if victim == "envoy":
            return self._pid(self.folder / ".ramet" / "envoy" / "envoy.pid")
        instances = sorted((self.folder / ".ramet" / "instances").glob("*/pid"), key=lambda path: path.stat().st_mtime)
        chosen = instances[:1] if victim == "old" else instances[-1:]
        return self._pid(chosen[0]) if chosen else None

    @staticmethod
    def _pid(path: Path) -> int | None:
        try:
            return json.loads(path.read_text())["pid"]
        except (OSError, ValueError):
            return None

    async def take(self, wish: Wish) -> PlanProgress:
        """Begin a plan and wait for its end."""
        plan = await asyncio.to_thread(self.client.begin, self._placed(wish))
        return await self.wait(plan)

    def _placed(self, wish: Wish) -> Wish:
        return Wish(roll=str(self.folder), strategy=wish.strategy) if wish.roll == "." else wish

    async def wait(self, plan: int, within_s: float = 90.0) -> PlanProgress:
        until = time.monotonic() + within_s
        while True:
            try:
                progress = await asyncio.to_thread(self.client.progress, plan)
                if progress.plan.state in ENDED:
                    return progress
                said = f"{progress.plan.state} {progress.plan.why}"
            except RametError as error:
                said = str(error)
            assert time.monotonic() < until, f"the plan did not end: {said}"
            await asyncio.sleep(0.05)

    async def meet(self, url: str, wish: Wish, fault: Fault | None, seen: Seen) -> None:
        """The plan under load, with a fault in it."""
        async with clients(url, seen):
            await asyncio.sleep(0.5)
            plan = await asyncio.to_thread(self.client.begin, self._placed(wish))
            if fault is not None:
                await self._strike(plan, fault, seen)
            ended = await self.wait(plan)
            seen.entries, seen.state, seen.why = len(ended.lines), ended.plan.state, ended.plan.why
            await asyncio.sleep(1.0)

    async def _strike(self, plan: int, fault: Fault, seen: Seen) -> None:
        while True:
            progress = await asyncio.to_thread(self.client.progress, plan)
            if progress.plan.state in ENDED or (progress.lines and progress.lines[-1].entry >= fault.at):
                break
            await asyncio.sleep(0.005)
        await asyncio.sleep(fault.delay_s)
        pid = self.pid_of(fault.victim)
        if pid is None:
            return
        seen.struck = time.monotonic()
        try:
            os.kill(pid, signal.SIGSTOP if fault.kind == "stop" else signal.SIGKILL)
        except ProcessLookupError:
            return
        if fault.victim != "controller":
            return
        if fault.kind == "stop":
            await asyncio.sleep(2.0)
            os.kill(pid, signal.SIGCONT)
            return
        while is_alive(pid):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(self.up)

    async def check(self, url: str, seen: Seen, fault: Fault | None) -> list[str]:
        """What does not hold. Acknowledged orders are there once, unknown ones at most once, nobody waits, nothing is left over."""
        wrong: list[str] = []
        for sku, expected in [*((sku, {1}) for sku in seen.acknowledged), *((sku, {0, 1}) for sku in seen.unknown)]:
            status, count = await request(url, "GET", f"/orders/by-sku/{sku}")
            if status != 200 or count not in expected:
                wrong.append(f"{sku}: {count} times, expected {expected}")
        system = await asyncio.to_thread(self.client.system)
        if system.unreachable or any(each.state != "ready" for each in system.instances):
            wrong.append(
                f"not ready: {system.unreachable or [each.instance for each in system.instances if each.state != 'ready']}"
            )
        recorded = {each.instance for each in system.instances}
        running = {path.parent.name for path in (self.folder / ".ramet" / "instances").glob("*/pid")}
        if recorded != running:
            wrong.append(f"the record has {recorded}, there run {running}")
        if any(sum(shares.values()) != 100 for shares in system.shares.values()):
            wrong.append(f"shares {system.shares}")
        allowed_s = _allowed_s(fault)
        late = [each for each in seen.failed if not (seen.struck - 6 <= each[0] <= seen.struck + allowed_s)]
        if late if fault else seen.failed:
            wrong.append(f"failed: {(late if fault else seen.failed)[:5]}")
        return wrong


def _allowed_s(fault: Fault | None) -> float:
    """How long after the fault requests may fail. What hangs is killed after 5 s; what is alone in its place must start again."""
    if fault is None or fault.victim == "controller":
        return -1e9  # not at all
    if fault.kind == "stop":
        return 12.0
    return 3.0


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


async def drill(folder: Path, name: str, fault: Fault | None) -> tuple[Seen, list[str]]:
    before, wish = PLANS[name]
    one = Drill(folder)
    seen = Seen()
    try:
        url = one.up()
        await request(url, "POST", "/orders?sku=first")
        if before is not None:
            await one.take(before)
        await one.meet(url, wish, fault, seen)
        return seen, await one.check(url, seen, fault)
    finally:
        one.command.clean()


def faults(name: str, entries: int, seed: int) -> list[Fault]:
    """Each victim at each entry of the journal, at its writing and in the middle of the step."""
    chance = random.Random(seed)
    victims = [("controller", "kill"), ("old", "kill"), ("new", "kill"), ("envoy", "kill"), ("old", "stop"), ("new", "stop")]
    return [
        Fault(victim, kind, at, delay_s)
        for at in range(entries)
        for victim, kind in victims
        for delay_s in (0.0, round(chance.random() * 0.3, 3))
    ]


def main(arguments: list[str]) -> int:
    """NAME [SEED [COUNT]]: all faults of a plan, or COUNT of them by chance."""
    name, seed = arguments[0], int(arguments[1]) if len(arguments) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        seen, wrong = asyncio.run(drill(Path(folder), name, None))
    print(name, "without a fault:", seen.state, dict(seen.statuses), wrong or "fine", flush=True)
    every = faults(name, seen.entries, seed)
    if len(arguments) > 2:
        every = random.Random(seed).sample(every, min(int(arguments[2]), len(every)))
    bad = 0
    for fault in every:
        with tempfile.TemporaryDirectory() as folder:
            try:
                seen, wrong = asyncio.run(drill(Path(folder), name, fault))
                said = f"{seen.state} {dict(seen.statuses)} {wrong or 'fine'} {seen.why[:160]}"
            except (AssertionError, OSError, RametError, subprocess.SubprocessError) as error:
                wrong, said = [str(error)], f"{type(error).__name__}: {str(error)[-600:]}"
        bad += bool(wrong)
        print("BAD " if wrong else "ok  ", name, fault, said, flush=True)
    print(f"{len(every)} faults, {bad} bad")
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
