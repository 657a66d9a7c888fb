"""One instance of the fleet: its launch file, its listening socket, its process, its control channel."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from ramet.calls import direct
from ramet.calls.transport import host_id
from ramet.engines.files import write_whole
from ramet.engines.processes import Command
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import Change, Supervisor
from ramet.errors import CallError, RametError
from ramet.model.control import Status
from ramet.model.launch import InstanceRecord, Launch
from ramet.model.routing import Address, RoutingTable
from ramet.operate.folder import Folder
from ramet.operate.leftovers import INSTANCE_STEPS
from ramet.process.control import control, route, status
from ramet.wire import values

_ASK_S = 2.0


class Keeper:
    """on_change is told of every change of its process."""

    def __init__(self, launch: Launch, folder: Folder, app: str, on_change: Callable[[Change], None]) -> None:
        self._socket = listening(launch.http_host, launch.http_port)
        self.launch = launch = launch.on_socket(self._socket.fileno())
        self.app = app
        self._folder = folder.instance(launch.instance)
        self.http: tuple[str, int] = self._socket.getsockname()[:2]
        self.address = Address(launch.instance, launch.service, "", str(Path(launch.state) / "calls.sock"), host_id())
        self.table: RoutingTable | None = None
        """What it should know; told again after each restart."""
        self.supervisor = Supervisor(
            launch.instance,
            pidfile=self._folder / "pid",
            prepare=self._prepare,
            is_ready=self._is_ready,
            find=lambda: None,  # what was left has been ended: it holds a socket that is not ours
            start_deadline_s=30.0,
            stop_steps=INSTANCE_STEPS,
            policy=RestartPolicy(),
            on_change=on_change,
        )

    def __repr__(self) -> str:
        return f"<Keeper of {self.launch.instance}: {self.supervisor.status.value}>"

    @property
    def record(self) -> InstanceRecord:
        return InstanceRecord(
            self.launch.instance, self.launch.service, self.address.unix, f"{self.http[0]}:{self.http[1]}", str(self.log)
        )

    @property
    def log(self) -> Path:
        return self._folder / "log"

    def make_folders(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        Path(self.launch.state).mkdir(parents=True, exist_ok=True, mode=0o700)

    async def _prepare(self) -> Command:
        write_whole(self._folder / "launch.json", values.encode_json(self.launch))
        if self.table is not None:
            # On disk before it starts, so that it is routed from its first moment on.
            write_whole(Path(self.launch.state) / "routing.json", values.encode_json(self.table))
        return Command(
            argv=[sys.executable, "-m", "ramet.process", self._folder / "launch.json"],
            directory=Path(self.launch.application).parent,
            log=self.log,
            environment={**os.environ, "RAMET_LOG_FORMAT": os.environ.get("RAMET_LOG_FORMAT", "json")},
            pass_fds=(self._socket.fileno(),),
        )

    async def _is_ready(self) -> bool:
        try:
            return (await self.ask()).state == "ready"
        except (RametError, OSError):
            return False

    async def ask(self) -> Status:
        """Its own word. Raises CallError where it does not answer."""
        return await ask(self.address, self.app)

    async def tell(self, table: RoutingTable) -> None:
        """Give it a routing table; if it cannot be reached it will read it when it starts."""
        self.table = table
        try:
            async with direct.connect(self.address, [control], app=self.app) as instance:
                await instance.call(route, table, deadline_s=_ASK_S)
        except CallError:
            if self.supervisor.pid is not None:
                raise

    async def stop(self) -> None:
        await self.supervisor.stop()
        self._socket.close()


async def ask(address: Address, app: str) -> Status:
    """What an instance says of itself. Raises CallError where it does not answer."""
    async with asyncio.timeout(2 * _ASK_S), direct.connect(address, [control], app=app) as instance:
        return await instance.call(status, deadline_s=_ASK_S)


def listening(host: str, port: int) -> socket.socket:
    """A listening socket for an instance, which the supervisor keeps: connections wait in it while the instance starts again."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind((host, port))
    made.listen(2048)
    made.set_inheritable(True)
    return made
