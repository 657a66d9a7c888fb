"""One HTTP/1.1 connection: uvicorn's protocol on httptools, with what it lacks.

    a head that drips        closed after `head_s`, also on a new connection that says nothing
    a head without end       431 over `max_head_bytes`
    an idle connection       closed after `keep_alive_s`, by the server's sweep instead of a timer per response
    a client that reads not  aborted after `write_s`
    a server that stops      `Connection: close` on each response

and with a short way for whole responses (`ramet.edge.desk.Exchange`): one write instead of two messages, no timer, no callback
at a task's end. What that saves pays for the request's context, record and limits. Parsing, flow control, WebSockets and the
long way by ASGI's messages are uvicorn's.

    connected ─first byte─> reading a head ─complete─> in a request ─response complete─> idle ─byte─> reading a head
        └──────────── head_s ─────┘                                                       └── keep_alive_s
"""

import asyncio
import enum
import logging
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from ramet.edge.desk import EXCHANGE
from ramet.edge.limits import Limits

logger = logging.getLogger("ramet.edge")

_TOO_LARGE_BODY = b'{"type":"about:blank","title":"Request Header Fields Too Large","status":431}'
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-type: application/problem+json\r\ncontent-length: %d\r\n\r\n%b" % (len(_TOO_LARGE_BODY), _TOO_LARGE_BODY)
)
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Wait(enum.Enum):
    """What a connection waits for."""

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


class Cycle(RequestResponseCycle):
    """One request and its response; also the request's `Exchange`."""

    task: "asyncio.Task[None]"

    def __init__(self, connection: "Connection", scope: Any, *, keep_alive: bool) -> None:  # pyright: ignore[reportMissingSuperCall]  (all that the base sets is set here, in half the time)
        self.scope = scope
        self.transport = connection.transport
        self.flow = connection.flow
        self.logger = logger
        self.access_logger = logger
        self.access_log = False
        self.default_headers = connection.state.default_headers
        self.message_event = asyncio.Event()
        self.on_response = connection.on_response_complete
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = connection.expect_100_continue
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = None
        self.expected_content_length = 0
        self._date = connection.state.date

    async def run(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:  # the ingress answers what its handlers raise: this is a bug of ours
            logger.exception("edge.bug")
        finally:
            del self.scope[EXCHANGE]  # pyright: ignore[reportGeneralTypeIssues]  (or each request were a cycle, and the collector's to find)
            if not self.response_complete:
                self.transport.close()

    def whole_body(self) -> bytes | None:
        return None if self.more_body else bytes(self.body)

    def respond(self, status: int, headers: bytes, body: bytes) -> bool:
        if self.disconnected or self.response_started or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        if self.keep_alive:
            self.transport.write(b"".join((STATUS_LINE[status], self._date, headers, b"\r\n", body)))
        else:
            self.transport.write(b"".join((STATUS_LINE[status], self._date, headers, b"connection: close\r\n\r\n", body)))
            self.transport.close()
        self.message_event.set()
        self.on_response()
        return True


class Connection(HttpToolsProtocol):
    parser: Any

    def __init__(self, config: Config, state: State, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        self.state = state
        self.wait = Wait.HEAD
        self.since = loop.time()
        self._now = loop.time
        self._app: Any = cast("Any", config).loaded_app
        self._max_head_bytes = state.limits.max_head_bytes
        self._head_bytes = 0
        self._is_in_head = False

    def __repr__(self) -> str:
        return f"<Connection from {self.client}, waits for {self.wait.value}>"

    # From the socket, by way of the parser

    def data_received(self, data: bytes) -> None:
        if self.wait is not Wait.REQUEST:
            if self.wait is Wait.IDLE:
                self.wait = Wait.HEAD
                self.since = self._now()
                self._head_bytes = 0
            self._head_bytes += len(data)
        super().data_received(data)
        if self.wait is Wait.HEAD and self._head_bytes > self._max_head_bytes:
            self._refuse_head()

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._is_in_head = True

    def on_headers_complete(self) -> None:
        if self._head_bytes > self._max_head_bytes and self._size_of_head() > self._max_head_bytes:
            self._refuse_head()
            return
        self._is_in_head = False
        parser = self.parser
        scope = self._scope(parser.get_method().decode("ascii"), parser.get_http_version())
        self.scope = cast("Any", scope)
        if parser.should_upgrade() and self._should_upgrade():
            return
        self.wait = Wait.REQUEST
        before: Any = self.cycle  # None until the first request
        keep_alive = scope["http_version"] != "1.0" and parser.should_keep_alive() and not self.state.is_closing
        cycle = self.cycle = Cycle(self, scope, keep_alive=keep_alive)
        if before is None or before.response_complete:
            self._start(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self._app))

    def _scope(self, method: str, version: str) -> dict[str, Any]:
        url = self.url
        if url.startswith(b"/") and b"#" not in url:
            raw_path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            raw_path, query = parsed.path or b"/", parsed.query or b""
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method,
            "scheme": self.scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "server": self.server,
            "client": self.client,
        }

    def _start(self, cycle: Cycle) -> None:
        cycle.scope[EXCHANGE] = cycle  # pyright: ignore[reportGeneralTypeIssues]  (a key of our own)
        cycle.task = self.loop.create_task(cycle.run(self._app))

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_response_complete(self) -> None:
        self.state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start(cast("Cycle", self.pipeline.pop()[0]))
        else:
            self.wait = Wait.HEAD if self._is_in_head else Wait.IDLE
            self.since = self._now()

    # What the server asks of it

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """Of the request that it is in."""
        return cast("Cycle", self.cycle).task if self.wait is Wait.REQUEST else None

    @property
    def is_busy(self) -> bool:
        """In a request, or in its head. The client cannot know any more that it came too late."""
        return self.wait is Wait.REQUEST or self._is_in_head

    def close_if_late(self, now: float, limits: Limits) -> None:
        waited_s = now - self.since
        if self.transport.is_closing():
            if waited_s > limits.write_s:
                self.transport.abort()
        elif (self.wait is Wait.HEAD and waited_s > limits.head_s) or (self.wait is Wait.IDLE and waited_s > limits.keep_alive_s):
            self.transport.close()
        elif self.wait is Wait.IDLE and waited_s > limits.write_s and self.transport.get_write_buffer_size():
            self.transport.abort()

    @property
    def is_fresh(self) -> bool:
        """Accepted, and nothing of its first request has come yet."""
        never = self.cycle is None  # pyright: ignore[reportUnnecessaryComparison]  (so uvicorn begins)
        return never and self.wait is Wait.HEAD and not self._is_in_head

    def shutdown(self) -> None:
        """Close now, or after the request that it is in."""
        if not self.is_busy:
            self.transport.close()
        elif self.wait is Wait.REQUEST:
            self.cycle.keep_alive = False
