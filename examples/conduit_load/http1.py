"""An HTTP/1.1 client that costs little: on two cores the load must not take the one that it measures."""

import asyncio
from typing import Any, NamedTuple

import httptools

TIMEOUT_S = 10.0


class Answer(NamedTuple):
    status: int
    body: bytes


class NoAnswer(Exception):
    """The connection failed, or nothing came in time. may_have_run: False if the request was not sent."""

    def __init__(self, message: str, *, may_have_run: bool = True) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class Connection(asyncio.Protocol):
    """One request at a time."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser: Any = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self.is_open = True

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NoAnswer(f"the connection was closed: {exc or 'by the server'}"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, AttributeError) as error:
            self.transport.abort()
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(NoAnswer(f"what came is not HTTP: {error!r}"))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.is_open = False
            self.transport.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Answer(self._parser.get_status_code(), b"".join(self._body)))

    async def send(self, request: bytes) -> Answer:
        """Raises NoAnswer."""
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._waiter
        except TimeoutError:
            self.transport.abort()
            raise NoAnswer(f"no answer within {TIMEOUT_S:g} s") from None


class Client:
    """As many connections as there are requests under way."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[Connection] = []

    async def send(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> Answer:
        """Raises NoAnswer."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}:{self._port}"]
        if token is not None:
            lines.append(f"authorization: Token {token}")
        if body is not None:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        elif method != "GET":
            lines.append("content-length: 0")
        request = "\r\n".join([*lines, "\r\n"]).encode() + (body or b"")
        connection = await self._connection()
        answer = await connection.send(request)
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        try:
            async with asyncio.timeout(TIMEOUT_S):
                _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
                return connection
        except (OSError, TimeoutError) as error:
            raise NoAnswer(f"no connection: {error!r}", may_have_run=False) from error

    def close(self) -> None:
        while self._idle:
            self._idle.pop().transport.close()
