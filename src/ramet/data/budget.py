"""Whether all instances together may open more connections than the server has. Pure; asked before anything is started.

Each instance has a pool for each module with a database, since each module logs in as its own role. Found out late, the
mistake looks
like an outage: the server refuses whoever comes last, which is the instance that was started to help.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ramet.data.errors import OverBudget

RESERVE = 10
"""Connections left for what is not in the topology: migrations, a prompt, the controller, replication. A guess, with room."""
SUPERUSER_RESERVED = 3
"""The server's own superuser_reserved_connections, by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One module's pools in one service. During a release there are two of each instance: `surge` more."""

    service: str
    module: str
    instances: int
    max_connections: int
    surge: int = 0

    @property
    def total(self) -> int:
        return (self.instances + self.surge) * self.max_connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """max_connections: the server's setting. reserve: of these, not for instances."""

    name: str
    max_connections: int
    reserve: int = RESERVE + SUPERUSER_RESERVED

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
            f" ({server.max_connections} less {server.reserve} in reserve)\n{_terms(demands)}",
            hint=f"at most {fitting(server, demands)} connections in each pool,"
            f" or max_connections = {wanted + server.reserve} on the server",
        )
    return wanted


def fitting(server: Server, demands: Sequence[Demand]) -> int:
    """The same size for each pool that just fits; 0 if not even one connection each does."""
    pools = sum(demand.instances + demand.surge for demand in demands)
    return server.available // pools if pools else server.available


def _terms(demands: Sequence[Demand]) -> str:
    width = max((len(f"{demand.service}/{demand.module}") for demand in demands), default=0)
    return "\n".join(
        f"  {demand.service + '/' + demand.module:<{width}}  {_instances(demand)} x {demand.max_connections} = {demand.total}"
        for demand in demands
    )


def _instances(demand: Demand) -> str:
    return f"({demand.instances} + {demand.surge} during a release)" if demand.surge else f"{demand.instances}"
