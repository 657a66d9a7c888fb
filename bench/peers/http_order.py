"""What every HTTP subject serves, how the peers are served, and the client that asks all of them: no stack of its own.

`GET /order` answers ORDER, which is made once; `POST /order` takes an order and answers it. Both as JSON, 20 fields.
"""

import asyncio
import datetime
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from bench.subject import Connect, Drive, Place, Serve, Subject

PATH = "/order"


class Address(msgspec.Struct, frozen=True):
    street: str
    city: str
    zip: str
    country: str


class Line(msgspec.Struct, frozen=True):
    sku: str
    quantity: int
    price: float


class Order(msgspec.Struct, frozen=True):
    id: int
    customer: str
    email: str
    status: str
    currency: str
    total: float
    created: datetime.datetime
    updated: datetime.datetime
    address: Address
    lines: tuple[Line, ...]
    note: str
    gift: bool
    weight_kg: float
    warehouse: int
    tags: tuple[str, ...]
    phone: str
    coupon: str | None
    priority: int
    channel: str
    version: int


NOW = datetime.datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=datetime.UTC)
ORDER = Order(
    id=982_451_653,
    customer="Ada Lovelace",
    email="ada@example.org",
    status="paid",
    currency="EUR",
    total=149.95,
    created=NOW,
    updated=NOW,
    address=Address("1 Long Street", "London", "N1", "GB"),
    lines=(Line("SKU-7731-BLUE-XL", 2, 10.5), Line("SKU-4020", 1, 128.95)),
    note="leave with neighbour, no 12",
    gift=True,
    weight_kg=2.75,
    warehouse=17,
    tags=("fragile", "express"),
    phone="+44 20 1234",
    coupon=None,
    priority=3,
    channel="web",
    version=7,
)
BODY = msgspec.json.encode(ORDER)


# The server of the peers


def serve_asgi(app: Any, *, access_log: bool = False, is_tuned: bool = False) -> Serve:
    """On uvicorn as lean as it goes. access_log: its own line per request. is_tuned: the collector as an instance has it."""

    @asynccontextmanager
    async def serve(place: Place) -> AsyncGenerator[Sequence[int], None]:
        from bench.peers.on_uvicorn import serving

        if is_tuned:
            from ramet.process.__main__ import tune_collector

            tune_collector()
        options = {"interface": "asgi3", "proxy_headers": False, "server_header": False}
        async with serving(app, place, access_log=access_log, **options):
            if access_log:
                _log_to_stderr()
            yield ()

    return serve


def _log_to_stderr() -> None:
    """Where ours goes too: stdout is the way to the harness."""
    import logging
    import sys

    for handler in logging.getLogger("uvicorn.access").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


# The client, the same for all


class Connection(asyncio.Protocol):
    """Sends its next request when the last is answered, from within the callback: it must cost less than any server.

    What comes first is read as HTTP; what follows must be of the same length, and the last is checked as a whole.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._expected = 0
        self._answer = b""
        self._done: asyncio.Future[None] | None = None
        self.is_open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"closed by the server: {exc}, after {self._answer!r}"))

    async def run(self, until: float, latencies: list[float]) -> bytes:
        """Returns the last answer's body."""
        self._until, self._latencies = until, latencies
        self._done = asyncio.get_running_loop().create_future()
        self._send(time.perf_counter())
        await self._done
        return self._answer.partition(b"\r\n\r\n")[2]

    def _send(self, now: float) -> None:
        self._start = now
        self._answer = b""
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer = answer = self._answer + data if self._answer else data
        if len(answer) != self._expected:
            if self._expected and len(answer) < self._expected:
                return
            self._expected = whole_length(answer)
            if len(answer) != self._expected:
                return
        if not answer.startswith(b"HTTP/1.1 200"):
            self._end(AssertionError(f"answered {answer!r}"))
            return
        now = time.perf_counter()
        self._latencies.append(now - self._start)
        if now < self._until:
            self._send(now)
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        done = self._done
        if done is None or done.done():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)


def whole_length(answer: bytes) -> int:
    """Of head and body; 0 while the head is not there."""
    head, end, _ = answer.partition(b"\r\n\r\n")
    if not end:
        return 0
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(head) + len(end) + int(length.partition(b":")[2])


def connect(method: str) -> Connect:
    head = f"{method} {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n"
    if method == "POST":
        request = f"{head}content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY
    else:
        request = f"{head}\r\n".encode()

    @asynccontextmanager
    async def connected(place: Place) -> AsyncGenerator[Drive, None]:
        connections: list[Connection] = []

        async def drive(concurrency: int, until: float, latencies: list[float]) -> None:
            connections[:] = [each for each in connections if each.is_open]
            while len(connections) < concurrency:
                loop = asyncio.get_running_loop()
                connections.append((await loop.create_connection(lambda: Connection(request), place.host, place.port))[1])
            for body in await asyncio.gather(*(each.run(until, latencies) for each in connections)):
                if msgspec.json.decode(body, type=Order) != ORDER:
                    raise AssertionError(f"{method}: {body!r}")

        yield drive
        for each in connections:
            each.transport.close()

    return connected


def pair(serve: Serve) -> tuple[Subject, Subject]:
    """GET and POST of one stack."""
    return Subject(serve, connect("GET")), Subject(serve, connect("POST"))
