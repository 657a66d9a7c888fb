"""What all connections to one instance share: the calls it serves, their limit, their deadlines, the drain."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, Protocol

from ramet.calls.hosting import Hosted, Work
from ramet.calls.workers import Workers
from ramet.observe import names
from ramet.observe.record import Recorder
from ramet.settings import Settings
from ramet.wire.frames import Kind, frame

SWEEP_S = 0.02
"""How late a deadline may be noticed. Far below any deadline, and cheaper by far than a timer for each call."""

monotonic = time.monotonic


class Connection(Protocol):
    def write(self, data: bytes) -> None: ...
    def sweep(self, now: float) -> None: ...
    def close(self) -> None: ...
    def in_flight_of(self, module: str) -> int: ...
    async def run(self, work: Work, task: asyncio.Task[None]) -> None: ...


def _run(item: "tuple[Connection, Work]", task: asyncio.Task[None]) -> Coroutine[Any, Any, None]:
    return item[0].run(item[1], task)


class CallServer:
    """Serves the calls of the modules placed here, on any number of connections, which come to it from its doors."""

    def __init__(
        self,
        hosted: dict[str, Hosted],
        *,
        app: str,
        service: str,
        instance: str,
        version: str,
        settings: Settings,
        recorder: Recorder,
    ) -> None:
        self.hosted = hosted
        self.app, self.service, self.instance, self.version = app, service, instance, version
        self.settings = settings
        self.recorder = recorder
        self.connections: set[Connection] = set()
        self.in_flight = 0
        self.is_draining = False
        self._sweeping: asyncio.TimerHandle | None = None
        self.workers: Workers[tuple[Connection, Work]] = Workers(_run)
        self._idle = asyncio.Event()
        self._idle.set()
        self.shed = recorder.counter(names.SHED)
        recorder.gauge(names.IN_FLIGHT, self._read_in_flight)

    def __repr__(self) -> str:
        state = ", draining" if self.is_draining else ""
        peers = len(self.connections)
        return f"<CallServer {self.instance}: {len(self.hosted)} calls, {peers} connections, {self.in_flight} in flight{state}>"

    def _read_in_flight(self) -> Iterator[tuple[dict[str, str], float]]:
        yield {}, float(self.in_flight)

    def entered(self) -> None:
        self.in_flight += 1
        if self._sweeping is None:
            self._idle.clear()
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = monotonic()
        for connection in self.connections:
            connection.sweep(now)
        if self.in_flight:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        else:
            self._idle.set()

    def host(self, calls: Iterable[Hosted]) -> None:
        """Serve these too, to whoever connects from now on."""
        self.hosted |= {each.contract.qualified: each for each in calls}

    def drop(self, module: str) -> None:
        """Refuse the calls of a module from now on; its callers are told that it is elsewhere. Calls in flight go on."""
        for name, each in list(self.hosted.items()):
            if each.contract.module == module:
                each.is_gone = True
                del self.hosted[name]

    def in_flight_of(self, module: str) -> int:
        return sum(connection.in_flight_of(module) for connection in self.connections)

    async def drain(self, within_s: float) -> bool:
        """Ask all callers to go elsewhere and finish what is in flight. False if something still ran at the end of the time."""
        self.is_draining = True
        for connection in self.connections:
            connection.write(frame(Kind.DRAIN))
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End all connections; calls in flight are cancelled and their callers told that the connection is lost."""
        for connection in list(self.connections):
            connection.close()
        await self.workers.close()
