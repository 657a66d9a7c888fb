"""What steps act on: the running system, or a recording of what would be done to it.

All verbs may be repeated: what is done already is not done again. Each returns when its effect is there, and raises StepFailed,
with nothing half done that the same verb or its opposite would not mend.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ramet.model.divisions import ShardIn, SliceMove
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

    @property
    def data(self) -> "Data": ...

    async def switch(self, module: str, move: SliceMove, after: System, *, back: bool) -> str:
        """Give a slice to its new owner, and reach the system that has it so. Returns how long writers waited, in words."""
        ...

    async def fail_over(self, server: str, to: str) -> str:
        """Until another node accepts writes, and everyone knows. Returns what it took, and what of the log was lost, in words."""
        ...


class Data(Protocol):
    """What is done to databases. Nothing here changes the system; where rows are whose, is what `switch` decides."""

    async def add_server(self, name: str) -> None: ...

    async def remove_server(self, name: str) -> None: ...

    async def add_shard(self, system: System, module: str, shard: ShardIn) -> None: ...

    async def drop_shard(self, module: str, shard: ShardIn) -> None: ...

    async def copy(self, system: System, module: str, move: SliceMove) -> None:
        """Until the target has all rows of the slice, and what happens at either side comes to the other."""
        ...

    async def clean(self, system: System, module: str, move: SliceMove, *, at_target: bool) -> None:
        """End replication, and delete the rows of the slice at one side."""
        ...

    async def add_replica(self, server: str, node: str) -> str:
        """Until it has all that was written so far. Returns what it took, in words."""
        ...

    async def remove_replica(self, server: str, node: str) -> None: ...

    async def set_synchronous(self, server: str, on: bool) -> None: ...

    async def verify(self, system: System, module: str, move: SliceMove) -> str:
        """Raises StatementRefused where the sides differ."""
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

    @property
    def data(self) -> "RecordingData":
        return RecordingData(self.done)

    async def switch(self, module: str, move: SliceMove, after: System, *, back: bool) -> str:
        shard = move.source if back else move.target
        self.done.append(f"hold the writers of {move.of} of {module}, and give it to shard {shard}")
        self.system = after
        return "dry run"

    async def fail_over(self, server: str, to: str) -> str:
        self.done.append(f"hold the writers of {server}, and make {to or 'the best replica'} its primary")
        return "dry run"

    async def migrate(self, version: str, modules: Sequence[str]) -> None:
        self.done.append(f"migrate {', '.join(modules)} to {version}")


class RecordingData:
    """done: what would have been done."""

    def __init__(self, done: list[str]) -> None:
        self._done = done

    async def add_server(self, name: str) -> None:
        self._done.append(f"start database server {name}")

    async def remove_server(self, name: str) -> None:
        self._done.append(f"stop database server {name}")

    async def add_shard(self, system: System, module: str, shard: ShardIn) -> None:  # noqa: ARG002  (a dry run)
        self._done.append(f"make the schema of {module} on {shard.server}")

    async def drop_shard(self, module: str, shard: ShardIn) -> None:
        self._done.append(f"drop the schema of {module} on {shard.server}")

    async def copy(self, system: System, module: str, move: SliceMove) -> None:  # noqa: ARG002
        self._done.append(f"copy {move.of} of {module} to shard {move.target}")

    async def clean(self, system: System, module: str, move: SliceMove, *, at_target: bool) -> None:  # noqa: ARG002
        self._done.append(f"delete {move.of} of {module} at shard {move.target if at_target else move.source}")

    async def verify(self, system: System, module: str, move: SliceMove) -> str:  # noqa: ARG002
        self._done.append(f"compare {move.of} of {module} on both sides")
        return "dry run"

    async def add_replica(self, server: str, node: str) -> str:
        self._done.append(f"copy {server} to its replica {node}, and stream")
        return "dry run"

    async def remove_replica(self, server: str, node: str) -> None:
        self._done.append(f"remove the replica {node} of {server}")

    async def set_synchronous(self, server: str, on: bool) -> None:
        self._done.append(f"commits at {server} wait for {'a' if on else 'no'} replica")
