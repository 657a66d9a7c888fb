"""One HTTP/1.1 connection: uvicorn's protocol on httptools, with what it lacks.

    a head that drips        closed after `head_s`, also on a new connection that says nothing
    a head without end       431 over `max_head_bytes`
    an idle connection       closed after `keep_alive_s`, by the sweep instead of a timer per response
    a client that reads not  aborted after `write_s`
    a server that stops      `Connection: close` on each response

and with a short way for whole responses (`Exchange`): one write instead of two messages, which pays for all the rest.

    connected ──first byte──> reading a head ──complete──> in a request ──response complete──> idle ──byte──> reading a head
        └────────────── head_s ──────┘                                                          └── keep_alive_s
"""

import asyncio
import enum
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from ramet.edge.desk import EXCHANGE
from ramet.edge.limits import Limits

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: application/problem+json\r\n"
    b"content-length: 82\r\n\r\n"
    b'{"type":"about:blank","title":"Request Header Fields Too Large","status":431}     '
)


class Wait(enum.Enum):
    """What a connection waits for, with a limit in time."""

    HEAD = "head"
    REQUEST = "request"
    IDLE = "idle"


class State(ServerState):
    """What all connections of a server share. date: its header line, renewed each second."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.is_closing = False
        self.date = b""


class Exchange:
    """The short way of one request, see `ramet.edge.desk.Exchange`."""

    __slots__ = ("_cycle", "_date", "task")

    def __init__(self, cycle: RequestResponseCycle, date: bytes) -> None:
        self._cycle = cycle
        self._date = date
        self.task: Any = None

    def whole_body(self) -> bytes | None:
        cycle = self._cycle
        return None if cycle.more_body else bytes(cycle.body)

    def respond(self, status: int, headers: bytes, body: bytes) -> bool:
        cycle = self._cycle
        if cycle.disconnected or cycle.response_started or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        if cycle.keep_alive:
            cycle.transport.write(b"".join((STATUS_LINE[status], self._date, headers, b"\r\n", body)))
        else:
            cycle.transport.write(b"".join((STATUS_LINE[status], self._date, headers, b"connection: close\r\n\r\n", body)))
            cycle.transport.close()
        cycle.message_event.set()
        cycle.on_response()
        return True


class Connection(HttpToolsProtocol):
    def __init__(self, config: Config, server_state: State, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._state = server_state
        self._max_head_bytes = server_state.limits.max_head_bytes
        self._head_bytes = 0
        self.wait = Wait.HEAD
        self.since = self.loop.time()

    def __repr__(self) -> str:
        return f"<Connection from {self.client}, waits for {self.wait.value}>"

    def data_received(self, data: bytes) -> None:
        if self.wait is not Wait.REQUEST:
            if self.wait is Wait.IDLE:
                self.wait = Wait.HEAD
                self.since = self.loop.time()
                self._head_bytes = 0
            self._head_bytes += len(data)
        super().data_received(data)
        if self.wait is Wait.HEAD and self._head_bytes > self._max_head_bytes:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        if self._head_bytes > self._max_head_bytes and self._size_of_head() > self._max_head_bytes:
            self._refuse_head()
            return
        self.wait = Wait.REQUEST
        super().on_headers_complete()

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        state = self._state
        if state.is_closing:
            cycle.keep_alive = False
        exchange = Exchange(cycle, state.date)
        cycle.scope[EXCHANGE] = exchange  # pyright: ignore[reportGeneralTypeIssues]  (a key of our own)
        task = exchange.task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self.wait = Wait.IDLE
            self.since = self.loop.time()

    # What the server's sweep asks of it

    def close_if_late(self, now: float, limits: Limits) -> None:
        if self.transport.is_closing():
            if now - self.since > limits.write_s:
                self.transport.abort()
            return
        waited_s = now - self.since
        if (self.wait is Wait.HEAD and waited_s > limits.head_s) or (self.wait is Wait.IDLE and waited_s > limits.keep_alive_s):
            self.transport.close()
        elif self.wait is Wait.IDLE and waited_s > limits.write_s and self.transport.get_write_buffer_size():
            self.transport.abort()

    def shutdown(self) -> None:
        """Close now if it is idle; what is in a request, or has begun to send one, finishes it first."""
        if self.wait is Wait.IDLE or (self.wait is Wait.HEAD and not self._head_bytes):
            self.transport.close()
        elif self.cycle is not None:
            self.cycle.keep_alive = False
