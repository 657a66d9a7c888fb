"""Whether all instances together may open more connections than the server has. Pure; asked before anything is started.

Each instance has a pool for each module with a database, since each module logs in as its own role. Where those go to a pooler,
what counts here is one connection for each module with schedules, whose session holds their lock. Found out late, the mistake
looks like an outage: the server refuses whoever comes last, which is the instance that was started to help.

Connections of replicas and of subscriptions are not among them: a server counts those by max_wal_senders.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ramet.data.errors import OverBudget

RESERVED = {"the controller": 1, "migrations": 1, "prompts, monitoring and backups": 8}
"""Connections left for what is not in the topology. The last is a guess, with room."""
SUPERUSER_RESERVED = 3
"""The server's own superuser_reserved_connections, by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One module's pools in one service. During a release there are two of each instance: `surge` more. role: what they are for,
    `web` or `jobs`."""

    service: str
    module: str
    instances: int
    max_connections: int
    surge: int = 0
    role: str = "web"

    @property
    def total(self) -> int:
        return (self.instances + self.surge) * self.max_connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """max_connections: the server's setting. kept: of these, for superusers and roles with pg_use_reserved_connections."""

    name: str
    max_connections: int
    kept: int = SUPERUSER_RESERVED

    @property
    def reserve(self) -> int:
        """Not for instances."""
        return self.kept + sum(RESERVED.values())

    @property
    def available(self) -> int:
        return max(self.max_connections - self.reserve, 0)


def check(server: Server, demands: Iterable[Demand]) -> int:
    """The connections that may be wanted at once. Raises OverBudget with the sum, term by term."""
    demands = list(demands)
    wanted = sum(demand.total for demand in demands)
    if wanted > server.available:
        raise OverBudget(
            f"{wanted} connections may be wanted, and {server.name} has {server.available} for instances"
            f" ({server.max_connections} less {server.reserve} in reserve)\n{terms(server, demands)}",
            hint=f"{_smaller(fitting(server, demands))}, or max_connections = {wanted + server.reserve} on the server",
        )
    return wanted


def fitting(server: Server, demands: Sequence[Demand]) -> int:
    """The same size for each pool for `web` that just fits; 0 if not even one connection each does."""
    pools = sum(demand.instances + demand.surge for demand in demands if demand.role == "web")
    left = max(server.available - sum(demand.total for demand in demands if demand.role != "web"), 0)
    return left // pools if pools else left


def _smaller(size: int) -> str:
    return f"[pools] web = {size} in ramet.toml" if size else "fewer instances"


def terms(server: Server, demands: Sequence[Demand]) -> str:
    """A line for each demand, and one for the reserve."""
    width = max((len(f"{demand.service}/{demand.module}") for demand in demands), default=0)
    lines = [
        f"  {demand.role:<4}  {demand.service + '/' + demand.module:<{width}}"
        f"  {_instances(demand)} x {demand.max_connections} = {demand.total}"
        for demand in demands
    ]
    kept = {**RESERVED, "the server's own": server.kept}
    return "\n".join([*lines, "  in reserve: " + ", ".join(f"{count} for {what}" for what, count in kept.items())])


def _instances(demand: Demand) -> str:
    return f"({demand.instances} + {demand.surge} during a release)" if demand.surge else f"{demand.instances}"
