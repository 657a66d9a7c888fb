"""The endpoints that host one module, those of them that can be called now, and the callers who wait for one.

The list of callable endpoints is made anew when something changes and not per call, so that choosing costs the same for two
endpoints as for two hundred.
"""

import asyncio
import random
import time
from collections.abc import Collection, Mapping, Sequence

from ramet.calls import balance, choosing
from ramet.calls.choosing import Pools
from ramet.calls.endpoints import Endpoint
from ramet.calls.health import Circuit, is_outlier
from ramet.calls.retry import Budget
from ramet.errors import DeadlineExceeded, Unavailable
from ramet.settings import Settings

monotonic = time.monotonic


class Group:
    """version: of the callers. shares: place -> percent, None where all endpoints take alike."""

    def __init__(self, module: str, settings: Settings, version: str) -> None:
        self.module = module
        self.endpoints: list[Endpoint] = []
        self.shares: Mapping[str, int] | None = None
        self.budget = Budget(settings.retry_budget)
        self._settings = settings
        self._version = version
        self._ready: Sequence[Endpoint] | Pools[Endpoint] = []
        self.waiting: dict[asyncio.Future[None], None] = {}
        """Callers without an endpoint, in the order in which they came."""
        self._chance = random.random

    def __repr__(self) -> str:
        ready = f"{sum(each.is_callable for each in self.endpoints)} of {len(self.endpoints)} endpoints callable"
        return f"<Group {self.module}: {ready}, {len(self.waiting)} calls wait>"

    def refresh(self) -> None:
        """Something changed with an endpoint."""
        ready = [endpoint for endpoint in self.endpoints if endpoint.is_callable]
        self._ready = choosing.pools(ready, self.shares, self._version)
        self.wake()

    def wake(self) -> None:
        """There may be room for one more call per waiting caller."""
        waiting, self.waiting = self.waiting, {}
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def pick(self, tried: Collection[Endpoint] | None = None) -> Endpoint | None:
        """An endpoint with room, one not yet tried if there is any. None: wait."""
        ready = self._ready
        if isinstance(ready, Pools):
            ready = ready.choose(self._chance(), tried or ())
        if tried:
            ready = [endpoint for endpoint in ready if endpoint not in tried] or ready
        return balance.pick(ready, self._chance)

    async def wait(self, deadline: float, tried: Collection[Endpoint] | None = None) -> Endpoint:
        """Wait for an endpoint with room.

        Raises Unavailable at once where none can come (no instance hosts the module, all circuits are open, too many wait
        already), DeadlineExceeded in the end. Nothing was sent in either case.
        """
        while (endpoint := self.pick(tried)) is None:
            self._check_worth_waiting()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting[waiter] = None
            try:
                async with asyncio.timeout(deadline - monotonic()):
                    await waiter
            except TimeoutError:
                raise DeadlineExceeded(
                    f"no endpoint of `{self.module}` had room before the deadline{self._why()}", may_have_run=False
                ) from None
            finally:
                self.waiting.pop(waiter, None)
        return endpoint

    def _check_worth_waiting(self) -> None:
        if not self.endpoints:
            raise Unavailable(f"no instance hosts `{self.module}`", may_have_run=False, hint="ramet status")
        if all(endpoint.health.circuit is Circuit.OPEN for endpoint in self.endpoints):
            raise Unavailable(
                f"the circuits to all {len(self.endpoints)} endpoints of `{self.module}` are open{self._why()}",
                may_have_run=False,
                hint="ramet status",
            )
        if len(self.waiting) >= self._settings.max_queued_calls:
            raise Unavailable(
                f"{len(self.waiting)} calls wait for `{self.module}` already{self._why()}",
                may_have_run=False,
                hint="ramet status",
            )

    def _why(self) -> str:
        errors = {str(endpoint.last_error) for endpoint in self.endpoints if endpoint.last_error is not None}
        return f" ({'; '.join(sorted(errors))})" if errors else ""

    def judge(self, endpoint: Endpoint) -> None:
        """After the callee's exception: eject the endpoint if it does far worse than its peers."""
        peers = [each.health for each in self.endpoints]
        ejected = sum(each.health.circuit is Circuit.OPEN for each in self.endpoints)
        if endpoint.health.circuit is Circuit.CLOSED and is_outlier(
            endpoint.health, peers, ejected=ejected, max_share=self._settings.max_ejected_share
        ):
            endpoint.eject()
