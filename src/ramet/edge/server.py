"""Serving an application on a listening socket, and stopping so that no client notices.

    serving ──drain──> draining ──(drain delay)──> finishing ──(nothing in hand, or the grace is over)──> stopped
                       unready; new connections      listener and idle connections closed; streams ended,
                       still served, each response   requests in hand finish
                       says `Connection: close`

Proxies need the drain delay to see /readyz say no. Killed without it, 9.5 % of the requests of a rolling restart failed; with it
none did (`notes/delivery.md`, b.6). All of it runs on the loop that everything else runs on; signals are the process's matter.
"""

import asyncio
import contextlib
import enum
import logging
import socket
import time
from email.utils import formatdate
from typing import Any, cast

from uvicorn.config import Config

from ramet.edge.ingress import Ingress
from ramet.edge.protocol import Connection, State

logger = logging.getLogger("ramet.edge")
BACKLOG = 2048
DRAIN_DELAY_S = 5.0
"""Over what Envoy needs to take an endpoint out: two failed checks at the interval of 1 s, and the time to tell all of its
workers."""
GRACE_S = 10.0
"""For what is in hand: the longest deadline, twice."""
FIRST_REQUEST_S = 1.0
"""For the first request of a connection that was accepted just before the end."""
LAST_WORDS_S = 1.0
"""For what is ended at the end of the grace to say so."""
TICK_S = 1.0
"""How late a timeout of a connection may be noticed."""
POLL_S = 0.02


class Stage(enum.Enum):
    NEW = "new"
    SERVING = "serving"
    DRAINING = "draining"
    FINISHING = "finishing"
    STOPPED = "stopped"


class Server:
    """One listening socket and its connections. The socket is the caller's to open (so that it may be handed over) and is closed
    here, with TCP_NODELAY set: without it answers on kept connections wait 40 ms."""

    def __init__(
        self, ingress: Ingress, listener: socket.socket, *, max_message_bytes: int = 1024 * 1024, tick_s: float = TICK_S
    ) -> None:
        self.stage = Stage.NEW
        self._ingress = ingress
        self._listener = listener
        self._tick_s = tick_s
        self._state = State(ingress.limits)
        self._config = Config(
            cast("Any", ingress.dispatch),
            interface="asgi3",
            http=Connection,
            ws="auto",
            ws_max_size=max_message_bytes,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._acceptor: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Server on {self.address}: {self.stage.value}, {len(self._state.connections)} connections>"

    @property
    def address(self) -> str:
        try:
            name: Any = self._listener.getsockname()
        except OSError:
            return "a closed socket"
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)

    @property
    def is_draining(self) -> bool:
        """For /readyz: it says no from the first moment on."""
        return self.stage not in {Stage.NEW, Stage.SERVING}

    def statistics(self) -> dict[str, int]:
        return {"connections": len(self._state.connections), "served": self._state.total_requests, **self._ingress.statistics()}

    async def serve(self) -> None:
        """Returns once connections are accepted. Raises UsageError where a mounted application does not start, and OSError."""
        if self.stage is not Stage.NEW:
            return
        if not self._config.loaded:
            self._config.load()
        await self._ingress.start()
        if self._listener.family in {socket.AF_INET, socket.AF_INET6}:
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listener.setblocking(False)
        self._renew_date()
        loop = asyncio.get_running_loop()
        self._acceptor = await loop.create_server(
            lambda: Connection(self._config, self._state, loop), sock=self._listener, backlog=BACKLOG
        )
        self._ticker = loop.create_task(self._tick())
        self.stage = Stage.SERVING
        logger.info("edge.serving", extra={"address": self.address})

    async def drain(self, delay_s: float = DRAIN_DELAY_S) -> None:
        """Go on serving for so long, while proxies learn that this instance leaves. Returns at once where it was asked before."""
        if self.stage is not Stage.SERVING:
            return
        self.stage = Stage.DRAINING
        self._state.is_closing = True
        logger.info("edge.draining", extra={"delay_s": delay_s})
        await asyncio.sleep(delay_s)

    async def stop(self, *, grace_s: float = GRACE_S) -> None:
        """Finish what is in hand, then close. Whoever calls it again waits for the same end."""
        if self.stage in {Stage.FINISHING, Stage.STOPPED}:
            await self._stopped.wait()
            return
        was_serving = self.stage is not Stage.NEW
        self.stage = Stage.FINISHING
        self._state.is_closing = True
        if was_serving:
            await self._finish(grace_s)
        self._listener.close()
        await self._ingress.stop()
        self.stage = Stage.STOPPED
        self._stopped.set()
        logger.info("edge.stopped", extra={"served": self._state.total_requests})

    async def _finish(self, grace_s: float) -> None:
        assert self._acceptor is not None
        assert self._ticker is not None
        self._acceptor.close()
        # Whoever has just connected is about to send: closing it now would reset a request that is on its way.
        until = time.monotonic() + min(FIRST_REQUEST_S, grace_s)
        while time.monotonic() < until and any(each.is_fresh for each in self._connections()):  # noqa: ASYNC110  (no event tells)
            await asyncio.sleep(POLL_S)
        for connection in list(self._state.connections):
            connection.shutdown()
        self._ingress.in_flight.end_streams()
        if not await self._wait_idle(grace_s):
            logger.warning("edge.unfinished", extra=self.statistics())
            self._ingress.in_flight.end_all()
            await self._wait_idle(LAST_WORDS_S)
        for task in [*(task for each in self._connections() if (task := each.task)), *self._state.tasks]:
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.close()
        self._ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticker

    async def _wait_idle(self, limit_s: float) -> bool:
        """Whether nothing is in hand any more, neither requests nor WebSockets."""
        until = time.monotonic() + limit_s
        while is_busy := bool(self._state.tasks or any(each.is_busy for each in self._connections())):
            if time.monotonic() >= until:
                break
            await asyncio.sleep(POLL_S)
        return not is_busy

    def _connections(self) -> list[Connection]:
        """Those that speak HTTP; WebSockets keep time themselves."""
        return [each for each in cast("set[Any]", self._state.connections) if isinstance(each, Connection)]

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._tick_s)
            self._renew_date()
            now = loop.time()
            for connection in self._connections():
                connection.close_if_late(now, self._ingress.limits)

    def _renew_date(self) -> None:
        date = formatdate(time.time(), usegmt=True).encode()  # the header wants the wall clock
        self._state.date = b"date: %b\r\n" % date
        self._state.default_headers = [(b"date", date)]


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening TCP socket, for whoever has no supervisor that hands one over. port: 0 for any free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
