"""An instance that runs and does not answer is killed, so that its supervisor starts it again: hung is worse than dead.

Its own health endpoint cannot tell, since nobody restarts by it here; so each is asked over its control channel once a second.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

from ramet.engines.supervision import Status
from ramet.operate.keeper import SILENT, Keeper

logger = logging.getLogger("ramet.operate")

INTERVAL_S = 1.0
SILENT_S = 5.0
"""Silence after which an instance is killed. Two of its questions fail by then; a garbage collection or a slow import does not
last so long, and Envoy has left it after one second."""


class Liveness:
    """keepers: those that run now."""

    def __init__(self, keepers: Callable[[], Collection[Keeper]], *, report: Callable[[str], None]) -> None:
        self._keepers = keepers
        self._report = report
        self._heard: dict[Keeper, float] = {}

    def __repr__(self) -> str:
        return f"<Liveness of {len(self._heard)} instances>"

    async def run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            keepers = list(self._keepers())
            self._heard = {keeper: heard for keeper, heard in self._heard.items() if keeper in keepers}
            await asyncio.gather(*(self._look(keeper) for keeper in keepers))

    async def _look(self, keeper: Keeper) -> None:
        clock = asyncio.get_running_loop().time
        asked = clock()
        if keeper.supervisor.status is not Status.RUNNING:
            self._heard.pop(keeper, None)
            return
        try:
            await keeper.ask()
        except SILENT:
            silent_s = clock() - self._heard.setdefault(keeper, asked)
            if silent_s >= SILENT_S and keeper.supervisor.status is Status.RUNNING:
                logger.error(  # noqa: TRY400  (that it does not answer has no traceback worth reading)
                    "instance.hangs", extra={"instance": keeper.launch.instance, "silent_s": round(silent_s, 1)}
                )
                self._report(f"{keeper.launch.instance}: has not answered for {SILENT_S:g} s, killed")
                del self._heard[keeper]
                keeper.kill()
        else:
            self._heard[keeper] = clock()
