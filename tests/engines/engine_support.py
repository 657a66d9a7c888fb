"""What several tests of engines need: waiting for a condition, a supervisor to kill, small HTTP servers and clients."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def wait_until(condition: Callable[[], object], *, deadline_s: float = 10.0) -> None:
    """Look until it holds. Fails with the condition's own text after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {condition}"
        await asyncio.sleep(0.005)


async def wait_until_async(look: Callable[[], Awaitable[T]], condition: Callable[[T], bool], *, deadline_s: float = 10.0) -> None:
    """The same for what has to be asked."""
    end = time.monotonic() + deadline_s
    while not condition(found := await look()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {found}"
        await asyncio.sleep(0.01)


class Killable:
    """A Python process of its own that runs a script, so that a supervisor can be killed like any other process."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def read_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            assert self.process.stderr is not None
            raise AssertionError(f"the script ended without a word:\n{self.process.stderr.read()}")
        return line

    def __enter__(self) -> "Killable":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


def end_process(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Upstream:
    """An HTTP/1.1 server of few words. It answers with its own name, counts, and can be told to misbehave."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.requests = 0
        self.last_headers: dict[str, str] = {}
        self.drop_next = 0
        """Requests that are read, counted, and answered by closing the connection."""
        self.hold: asyncio.Event | None = None
        """If set, answers wait for it."""
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator["Upstream"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                if "content-length" in headers:
                    await reader.readexactly(int(headers["content-length"]))
                if headers.get("upgrade") == "websocket":
                    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
                    while echo := await reader.read(1024):
                        writer.write(echo)
                    return
                if first.split()[1] != "/readyz":
                    self.requests += 1
                    self.last_headers = headers
                    if self.drop_next:
                        self.drop_next -= 1
                        return
                    if self.hold is not None:
                        await self.hold.wait()
                body = self.name.encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


class Client:
    """One keep-alive connection; opens another when the server asked to close. What goes wrong is raised."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, path: str = "/", *, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        length = "content-length: 0\r\n" if method != "GET" else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: test\r\n{extra}{length}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        body = (await reader.readexactly(size)).decode()
        if "connection: close" in head:
            self.close()
        return int(head.split()[1]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def ask(port: int, path: str = "/", *, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str]:
    client = Client(port)
    try:
        return await client.request(path, method=method, headers=headers)
    finally:
        client.close()


class Load:
    """Clients in a closed loop, until it is left. `answers` counts bodies, `failures` keeps other answers and errors."""

    def __init__(self, port: int, *, clients: int = 4, path: str = "/") -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._port, self._clients, self._path = port, clients, path
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving = False

    @property
    def total(self) -> int:
        return self.answers.total()

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving = True
        await asyncio.gather(*self._tasks)

    async def wait_more(self, requests: int) -> None:
        goal = self.total + requests
        await wait_until(lambda: self.total >= goal or self.failures)

    async def _run(self) -> None:
        client = Client(self._port)
        while not self._leaving:
            try:
                status, body = await client.request(self._path)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                client.close()
                continue
            if status == 200:
                self.answers[body] += 1
            else:
                self.failures.append(f"{status} {body}")
        client.close()
