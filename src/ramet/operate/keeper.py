"""One instance of the fleet: its launch file, its listening socket, its process, its control channel."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ramet.calls import direct
from ramet.calls.transport import host_id
from ramet.engines.files import write_whole
from ramet.engines.identity import read_pidfile
from ramet.engines.processes import Command, Process
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import Change, Supervisor
from ramet.errors import RametError
from ramet.model.control import Status
from ramet.model.insight import Queries
from ramet.model.launch import InstanceRecord, Launch
from ramet.model.routing import Address, RoutingTable
from ramet.operate.folder import Folder
from ramet.operate.leftovers import INSTANCE_STEPS
from ramet.process.control import control, queries, route, status
from ramet.wire import values

SILENT = (RametError, OSError)
"""What asking an instance raises where it does not answer, or answers with an error. A TimeoutError is an OSError."""
ASK_S = 2.0
TELL_S = 10.0
"""How long an instance may take to take a routing table; one that has stopped for longer is killed by then (`liveness`)."""
AGAIN_S = 0.05
START_DEADLINE_S = 30.0


class Keeper:
    """on_change is told of every change of its process.

    http: where it listens, of an instance that another supervisor started; its socket is that instance's own until it is
    started again, and a free port's for a new one.
    """

    def __init__(
        self,
        launch: Launch,
        folder: Folder,
        app: str,
        on_change: Callable[[Change], None],
        *,
        python: str = sys.executable,
        http: tuple[str, int] | None = None,
        revision: int = 0,
    ) -> None:
        self._socket = None if http else listening(launch.http_host, launch.http_port)
        self.launch = launch
        self.app = app
        self.revision = revision
        """Grows when it hosts another module, see `Address`."""
        self._python = python
        self._folder = folder.instance(launch.instance)
        self.http: tuple[str, int] = http or self._listening_socket().getsockname()[:2]
        self.table: RoutingTable | None = None
        """What it should know; told again after each restart."""
        self.supervisor = Supervisor(
            launch.instance,
            pidfile=self._folder / "pid",
            prepare=self._prepare,
            is_ready=self._is_ready,
            find=None if http else lambda: None,  # a new instance never takes over what has its name
            start_deadline_s=START_DEADLINE_S,
            stop_steps=INSTANCE_STEPS,
            policy=RestartPolicy(),
            on_change=on_change,
        )

    def __repr__(self) -> str:
        return f"<Keeper of {self.launch.instance}: {self.supervisor.status.value}>"

    @property
    def address(self) -> Address:
        unix = str(Path(self.launch.state) / "calls.sock")
        return Address(self.launch.instance, self.launch.service, self.launch.version, unix, host_id(), revision=self.revision)

    @property
    def record(self) -> InstanceRecord:
        return InstanceRecord(
            self.launch.instance, self.launch.service, self.address.unix, f"{self.http[0]}:{self.http[1]}", str(self.log)
        )

    @property
    def log(self) -> Path:
        return self._folder / "log"

    def _listening_socket(self) -> socket.socket:
        if self._socket is None:
            self._socket = listening(*self.http)
        return self._socket

    def make_folders(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        Path(self.launch.state).mkdir(parents=True, exist_ok=True, mode=0o700)

    def save(self) -> None:
        """What it is to do, and the routing table that it begins with. So that it is routed from its first moment on."""
        write_whole(self._folder / "launch.json", values.encode_json(self.launch))
        if self.table is not None:
            write_whole(Path(self.launch.state) / "routing.json", values.encode_json(self.table))

    async def _prepare(self) -> Command:
        made = self._listening_socket()
        self.launch = self.launch.on_socket(made.fileno())
        self.make_folders()
        self.save()
        return Command(
            argv=[self._python, "-m", "ramet.process", self._folder / "launch.json"],
            directory=Path(self.launch.application).parent,
            log=self.log,
            environment={**os.environ, "RAMET_LOG_FORMAT": os.environ.get("RAMET_LOG_FORMAT", "json")},
            pass_fds=(made.fileno(),),
        )

    async def _is_ready(self) -> bool:
        try:
            return (await self.ask()).state == "ready"
        except SILENT:
            return False

    async def ask(self) -> Status:
        """Its own word. Raises CallError where it does not answer."""
        return await ask(self.address, self.app)

    async def ask_or_why(self) -> Status | str:
        """Its own word, or why it does not answer."""
        try:
            return await self.ask()
        except SILENT as error:
            return str(error) or type(error).__name__

    async def call(self, facade: Callable[..., Any], *args: Any, deadline_s: float = ASK_S) -> Any:
        """Make one of the control calls. Raises what it raises, and CallError where it does not answer."""
        async with asyncio.timeout(deadline_s + ASK_S), direct.connect(self.address, [control], app=self.app) as instance:
            return await instance.call(facade, *args, deadline_s=deadline_s)

    async def queries_or_why(self) -> Queries | str:
        """Of the modules that it hosts, or why it does not answer."""
        try:
            return await self.call(queries)
        except SILENT as error:
            return str(error) or type(error).__name__

    async def tell(self, table: RoutingTable, *, within_s: float = TELL_S, until_settled: bool = False) -> bool:
        """Give it a routing table, and return when it has taken it. An instance that is not running reads it when it starts.

        until_settled: also when the schedules that it owns no more have ended; else a long run of one is not waited for longer
        than the time. False if it did not answer in the time, and may go on with an older one.
        """
        self.table = table
        self.save()
        until = time.monotonic() + within_s
        while True:
            try:
                return await self.call(route, table, deadline_s=within_s) >= table.epoch
            except SILENT:
                if self.supervisor.pid is None or (not until_settled and await self._has_taken(table)):
                    return True
                if time.monotonic() > until:
                    return False
            await asyncio.sleep(AGAIN_S)

    async def _has_taken(self, table: RoutingTable) -> bool:
        try:
            return (await self.ask()).epoch >= table.epoch
        except SILENT:
            return False

    async def supervise(self) -> None:
        """Start it, or adopt it where it runs already. Raises EngineFailed."""
        await self.supervisor.start()

    async def stop(self) -> None:
        await self.supervisor.stop()
        self.close()

    async def end(self) -> None:
        """Stop one that is not supervised yet: what an earlier controller left."""
        pidfile = self._folder / "pid"
        if (identity := read_pidfile(pidfile)) is not None:
            await Process.adopt(self.launch.instance, identity).stop(INSTANCE_STEPS)
        pidfile.unlink(missing_ok=True)
        self.close()

    def kill(self) -> None:
        """It hangs; its supervisor starts it again."""
        self.supervisor.send(signal.SIGKILL)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


async def ask(address: Address, app: str) -> Status:
    """What an instance says of itself. Raises CallError where it does not answer."""
    async with asyncio.timeout(2 * ASK_S), direct.connect(address, [control], app=app) as instance:
        return await instance.call(status, deadline_s=ASK_S)


async def ask_queries(address: Address, app: str) -> Queries:
    """What an instance counted of its queries. Raises CallError where it does not answer."""
    async with asyncio.timeout(2 * ASK_S), direct.connect(address, [control], app=app) as instance:
        return await instance.call(queries, deadline_s=ASK_S)


def listening(host: str, port: int) -> socket.socket:
    """A listening socket for an instance, which the supervisor keeps: connections wait in it while the instance starts again."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind((host, port))
    made.listen(2048)
    made.set_inheritable(True)
    return made
