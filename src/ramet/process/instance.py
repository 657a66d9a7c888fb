"""One instance of one service: assembled from its Launch, served, watched, drained.

    starting ──databases open, doors open──> ready ──SIGTERM, or `drain` over the control channel──> draining ──> exit 0
                  (not ready while a module that it uses has no routing table)

Leaving, in this order, so that nobody notices: not ready and DRAIN to all callers; go on serving for the drain delay; finish what
is in flight; close.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from ramet.calls.ledger import Ledger
from ramet.calls.runtime import Calls
from ramet.edge.cors import Cors
from ramet.edge.ingress import Ingress
from ramet.edge.server import Server, listen
from ramet.errors import ConfigError
from ramet.model.control import Counters, Status
from ramet.model.launch import Launch
from ramet.model.routing import RoutingTable
from ramet.model.sharding import DatabaseAt, Slice
from ramet.model.topology import Application
from ramet.module import Module
from ramet.observe import names
from ramet.observe.record import Recorder
from ramet.process import control
from ramet.process.counting import count
from ramet.process.databases import Databases
from ramet.process.identity import identity_of
from ramet.process.modules import import_render
from ramet.process.schedules import Schedules
from ramet.settings import Settings

logger = logging.getLogger("ramet.process")
T = TypeVar("T")

LAG_INTERVAL_S = 0.5
GRACE_S = 10.0
POLL_S = 0.02
"""How often the last request of a module that leaves is looked for; no event tells of it."""


class Instance:
    """application, modules: all of them, imported. launch: which of them to host, and how."""

    def __init__(self, launch: Launch, application: Application, modules: dict[str, Module], settings: Settings) -> None:
        self.launch = launch
        self.application = application
        self.version = launch.version or application.version
        self._modules = modules
        self._settings = settings
        self._state = Path(launch.state)
        self._started = time.time()
        self._ready = False
        self._draining = asyncio.Event()
        self._lag_s = 0.0
        self._delay_s = launch.drain_delay_s
        self.recorder = Recorder(
            service=launch.service, version=self.version, instance=launch.instance, ring_records=settings.ring_records
        )
        self.recorder.gauge(names.LOOP_LAG, self._read_lag)
        if unknown := [name for name in launch.modules if name not in modules]:
            raise ConfigError(f"{launch.instance} is to host {unknown[0]!r}, which is no module of {application.name}")
        self._hosted = list(launch.modules)
        self._hosting = asyncio.Lock()
        self._works: set[asyncio.Task[Any]] = set()
        hosted = [modules[name] for name in launch.modules]
        self.databases = Databases(hosted, application.modules, launch, self.recorder)
        self.ingress = Ingress(
            hosted,
            self.recorder,
            documented=modules.values(),  # one document, whichever service answers
            ready=self.why_not_ready,
            render=import_render(application),
            prefix=application.http_prefix,
            cors=Cors(origins=application.http_cors) if application.http_cors else None,
            title=application.name,
            version=self.version,
        )
        self.server = Server(self.ingress, self._listener())
        self._calls: Calls | None = None
        self._schedules: Schedules | None = None

    def __repr__(self) -> str:
        return f"<Instance {self.launch.instance}: {', '.join(self._hosted)}, {self.state}>"

    def _listener(self) -> socket.socket:
        launch = self.launch
        if launch.http_fd is not None:
            return socket.socket(fileno=launch.http_fd)
        return listen(launch.http_host, launch.http_port)

    def _make_calls(self, ledgers: Mapping[str, Ledger]) -> Calls:
        launch = self.launch
        return Calls(
            [*self._modules.values(), control.control],
            local=[*launch.modules, control.control.name],
            app=self.application.name,
            service=launch.service,
            instance=launch.instance,
            version=self.version,
            settings=self._settings,
            recorder=self.recorder,
            identity=identity_of(launch, self.application),
            ledgers=ledgers,
            private=[control.control.name],
        )

    @property
    def calls(self) -> Calls:
        assert self._calls is not None, "calls are there once the databases are open"
        return self._calls

    @property
    def schedules(self) -> Schedules:
        assert self._schedules is not None, "schedules are there once the databases are open"
        return self._schedules

    # Life

    async def run(self) -> None:
        """Serve until told to leave. Raises what keeps it from starting."""
        async with AsyncExitStack() as stack:
            await self.start(stack)
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, self.begin_drain)
            loop.add_signal_handler(signal.SIGINT, self.leave_now)
            await self._draining.wait()
            await self.leave()

    async def start(self, stack: AsyncExitStack) -> None:
        """Open everything; `stack` closes it again, in the other order."""
        control.answer_for(self)
        stack.push_async_callback(self.databases.close)
        await self.databases.open()
        self._calls = calls = self._make_calls(self.databases.ledgers)
        calls.place()
        stack.push_async_callback(calls.close)
        hosted = [self._modules[name] for name in self.launch.modules]
        self._schedules = Schedules(
            hosted, self.launch.instance, inside=calls.inside, recorder=self.recorder, fences=self.databases.fences
        )
        stack.push_async_callback(self._schedules.close)
        table = control.load_table(self._state / "routing.json")
        if table is not None:
            calls.route(table)
            await self._schedules.take(table)
        launch = self.launch
        self.address = await calls.listen(unix=self._state / "calls.sock", host=launch.calls_host, port=launch.calls_port)
        await self.server.serve()
        stack.push_async_callback(self.server.stop, grace_s=0.0)
        watch = asyncio.create_task(self._watch_loop(), name="loop lag")
        stack.callback(watch.cancel)
        self._ready = True
        logger.info("instance.ready", extra={"http": self.server.address, "modules": ",".join(launch.modules)})

    async def leave(self) -> None:
        logger.info("instance.draining", extra={"delay_s": self._delay_s})
        callers = asyncio.create_task(self.calls.drain(self._delay_s + GRACE_S), name="drain calls")
        await self.server.drain(self._delay_s)
        schedules = asyncio.create_task(self.schedules.close(within_s=GRACE_S), name="end schedules")
        await self.server.stop(grace_s=GRACE_S)
        await callers
        await schedules
        logger.info("instance.left")

    async def _watch_loop(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(LAG_INTERVAL_S)
            self._lag_s = max(time.monotonic() - before - LAG_INTERVAL_S, 0.0)

    def _read_lag(self) -> Iterator[tuple[dict[str, str], float]]:
        yield {}, self._lag_s

    # What the control channel and /readyz ask

    @property
    def state(self) -> str:
        return "draining" if self._draining.is_set() else "starting" if self.why_not_ready() else "ready"

    def why_not_ready(self) -> str | None:
        """None when this instance can serve. It looks at nothing that instances share."""
        if self._draining.is_set():
            return "it is leaving"
        if not self._ready:
            return "it is starting"
        if self.calls.epoch < 0 and self._calls_others():
            return "it has no routing table yet"
        return None

    def _calls_others(self) -> bool:
        hosted = set(self._hosted)
        return any(used not in hosted for name in hosted for used in self._modules[name].uses)

    async def take_route(self, table: RoutingTable) -> int:
        if self.calls.route(table):
            control.save_table(self._state / "routing.json", table)
            await self.schedules.take(table)
        else:
            await self.schedules.wait_settled()
        return self.calls.epoch

    def tell_status(self) -> Status:
        return Status(
            instance=self.launch.instance,
            service=self.launch.service,
            version=self.version,
            state=self.state,
            why=self.why_not_ready() or "",
            pid=os.getpid(),
            modules=list(self._hosted),
            epoch=self.calls.epoch,
            # Without those of the control channel, by which this is asked.
            calls_in_flight=self.calls.server.in_flight - self.calls.server.in_flight_of(control.control.name),
            requests_in_flight=self.ingress.statistics().get("requests", 0),
            memory_bytes=resident_bytes(),
            started=self._started,
            cpu_s=time.process_time(),
            lag_s=self._lag_s,
            waiting=self.calls.waiting + self.databases.waiting,
            schedules=self.schedules.statistics(),
            results=self.schedules.results(),
        )

    def tell_counters(self) -> Counters:
        modules = [self._modules[name] for name in self._hosted]
        return Counters(self._started, count(self.recorder, modules, prefix=self.application.http_prefix))

    def tell_contracts(self) -> dict[str, str]:
        return {
            call.contract.qualified: call.contract.hash for name in self._hosted for call in self._modules[name].calls.values()
        }

    # Modules that come and go

    async def host(self, module: str, placed: DatabaseAt | None) -> None:
        """Nothing happens if it is hosted already. Raises ConfigError, MigrationsPending, MaterializedMismatch,
        DatabaseUnavailable."""
        if module not in self._modules:
            raise ConfigError(f"{self.launch.instance} is to host {module!r}, which is no module of {self.application.name}")
        await self._to_its_end(self._host(module, placed))

    async def drop(self, module: str, within_s: float) -> bool:
        """False, and it is hosted as before, where something of it still ran at the end of the time."""
        return await self._to_its_end(self._drop(module, within_s))

    def _to_its_end(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Also where the one who asked has gone: a module is here or not, and never half."""
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return asyncio.shield(task)

    async def place(self, placed: dict[str, DatabaseAt]) -> dict[str, int]:
        return await self.databases.place(placed)

    async def hold(self, module: str, name: str, of: Slice, seconds: float) -> None:
        await self.databases.hold(module, name, of, seconds)

    def release(self, module: str, name: str) -> None:
        self.databases.release(module, name)

    async def _host(self, module: str, placed: DatabaseAt | None) -> None:
        async with self._hosting:
            if module in self._hosted:
                return
            declared = self._modules[module]
            await self.databases.host(declared, placed)
            await self.ingress.host(declared)
            self.calls.host(module, self.databases.ledgers.get(module))
            self.schedules.host(declared, self.databases.fences.get(module))
            self._hosted.append(module)
            logger.info("module.hosted", extra={"hosted": module})

    async def _drop(self, module: str, within_s: float) -> bool:
        async with self._hosting:
            if module not in self._hosted:
                return True
            until = time.monotonic() + within_s
            if not await self.schedules.drop(module, within_s):
                return False
            if not await self._is_left(module, until):
                self.schedules.host(self._modules[module], self.databases.fences.get(module))
                return False
            self._hosted.remove(module)
            await self.ingress.drop(module)
            await self.databases.drop(self._modules[module])
            give_memory_back()
            logger.info("module.dropped", extra={"dropped": module})
            return True

    async def _is_left(self, module: str, until: float) -> bool:
        """Whether the last request and call of a module have ended in time."""
        while self.ingress.in_flight_of(module):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(POLL_S)
        return await self.calls.drop(module, until - time.monotonic())

    async def warm(self) -> None:
        """Pools are open since the start; what it calls elsewhere is to be connected too."""
        await self.calls.wait_connected()

    def begin_drain(self) -> None:
        self._draining.set()

    def leave_now(self) -> None:
        """Without the drain delay: nobody sends requests any more, because what is in front has been stopped."""
        self._delay_s = 0.0
        self._draining.set()


def give_memory_back() -> None:
    """To the system, what nothing refers to any more: the C library keeps it for itself otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # where the C library is not glibc
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int:
    """Memory that the process has now; where the system does not tell, the most that it ever had."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
