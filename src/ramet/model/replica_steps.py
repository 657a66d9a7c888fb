"""The steps that change who has copies of a server, and who of them is its primary, as data. Pure.

A server is one PostgreSQL primary with its replicas; which of its nodes is the primary, the server itself remembers, since it may
change without a plan when one dies.
"""

import msgspec

from ramet.model.step import Step
from ramet.model.system import System

_replace = msgspec.structs.replace


class AddReplica(Step, frozen=True, kw_only=True):
    """Copy a server while it serves, stream from it, and read there what may be read there."""

    server: str
    node: str

    def describe(self) -> str:
        return f"make the replica {self.node} of database server {self.server}, and read there when it has caught up"

    def tracked(self, system: System) -> System:
        """From before the first read at a replica every write notes its position."""
        return _replace(system, tracked=tuple(sorted({*system.tracked, self.server})))

    def after(self, system: System) -> System:
        nodes = tuple(sorted({*system.replicas.get(self.server, ()), self.node}))
        return _replace(self.tracked(system), replicas={**system.replicas, self.server: nodes})

    def before(self, system: System) -> System:
        return without(system, self.server, self.node)


class RemoveReplica(Step, frozen=True, kw_only=True):
    """Read there no more, let reads in hand end, and remove it with its slot."""

    server: str
    node: str

    def describe(self) -> str:
        return f"read at the replica {self.node} of {self.server} no more, and remove it"

    def after(self, system: System) -> System:
        return without(system, self.server, self.node)

    def before(self, system: System) -> System:
        return AddReplica(server=self.server, node=self.node).after(system)


class FailOver(Step, frozen=True, kw_only=True):
    """Make a replica the primary of its server; the primary becomes a replica. old: for the way back. to: empty for the one that
    has the most of the log."""

    server: str
    old: str
    to: str = ""

    def describe(self) -> str:
        whom = self.to or "the replica with the most of its log"
        return f"make {whom} the primary of {self.server}, in place of {self.old}; writes wait for a second or two"


class Synchronous(Step, frozen=True, kw_only=True):
    """Whether a commit waits until one replica has it on disk."""

    server: str
    on: bool

    def describe(self) -> str:
        what = "wait until a replica has them on disk" if self.on else "wait for no replica"
        return f"commits at {self.server} {what}"


ReplicaStep = AddReplica | RemoveReplica | FailOver | Synchronous


def without(system: System, server: str, node: str) -> System:
    nodes = tuple(each for each in system.replicas.get(server, ()) if each != node)
    replicas = {name: each for name, each in {**system.replicas, server: nodes}.items() if each}
    tracked = tuple(name for name in system.tracked if name != server or nodes)
    return _replace(system, replicas=replicas, tracked=tracked)
