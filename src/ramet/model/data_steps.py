"""The steps that change where data is, as data; `operate.steps` takes them. Pure.

AddServer  AddShard  Copy  Verify  Switch  Clean  Remove
"""

import msgspec

from ramet.model.divisions import Division, ShardIn, SliceMove
from ramet.model.step import Step
from ramet.model.system import System

_replace = msgspec.structs.replace


def divided(system: System, module: str, division: Division) -> System:
    return _replace(system, databases={**system.databases, module: division})


class AddServer(Step, frozen=True, kw_only=True):
    """Start a PostgreSQL of its own for shards, or reach the one that ramet.toml names."""

    server: str

    def describe(self) -> str:
        return f"start the database server {self.server}"

    def after(self, system: System) -> System:
        return _replace(system, servers=tuple(sorted({*system.servers, self.server})))

    def before(self, system: System) -> System:
        return _replace(system, servers=tuple(each for each in system.servers if each != self.server))


class RemoveServer(Step, frozen=True, kw_only=True):
    """Stop a server on which no shard is any more."""

    server: str

    def describe(self) -> str:
        return f"stop the database server {self.server}; its files stay"

    def after(self, system: System) -> System:
        return _replace(system, servers=tuple(each for each in system.servers if each != self.server))

    def before(self, system: System) -> System:
        return _replace(system, servers=tuple(sorted({*system.servers, self.server})))


class AddShard(Step, frozen=True, kw_only=True):
    """Make the module's schema on a server, as it is at an older shard, without rows. The new shard owns nothing yet."""

    module: str
    shard: ShardIn

    def describe(self) -> str:
        return f"make shard {self.shard.shard} of {self.module} on {self.shard.server}: its schema, without rows, owning nothing"

    def after(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).with_shard(self.shard))

    def before(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).without_shard(self.shard.shard))


class _Moves(Step, frozen=True, kw_only=True):
    module: str
    move: SliceMove

    @property
    def _sides(self) -> str:
        return f"from shard {self.move.source} to shard {self.move.target}"


class Copy(_Moves, frozen=True, kw_only=True):
    """Copy a slice, by the server's own replication, and follow what happens to it; and back again, as a way back."""

    def describe(self) -> str:
        return f"copy {self.move.of} of {self.module} {self._sides}, and follow its changes"

    def after(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).with_move(self.move))

    def before(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).without_move(self.move.name))


class Verify(_Moves, frozen=True, kw_only=True):
    """Compare both sides, bucket by bucket, until they are equal. Changes nothing."""

    def describe(self) -> str:
        return f"compare {self.move.of} of {self.module} at shards {self.move.source} and {self.move.target}, bucket by bucket"


class Switch(_Moves, frozen=True, kw_only=True):
    """Give a slice to its target; or back to its source."""

    back: bool = False

    def describe(self) -> str:
        if self.back:
            return f"give {self.move.of} of {self.module} back to shard {self.move.source}"
        return f"give {self.move.of} of {self.module} to shard {self.move.target}: writes to it wait for some milliseconds"

    def after(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).switched(self.move, back=self.back))

    def before(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).switched(self.move, back=not self.back))


class Clean(_Moves, frozen=True, kw_only=True):
    """End the way back: replication, and the rows of the slice where nobody owns them. at_target: after the move was taken
    back."""

    at_target: bool = False

    def describe(self) -> str:
        shard = self.move.target if self.at_target else self.move.source
        return f"end replication of {self.move.of} of {self.module}, and delete its rows at shard {shard}, in batches"

    def after(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).without_move(self.move.name))

    def before(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).with_move(self.move))

    @property
    def is_irreversible(self) -> bool:
        return True


class DropShard(Step, frozen=True, kw_only=True):
    """Remove the schema of a module from a server whose shard owns nothing any more."""

    module: str
    shard: ShardIn

    def describe(self) -> str:
        return f"remove shard {self.shard.shard} of {self.module} from {self.shard.server}"

    def after(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).without_shard(self.shard.shard))

    def before(self, system: System) -> System:
        return divided(system, self.module, system.division(self.module).with_shard(self.shard))

    @property
    def is_irreversible(self) -> bool:
        return True


DataStep = AddServer | RemoveServer | AddShard | Copy | Verify | Switch | Clean | DropShard
