"""What steps act on: the running system, or a recording of what would be done to it.

All verbs may be repeated: what is done already is not done again. Each returns when its effect is there, and raises StepFailed,
with nothing half done that the same verb or its opposite would not mend.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ramet.model.steps import Watch
from ramet.model.system import System


class World(Protocol):
    @property
    def system(self) -> System:
        """As it is now. Only `reach` changes it."""
        ...

    async def reach(self, system: System) -> None:
        """Write down that this is the system now, and send traffic accordingly: every instance and Envoy have taken it."""
        ...

    async def start(self, place: str, instances: Sequence[str], modules: Sequence[str]) -> None:
        """Until they are ready and warm; they are in nobody's routing table yet."""
        ...

    async def stop(self, instances: Sequence[str]) -> None:
        """They are in nobody's routing table any more: let them finish, and end them."""
        ...

    async def host(self, instances: Sequence[str], modules: Sequence[str]) -> None: ...

    async def drop(self, instances: Sequence[str], modules: Sequence[str]) -> None: ...

    async def release_owners(self, owners: Mapping[str, str]) -> None:
        """Have these instances stop what they own of these modules. module -> instance. Returns when none of them does it."""
        ...

    async def compare(self, modules: Sequence[str], old: str, new: str) -> None:
        """Raises StepFailed where the contracts of modules are not the same at two places."""
        ...

    async def watch(self, gate: Watch) -> str:
        """What the gate found, in a sentence. Raises GateFailed, or GateHeld where somebody must decide."""
        ...

    async def migrate(self, version: str, modules: Sequence[str]) -> None: ...

    async def advance(self, module: str, revisions: Sequence[str]) -> str:
        """Apply migrations of a module, on all of its shards. What was done, in a sentence."""
        ...

    async def retreat(self, module: str, revisions: Sequence[str]) -> None:
        """Take migrations back that nothing applied follows, on all shards. Those that are not applied are passed over."""
        ...

    async def check_contract(self, module: str, revisions: Sequence[str]) -> None:
        """Raises StepFailed while a version runs that needs what these take away."""
        ...


class RecordingWorld:
    """Does nothing but change the value: for a dry run. `done` is what would have been done, in order."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.done: list[str] = []

    def __repr__(self) -> str:
        return f"<RecordingWorld: {len(self.done)} actions>"

    async def reach(self, system: System) -> None:
        self.system = system

    async def start(self, place: str, instances: Sequence[str], modules: Sequence[str]) -> None:
        self.done += [f"start {name} of {place}: {', '.join(modules)}" for name in instances]

    async def stop(self, instances: Sequence[str]) -> None:
        self.done += [f"stop {name}" for name in instances]

    async def host(self, instances: Sequence[str], modules: Sequence[str]) -> None:
        self.done += [f"host {module} at {name}" for name in instances for module in modules]

    async def drop(self, instances: Sequence[str], modules: Sequence[str]) -> None:
        self.done += [f"drop {module} at {name}" for name in instances for module in modules]

    async def release_owners(self, owners: Mapping[str, str]) -> None:
        self.done += [f"{owner} stops the schedules of {module}" for module, owner in owners.items()]

    async def compare(self, modules: Sequence[str], old: str, new: str) -> None:
        self.done.append(f"compare {', '.join(modules)} at {old} and {new}")

    async def watch(self, gate: Watch) -> str:
        self.done.append(gate.describe())
        return "dry run"

    async def migrate(self, version: str, modules: Sequence[str]) -> None:
        self.done.append(f"migrate {', '.join(modules)} to {version}")

    async def advance(self, module: str, revisions: Sequence[str]) -> str:
        self.done += [f"apply {revision} of {module}" for revision in revisions]
        return "dry run"

    async def retreat(self, module: str, revisions: Sequence[str]) -> None:
        self.done += [f"take back {revision} of {module}" for revision in reversed(revisions)]

    async def check_contract(self, module: str, revisions: Sequence[str]) -> None: ...
