"""What a plan needs, against what there is. Pure: the facts are measured elsewhere."""

from collections.abc import Sequence

import msgspec

from ramet.model.dividing import DataFacts
from ramet.model.release import Release
from ramet.model.routing import version_of
from ramet.model.system import System


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the world when a plan is made.

    releases: version -> Release. pool_size: connections of one module's pool in one instance. max_connections: that the server
    takes, less what it and the controller keep for themselves; None where it is not ours to know. instance_bytes: memory of one
    instance, measured. free_bytes: memory that is there. start_s: how long the last instances took to be ready.
    inseparable: groups of modules that share state in memory or a database role, and must stay in one service. data: module ->
    what is known of its data, of those that the plan is about.
    """

    releases: dict[str, Release]
    pool_size: int
    max_connections: int | None = None
    instance_bytes: int = 0
    free_bytes: int = 0
    start_s: float
    inseparable: tuple[tuple[str, ...], ...] = ()
    data: dict[str, DataFacts] = {}

    def with_data(self, data: dict[str, DataFacts]) -> "Facts":
        return msgspec.structs.replace(self, data=data)


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a plan needs at any time: database connections, instances, and memory in bytes beyond what is used now.
    ports: for new instances, any that are free."""

    connections: int
    max_connections: int | None
    instances: int
    ports: int
    more_bytes: int
    free_bytes: int


def connections(system: System, facts: Facts) -> int:
    """All pools at their largest."""
    return facts.pool_size * sum(
        facts.releases[version_of(each.place)].modules[module].has_database
        for each in system.instances
        for module in each.modules
    )


def needs(states: Sequence[System], facts: Facts) -> Needs:
    """states: before the first step, and after each."""
    most = max(len(state.instances) for state in states)
    return Needs(
        connections=max(connections(state, facts) for state in states),
        max_connections=facts.max_connections,
        instances=most,
        ports=len(
            {each.instance for state in states for each in state.instances} - {each.instance for each in states[0].instances}
        ),
        more_bytes=facts.instance_bytes * (most - len(states[0].instances)),
        free_bytes=facts.free_bytes,
    )


def shortfalls(needed: Needs) -> list[str]:
    """Why it cannot be done with what there is."""
    found: list[str] = []
    if needed.max_connections is not None and needed.connections > needed.max_connections:
        found.append(
            f"it needs {needed.connections} database connections at its height, the server has {needed.max_connections} for"
            " instances; use smaller pools, or fewer instances"
        )
    if needed.free_bytes and needed.more_bytes > needed.free_bytes:
        found.append(
            f"it needs {needed.more_bytes / 2**20:.0f} MB more at its height, {needed.free_bytes / 2**20:.0f} MB are free"
        )
    return found
