"""Signs of life on one connection: a silent peer is asked for one, and given up when it does not answer. Both ends use it."""

import asyncio
from collections.abc import Callable


class Heartbeat:
    """ping: asks the peer. lost: called once, when it was silent for two intervals. `heard` is set by whoever reads from it."""

    def __init__(self, interval_s: float, *, ping: Callable[[], None], lost: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._ping = ping
        self._lost = lost
        self._is_asked = False
        self.heard = True
        self._timer = asyncio.get_running_loop().call_later(interval_s, self._beat)

    def _beat(self) -> None:
        if not self.heard and self._is_asked:
            self._lost()
            return
        self._is_asked = not self.heard
        if self._is_asked:
            self._ping()
        self.heard = False
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._beat)

    def stop(self) -> None:
        self._timer.cancel()
