"""The steps that a plan is made of, as data: what each changes in the system, and its way back. Pure; `operate.steps` takes them.

    Compare  Migrate  Start  Host  Shift  Watch  HandOver  Drop  Stop  Settle     and those of `data_steps`

`after` is the system when a step is done, `before` the one when it is undone: each is the other's inverse, since a step carries
both sides of what it changes. `describe` is one sentence for a person, with numbers.
"""

from collections.abc import Callable, Iterable

import msgspec

from ramet.model.data_steps import DataStep
from ramet.model.replica_steps import ReplicaStep
from ramet.model.step import Step
from ramet.model.system import Running, System

_replace = msgspec.structs.replace
Shares = dict[str, dict[str, int]]


class Start(Step, frozen=True, kw_only=True):
    """Start instances that host these modules, and wait until they are ready and warm. They get no traffic of moving modules."""

    place: str
    instances: tuple[str, ...]
    modules: tuple[str, ...]

    def describe(self) -> str:
        return f"start {listed(self.instances)} of {self.place}, hosting {listed(self.modules)}"

    def after(self, system: System) -> System:
        return started(system, self.place, self.instances, self.modules)

    def before(self, system: System) -> System:
        return stopped(system, self.instances)


class Stop(Step, frozen=True, kw_only=True):
    """Take instances out of traffic, let them finish what they have in hand, and end them. modules: for the way back."""

    place: str
    instances: tuple[str, ...]
    modules: tuple[str, ...]

    def describe(self) -> str:
        return f"drain and stop {listed(self.instances)} of {self.place}"

    def after(self, system: System) -> System:
        return stopped(system, self.instances)

    def before(self, system: System) -> System:
        return started(system, self.place, self.instances, self.modules)


class Host(Step, frozen=True, kw_only=True):
    """Have running instances host modules too: pools open, calls and endpoints served. They get no traffic yet."""

    place: str
    instances: tuple[str, ...]
    modules: tuple[str, ...]

    def describe(self) -> str:
        return f"have {listed(self.instances)} host {listed(self.modules)} too"

    def after(self, system: System) -> System:
        return hosting(system, self.instances, lambda modules: (*modules, *self.modules))

    def before(self, system: System) -> System:
        return hosting(system, self.instances, lambda modules: tuple(each for each in modules if each not in self.modules))


class Drop(Step, frozen=True, kw_only=True):
    """Have instances that get no more of these modules' traffic finish it, close their pools, and host them no more."""

    place: str
    instances: tuple[str, ...]
    modules: tuple[str, ...]

    def describe(self) -> str:
        return f"{listed(self.instances)} finish and drop {listed(self.modules)}, and give their connections back"

    def after(self, system: System) -> System:
        return hosting(system, self.instances, lambda modules: tuple(each for each in modules if each not in self.modules))

    def before(self, system: System) -> System:
        return hosting(system, self.instances, lambda modules: (*modules, *self.modules))


class Shift(Step, frozen=True, kw_only=True):
    """Send the calls and HTTP requests of modules to places by other shares. old, new: module -> place -> percent."""

    old: Shares
    new: Shares

    def describe(self) -> str:
        alike: dict[str, list[str]] = {}
        for module, shares in self.new.items():
            text = ", ".join(f"{share} % to {name}" for name, share in shares.items() if share)
            alike.setdefault(text, []).append(module)
        return "send " + "; ".join(f"{listed(modules)}: {text}" for text, modules in alike.items())

    def after(self, system: System) -> System:
        return _replace(system, shares={**system.shares, **self.new})

    def before(self, system: System) -> System:
        return _replace(system, shares={**system.shares, **self.old})


class HandOver(Step, frozen=True, kw_only=True):
    """Give what has one owner, the schedules of modules, from one instance to another. old, new: module -> instance."""

    old: dict[str, str]
    new: dict[str, str]

    def describe(self) -> str:
        moves = ", ".join(f"{module} from {self.old[module]} to {owner}" for module, owner in self.new.items())
        return f"hand over the schedules of {moves}"

    def after(self, system: System) -> System:
        return _replace(system, owners={**system.owners, **self.new})

    def before(self, system: System) -> System:
        return _replace(system, owners={**system.owners, **self.old})


class Compare(Step, frozen=True, kw_only=True):
    """Ask the instances of two places for their contracts of modules: all must be equal."""

    modules: tuple[str, ...]
    old: str
    new: str

    def describe(self) -> str:
        return f"compare the contracts of {listed(self.modules)} at {self.old} and {self.new}"


class Watch(Step, frozen=True, kw_only=True):
    """The gate: compare new places with old ones for a time.

    seconds: how long at least. holds: whether an answer that is not `pass` pauses the plan; else only `fail` counts, since both
    sides run the same code and only the hard signals can tell them apart.
    """

    modules: tuple[str, ...]
    old: tuple[str, ...]
    new: tuple[str, ...]
    seconds: float
    holds: bool = False

    def describe(self) -> str:
        what = f"{listed(self.new)} with {listed(self.old)}" if self.old else listed(self.new)
        return f"gate: compare {what} for {self.seconds:g} s" if self.old else f"gate: watch {what} for {self.seconds:g} s"


class Migrate(Step, frozen=True, kw_only=True):
    """Apply the migrations that a release brings. revisions: module -> ids, for the description."""

    version: str
    revisions: dict[str, tuple[str, ...]]

    def describe(self) -> str:
        texts = [f"{module}: {listed(ids)}" for module, ids in self.revisions.items()]
        return f"apply the migrations of {self.version}: {'; '.join(texts)}"

    @property
    def is_irreversible(self) -> bool:
        return True


class Settle(Step, frozen=True, kw_only=True):
    """Write down that the system is equal to a topology now."""

    old: str
    new: str

    def describe(self) -> str:
        return f"call the system `{self.new}`"

    def after(self, system: System) -> System:
        return _replace(system, topology=self.new)

    def before(self, system: System) -> System:
        return _replace(system, topology=self.old)


AnyStep = Start | Stop | Host | Drop | Shift | HandOver | Compare | Watch | Migrate | Settle | DataStep | ReplicaStep


def started(system: System, place: str, instances: Iterable[str], modules: tuple[str, ...]) -> System:
    new = [Running(name, place, tuple(sorted(modules))) for name in instances]
    gone = {each.instance for each in new}
    return system.with_instances([*(each for each in system.instances if each.instance not in gone), *new])


def stopped(system: System, instances: Iterable[str]) -> System:
    gone = set(instances)
    return system.with_instances(each for each in system.instances if each.instance not in gone)


def hosting(system: System, instances: Iterable[str], change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> System:
    chosen = set(instances)
    return system.with_instances(
        _replace(each, modules=tuple(sorted(set(change(each.modules))))) if each.instance in chosen else each
        for each in system.instances
    )


def end_of(system: System, steps: Iterable[AnyStep]) -> System:
    for step in steps:
        system = step.after(system)
    return system


def states(system: System, steps: Iterable[AnyStep]) -> list[System]:
    """The system before the first step, and after each."""
    made = [system]
    for step in steps:
        made.append(step.after(made[-1]))
    return made


def listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
