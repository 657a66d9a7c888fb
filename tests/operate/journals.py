"""A world and a journal in memory, which fail where a test says so, and a controller's death between any two of their writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ramet.model.planning import Plan
from ramet.model.steps import AnyStep, Watch
from ramet.model.system import System, problems
from ramet.operate.runner import Runner, State, left_by
from tests.model.planned import MODULES


class Died(BaseException):
    """The controller, at a write to its journal: no `except Exception` may see it."""


@dataclass
class Paper:
    """What is on disk of one plan. lives: writes that succeed before the controller dies, None for all. late: whether the last
    write is on disk when it dies, and only its reply is lost."""

    entries: list[tuple[int, str]] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    state: str = "running"
    why: str = ""
    lives: int | None = None
    late: bool = False

    async def write(self, step: int, event: str, detail: str) -> None:
        is_last = self._is_last()
        if not is_last or self.late:
            self.entries.append((step, event))
            self.details.append(detail)
        if is_last:
            raise Died

    async def mark(self, state: str, why: str) -> None:
        is_last = self._is_last()
        if not is_last or self.late:
            self.state, self.why = state, why
        if is_last:
            raise Died

    def _is_last(self) -> bool:
        if self.lives is None:
            return False
        self.lives -= 1
        return self.lives < 0

    @property
    def events(self) -> list[str]:
        """`begun 1`, by the number that a person sees."""
        return [f"{event} {step + 1}" for step, event in self.entries]


@dataclass
class FakeWorld:
    """Has the system, checks that each state is one in which all requests are answered, and fails as told.

    fails: verb -> what it raises, each time. done: the verbs so far.
    """

    system: System
    fails: dict[str, Exception] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    ready: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ready = {each.instance for each in self.system.instances}

    def _do(self, verb: str) -> None:
        self.done.append(verb)
        if verb in self.fails:
            raise self.fails[verb]

    async def reach(self, system: System) -> None:
        if found := problems(system, MODULES):
            raise AssertionError(f"requests would fail: {'; '.join(found)}")
        if unready := {each.instance for each in system.instances} - self.ready:
            raise AssertionError(f"requests would go to {unready}, not ready")
        self.system = system
        self._do("reach")

    async def start(self, place: str, instances: Sequence[str], modules: Sequence[str]) -> None:
        self._do("start")
        self.ready |= set(instances)

    async def stop(self, instances: Sequence[str]) -> None:
        self._do("stop")
        if routed := {each.instance for each in self.system.instances} & set(instances):
            raise AssertionError(f"requests still go to {routed}")
        self.ready -= set(instances)

    async def host(self, instances: Sequence[str], modules: Sequence[str]) -> None:
        self._do("host")

    async def drop(self, instances: Sequence[str], modules: Sequence[str]) -> None:
        self._do("drop")

    async def release_owners(self, owners: Mapping[str, str]) -> None:
        self._do("release_owners")

    async def compare(self, modules: Sequence[str], old: str, new: str) -> None:
        self._do("compare")

    async def watch(self, gate: Watch) -> str:
        self._do("watch")
        return "pass"

    async def migrate(self, version: str, modules: Sequence[str]) -> None:
        self._do("migrate")


def taken_up(steps: Sequence[AnyStep], world: FakeWorld, paper: Paper) -> Runner:
    """By a new controller, from what is on paper alone."""
    entries = [(step, event, detail) for (step, event), detail in zip(paper.entries, paper.details, strict=True)]
    taken, state, why = left_by(State(paper.state), paper.why, entries)
    return Runner(steps, world, paper, taken=taken, state=state, why=why)


def begun(made: Plan, world: FakeWorld, paper: Paper) -> Runner:
    return Runner(made.steps, world, paper)
