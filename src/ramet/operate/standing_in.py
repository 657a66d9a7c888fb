"""When a primary does not come back, one of its replicas stands in.

A primary that was killed is started again by its supervisor, which takes a second or two and loses nothing. Only one that does
not accept connections for longer than that is failed over, by the controller that holds the lease; the old one is fenced before
another is promoted, so that there are never two (`ramet.engines.postgres_cluster`).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from ramet.engines.postgres_cluster import PostgresCluster
from ramet.errors import RametError
from ramet.operate.servers import Servers

logger = logging.getLogger("ramet.operate")

LOOK_S = 0.5
PATIENCE_S = 2.5
"""How long a primary may be silent: over the 1 to 2 s that a restart with recovery takes, under the 10 s that users wait."""


class StandingIn:
    """tell: called when a server has another primary, or another address. holds: whether the lease cannot be
    another's: it may be in the very server that is silent."""

    def __init__(
        self,
        servers: Servers,
        *,
        tell: Callable[[], Awaitable[None]],
        holds: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self._servers = servers
        self._tell = tell
        self._holds = holds
        self._report = report
        self._silent: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<StandingIn for {self._servers!r}: silent {sorted(self._silent)}>"

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for name, cluster in self._servers.clusters.items():
                try:
                    await self._look(name, cluster)
                except (RametError, OSError) as error:  # it is tried again at the next look
                    logger.warning("server.not_failed_over", extra={"server": name, "reason": str(error)})

    async def _look(self, name: str, cluster: PostgresCluster) -> None:
        now = time.monotonic()
        if (await cluster.statuses())[cluster.primary.name] is not None:
            if self._silent.pop(name, None) is not None:
                await self._tell()
            return
        began = self._silent.setdefault(name, now)
        if not cluster.replicas or now - began < PATIENCE_S:
            return
        self._report(f"the primary {cluster.primary.name} of {name} has been silent for {now - began:.1f} s; failing over")
        if not self._holds():
            self._report(f"{name} is not failed over: it is not known whether this controller still has the lease")
            return
        said = await self._servers.fail_over(name, "")
        self._silent.pop(name, None)
        self._report(f"{name}: {said}")
        await self._tell()
        await self._servers.rejoin_all(name)
        await self._tell()
