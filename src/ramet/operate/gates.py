"""Gates of a running plan: counters read once a second, judged by `model.gates`, every sample kept for `ramet gate replay`.

Evidence carries over from one shift to the next of the same two sides, and from one controller to the one that takes over, which
judges the recording again and goes on. Slowness counts only once the new instances are warm: their first requests open
connections, prepare statements and fill caches.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from ramet.engines.supervision import Status as Run
from ramet.model.control import Counters, Status
from ramet.model.gates import gate as gates
from ramet.model.gates import recordings
from ramet.model.gates.policy import Policy
from ramet.model.gates.samples import Sample, Signal
from ramet.model.gates.state import Gate
from ramet.model.gates.verdicts import Verdict
from ramet.model.release import Release
from ramet.model.steps import Watch
from ramet.model.system import System
from ramet.operate.errors import GateFailed, GateHeld
from ramet.operate.keeper import SILENT, Keeper
from ramet.operate.sampling import Reader, SlowLimits, changed_calls, known_errors, slow_limits
from ramet.process import control

TICK_S = 1.0
PATIENCE = 3
"""A gate that cannot tell at the end of its time goes on for so many times as long before a person is asked."""
WARM_S = 3.0
"""After each shift, slowness is not counted for so long. Three looks; errors and hard signals count from the first."""
UNREADY_TICKS = 2
"""An instance that is not ready, or does not answer, for so many looks in a row has a hard signal."""


class Watched(Protocol):
    @property
    def system(self) -> System: ...
    @property
    def keepers(self) -> Mapping[str, Keeper]: ...
    @property
    def releases(self) -> Mapping[str, Release]: ...


class Gates:
    """folder: where the samples go, a file for each gate. policy: for versions that are compared, of the application.
    memory_limits: service -> bytes. promised_s: the shortest latency of an objective, from which on a request is slow; None
    without any. is_asked: whether somebody waits for the plan to stop."""

    def __init__(
        self,
        folder: Path,
        policy: Policy,
        *,
        memory_limits: Mapping[str, int] | None = None,
        promised_s: float | None = None,
        is_asked: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._policy = policy
        self._memory_limits = dict(memory_limits or {})
        self._promised_s = promised_s
        self._is_asked = is_asked
        self._clock = clock
        self._open: dict[tuple[tuple[str, ...], tuple[str, ...]], _Open] = {}
        self.plan = 0
        """Number of the plan that the gates belong to."""

    def __repr__(self) -> str:
        return f"<Gates of plan {self.plan}: {len(self._open)} open>"

    def begin(self, plan: int) -> None:
        """Evidence of another plan is none."""
        self.plan = plan
        self._open.clear()

    async def watch(self, gate: Watch, world: Watched) -> str:
        """Until it can tell. Returns what it found. Raises GateFailed; GateHeld where it cannot tell, or somebody waits for the
        plan to stop: it has not passed then."""
        opened = self._open.get((gate.old, gate.new))
        if opened is None:
            opened = self._open[gate.old, gate.new] = _Open(self._file(gate), self._policy_of(gate), gate, self._promised_s)
        began = since = self._clock()
        await opened.begin(world, began)
        while True:
            await asyncio.sleep(TICK_S)
            now = self._clock()
            verdict = await opened.look(world, since, now, self._memory_limits)
            since = now
            if opened.is_over:
                del self._open[gate.old, gate.new]  # it will say nothing else any more; resumed, the plan asks a new one
            if verdict.kind == "fail":
                raise GateFailed(
                    f"the gate failed: {verdict.reason}", where=str(opened.file), hint=f"ramet gate replay {opened.file}"
                )
            said = f"{verdict.kind}: {verdict.reason}"
            if self._is_asked():
                raise GateHeld(f"you asked for it, before the gate was over; {said}", where=str(opened.file))
            elapsed_s = now - began
            if verdict.kind == "inconclusive" and opened.is_over:
                raise GateHeld(f"the gate cannot blame one side: {verdict.reason}", where=str(opened.file))
            if gate.holds and (verdict.kind == "pass" or elapsed_s < gate.seconds * PATIENCE):
                if verdict.kind == "pass":
                    return said
                continue
            if gate.holds:
                raise GateHeld(f"the gate cannot tell after {elapsed_s:.0f} s, {said}", where=str(opened.file))
            if elapsed_s >= gate.seconds:
                return said

    def _policy_of(self, gate: Watch) -> Policy:
        return self._policy.but(bake_s=gate.seconds, min_s=min(self._policy.min_s, gate.seconds))

    def _file(self, gate: Watch) -> Path:
        names = "-".join(place.replace("@", "_") for place in gate.new)
        return self._folder / f"plan-{self.plan}" / f"{names}.jsonl"


class _Open:
    """One gate: its state, its file, and the readings that the next tick is counted from."""

    def __init__(self, file: Path, policy: Policy, gate: Watch, promised_s: float | None) -> None:
        self.file = file
        self._gate = gate
        self._state: Gate = gates.opened(policy)
        self._reader = Reader(gate.modules)
        self._promised_s = promised_s
        self._limits = SlowLimits()
        self._warm_s = 0.0
        self._restarts: dict[str, int] = {}
        self._unready: dict[str, int] = {}
        self._known: dict[str, int] = {}
        self._changed: list[Signal] = []
        self._is_new = True
        self._open(policy)

    def _open(self, policy: Policy) -> None:
        """Begin a recording, or go on with the one of an earlier controller: the clock is the machine's and goes on too. One that
        has said its last word stays as it is, and another one is begun beside it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        first, number = self.file, 1
        while self.file.exists():
            data = self.file.read_bytes()
            data = data[: data.rfind(b"\n") + 1]  # a line that was being written is none
            if not data:
                break
            state = gates.opened(policy)
            for sample in recordings.read(data, file=str(self.file)).samples:
                state = gates.observe(state, sample)
            if state.final is None:
                self.file.write_bytes(data)
                self._state = state
                return
            number += 1
            self.file = first.with_stem(f"{first.stem}-{number}")
        self.file.write_bytes(recordings.head(policy))

    def __repr__(self) -> str:
        return f"<gate of {', '.join(self._gate.new)}: {gates.verdict(self._state).kind}>"

    @property
    def is_over(self) -> bool:
        """It will say nothing else any more."""
        return self._state.final is not None

    async def begin(self, world: Watched, now: float) -> None:
        """Count from here: what came while no gate looked belongs to no weight."""
        readings = await self._read(world)
        self._warm_s = now + WARM_S
        if self._is_new:
            old = [
                readings[each.instance]
                for place in self._gate.old
                for each in world.system.at(place)
                if each.instance in readings
            ]
            self._limits = slow_limits(old, self._gate.modules, self._promised_s)
            self._known = known_errors(old, self._gate.modules)
            self._changed = [signal for name in self._names(world, self._gate.new) for signal in await self._compare(world, name)]
        self._reader.begin(readings)
        for name in self._names(world, (*self._gate.old, *self._gate.new)):
            self._restarts.setdefault(name, world.keepers[name].supervisor.restarts)

    async def look(self, world: Watched, since: float, now: float, memory_limits: Mapping[str, int]) -> Verdict:
        readings = await self._read(world)
        limits = self._limits if since >= self._warm_s else SlowLimits()
        new = self._reader.read(readings, self._names(world, self._gate.new), limits)
        old = self._reader.read(readings, self._names(world, self._gate.old), limits)
        if self._is_new:  # see `Side.exceptions`
            old = type(old)(old.requests, old.errors, old.slow, {**self._known, **old.exceptions})
            self._is_new = False
        signals = [
            *self._changed,
            *await self._signals(world, self._gate.new, "new", memory_limits),
            *await self._signals(world, self._gate.old, "old", memory_limits),
        ]
        shares = world.system.shares[self._gate.modules[0]]
        weight = sum(shares.get(place, 0) for place in self._gate.new) / 100
        sample = Sample(since_s=since, at_s=now, weight=weight, new=new, old=old, signals=tuple(signals))
        with self.file.open("ab") as file:
            file.write(recordings.line(sample))
        self._state = gates.observe(self._state, sample)
        return gates.verdict(self._state)

    def _names(self, world: Watched, places: tuple[str, ...]) -> list[str]:
        return [each.instance for place in places for each in world.system.at(place) if each.instance in world.keepers]

    async def _compare(self, world: Watched, name: str) -> list[Signal]:
        keeper = world.keepers[name]
        try:
            told: dict[str, str] = await keeper.call(control.contracts)
        except SILENT:
            return []  # that it does not answer is another signal
        changed = changed_calls(world.releases[keeper.launch.version], self._gate.modules, told)
        said = f"{', '.join(changed)}: not the contract that the plan was made with; the files of this version were changed"
        return [_signal("contract", name, said, "new")] if changed else []

    async def _read(self, world: Watched) -> dict[str, Counters]:
        names = self._names(world, (*self._gate.old, *self._gate.new))
        answers = await asyncio.gather(*(_ask(world.keepers[name]) for name in names))
        return {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}

    async def _signals(self, world: Watched, places: tuple[str, ...], side: str, limits: Mapping[str, int]) -> list[Signal]:
        found: list[Signal] = []
        for name in self._names(world, places):
            keeper = world.keepers[name]
            before = self._restarts.setdefault(name, keeper.supervisor.restarts)
            if keeper.supervisor.restarts > before or keeper.supervisor.status in {Run.WAITING, Run.FAILED}:
                self._restarts[name] = keeper.supervisor.restarts
                found.append(_signal("crash", name, keeper.supervisor.last_exit, side))
                continue
            status = await keeper.ask_or_why()
            is_ready = isinstance(status, Status) and status.state == "ready"
            self._unready[name] = 0 if is_ready else self._unready.get(name, 0) + 1
            if self._unready[name] >= UNREADY_TICKS:
                said = status.why if isinstance(status, Status) else f"it does not answer: {status}"
                found.append(_signal("unready", name, said, side))
            limit = limits.get(keeper.launch.service)
            if isinstance(status, Status) and limit is not None and status.memory_bytes > limit:
                said = f"{status.memory_bytes / 2**20:.0f} MB, its limit is {limit / 2**20:.0f} MB"
                found.append(_signal("memory", name, said, side))
        return found


def _signal(kind: str, instance: str, detail: str, side: str) -> Signal:
    return Signal(kind=kind, instance=instance, detail=detail, side=side)  # pyright: ignore[reportArgumentType]  (from its literals)


async def _ask(keeper: Keeper) -> Counters | None:
    try:
        return await keeper.call(control.counters)
    except SILENT:
        return None
