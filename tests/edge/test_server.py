"""A real server on a real socket: connections, their timeouts, and stopping so that no client notices."""

import asyncio
import contextlib
import gc
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ramet.edge.limits import Limits
from ramet.edge.server import Server, Stage, listen
from tests.edge.shop import make
from tests.edge.support import WebModule, ingress_of, wait_until


@asynccontextmanager
async def serving(*modules: WebModule, limits: Limits | None = None, **options: Any) -> AsyncIterator[tuple[Server, int]]:
    listener = listen()
    port = listener.getsockname()[1]
    server: Server | None = None

    def ready() -> str | None:
        return "draining" if server is not None and server.is_draining else None

    server = Server(ingress_of(*modules, limits=limits, ready=ready, **options), listener, tick_s=0.02)
    await server.serve()
    try:
        yield server, port
    finally:
        await server.stop(grace_s=1)
        assert server.statistics()["connections"] == 0


def run(main: Callable[[], Awaitable[None]]) -> None:
    uvloop.run(asyncio.wait_for(main(), 20))
    gc.collect()  # a connection that was left open would warn now, and warnings are errors


class Client:
    """One connection, spoken to by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, method: str, path: str, body: bytes = b"", headers: str = "") -> None:
        length = f"content-length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\n{length}{headers}\r\n".encode() + body)

    async def answer(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0))) if has_body else b""
        return int(lines[0].split()[1]), headers, body

    async def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.send("GET", path)
        return await self.answer()

    async def is_closed(self) -> bool:
        """Waits for the server to close. Whether it said nothing more."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def waiting() -> tuple[WebModule, asyncio.Event, asyncio.Event]:
    """GET /wait says that it has begun, and waits to go on."""
    module = make()
    begun, go = asyncio.Event(), asyncio.Event()

    @module.get("/wait")
    async def wait() -> str:
        begun.set()
        await go.wait()
        return "done"

    return module, begun, go


def test_a_connection_serves_many_requests() -> None:
    """Whole responses in one write, with a date and without the name of the software."""

    async def main() -> None:
        async with serving(make()) as (server, port):
            client = await Client.open(port)
            for number in range(3):
                status, headers, body = await client.get(f"/items/{number}")
                assert (status, json.loads(body)["slug"]) == (200, str(number))
                assert {"date", "traceparent"} < set(headers)
                assert not {"server", "connection"} & set(headers)
            client.send("HEAD", "/items/a")
            status, headers, _ = await client.answer(has_body=False)
            assert int(headers["content-length"]) > 0
            client.send("DELETE", "/items/a")
            assert (await client.answer())[0] == 204
            client.send("POST", "/items", b'{"item": {"title": "T"}}', "content-type: application/json\r\n")
            assert (await client.answer())[0] == 201
            assert server.statistics()["served"] == 6
            await client.close()

    run(main)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def main() -> None:
        async with serving(make()) as (_, port):
            client = await Client.open(port)
            for number in range(5):
                client.send("GET", f"/items/{number}")
            assert [json.loads((await client.answer())[2])["slug"] for _ in range(5)] == list("01234")
            await client.close()

    run(main)


def test_a_client_may_ask_to_go_on_before_it_sends_its_body() -> None:
    async def main() -> None:
        async with serving(make()) as (_, port):
            client = await Client.open(port)
            head = "POST /raw HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n"
            client.writer.write(head.encode())
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            client.writer.write(b"abc")
            assert (await client.answer())[2] == b"3"
            await client.close()

    run(main)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nx-slow: ", b"GET /items/a HTTP/1.1\r\nhost: x\r\n\r\nGET /"])
def test_a_head_that_drips_is_closed(sent: bytes) -> None:
    """Also on a connection that says nothing, and on one that was served before."""

    async def main() -> None:
        async with serving(make(), limits=Limits(head_s=0.05)) as (_, port):
            client = await Client.open(port)
            client.writer.write(sent)
            if sent.endswith(b"GET /"):
                await client.answer()
            assert await client.is_closed()
            await client.close()

    run(main)


def test_an_idle_connection_is_closed() -> None:
    async def main() -> None:
        async with serving(make(), limits=Limits(keep_alive_s=0.05)) as (_, port):
            client = await Client.open(port)
            await client.get("/items/a")
            assert await client.is_closed()
            await client.close()

    run(main)


@pytest.mark.parametrize("lines", [1, 200])
def test_a_head_without_end_is_refused(lines: int) -> None:
    """Before it is complete, and however it is cut."""

    async def main() -> None:
        async with serving(make(), limits=Limits(max_head_bytes=4000)) as (_, port):
            client = await Client.open(port)
            client.writer.write(b"GET /items/a HTTP/1.1\r\nhost: x\r\n")
            for number in range(lines):
                client.writer.write(f"x-{number}: {'y' * (6000 // lines)}\r\n".encode())
            client.writer.write(b"\r\n")
            status, headers, body = await client.answer()
            assert (status, json.loads(body)["status"], headers["connection"]) == (431, 431, "close")
            await client.close()

    run(main)


def test_a_body_that_drips_is_answered_408_and_closed() -> None:
    async def main() -> None:
        async with serving(make(), limits=Limits(body_s=0.05)) as (_, port):
            client = await Client.open(port)
            client.writer.write(b"POST /raw HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
            status, headers, _ = await client.answer()
            assert (status, headers["connection"]) == (408, "close")
            assert await client.is_closed()
            await client.close()

    run(main)


def test_a_client_that_leaves_ends_its_request() -> None:
    async def main() -> None:
        module, begun, _ = waiting()
        async with serving(module) as (server, port):
            client = await Client.open(port)
            client.send("GET", "/wait")
            await begun.wait()
            await client.close()
            await wait_until(lambda: not server.statistics()["requests"])

    run(main)


def test_websockets_are_served_beside() -> None:
    """And told to come back when the server stops."""

    async def main() -> None:
        async with serving(make()) as (server, port):
            async with connect(f"ws://127.0.0.1:{port}/chat/lobby?limit=1") as chat:
                await chat.send("hello")
                assert await chat.recv() == "lobby: hello"
            async with connect(f"ws://127.0.0.1:{port}/chat/lobby") as chat:
                await chat.send("hello")
                await chat.recv()
                stopping = asyncio.create_task(server.stop(grace_s=5))
                with pytest.raises(ConnectionClosed) as closed:
                    await chat.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1012
                await stopping

    run(main)


# Stopping


def test_stopping_is_unready_then_draining_then_finishing() -> None:
    """While it drains everything is served, new connections too; each response tells its client to go elsewhere."""

    async def main() -> None:
        module, begun, go = waiting()
        async with serving(module) as (server, port):
            idle, busy = await Client.open(port), await Client.open(port)
            assert (await idle.get("/readyz"))[0] == 200
            busy.send("GET", "/wait")
            await begun.wait()

            await server.drain(0)
            status, headers, body = await idle.get("/readyz")
            assert (status, body, headers["connection"]) == (503, b"draining\n", "close")
            late = await Client.open(port)
            status, headers, _ = await late.get("/items/a")
            assert (status, headers["connection"]) == (200, "close")
            assert await late.is_closed()

            stopping = asyncio.create_task(server.stop(grace_s=10))
            await wait_until(lambda: server.stage is Stage.FINISHING)
            go.set()
            status, headers, body = await busy.answer()
            assert (status, body, headers["connection"]) == (200, b'"done"', "close")
            await stopping
            assert repr(server) == "<Server on a closed socket: stopped, 0 connections>"
            with pytest.raises(ConnectionRefusedError):
                await Client.open(port)
            for client in (idle, busy, late):
                await client.close()

    run(main)


def test_what_does_not_finish_within_the_grace_is_told_so() -> None:
    """A request that hangs must not keep an instance alive."""

    async def main() -> None:
        module, begun, _ = waiting()
        async with serving(module) as (server, port):
            client = await Client.open(port)
            client.send("GET", "/wait")
            await begun.wait()
            await server.stop(grace_s=0.01)
            status, _, body = await client.answer()
            assert (status, json.loads(body)["may_have_run"]) == (503, True)
            await client.close()

    run(main)


def test_streams_are_ended_when_the_server_stops() -> None:
    """They have no end to wait for."""
    module = make()
    begun = asyncio.Event()

    @module.get("/endless")
    async def endless() -> AsyncIterator[int]:
        yield 1
        begun.set()
        await asyncio.Event().wait()

    async def main() -> None:
        async with serving(module) as (server, port):
            client = await Client.open(port)
            client.send("GET", "/endless", headers="accept: text/event-stream\r\n")
            await begun.wait()
            await server.stop(grace_s=10)
            assert (await client.reader.read()).endswith(b"data: 1\n\n\r\n0\r\n\r\n")
            await client.close()

    run(main)


def test_a_request_that_has_begun_to_arrive_is_still_served() -> None:
    """Its client cannot know that it came too late."""

    async def main() -> None:
        async with serving(make()) as (server, port):
            client = await Client.open(port)
            await client.get("/items/a")
            client.writer.write(b"GET /items/b HTTP/1.1\r\nho")
            await wait_until(lambda: any(each.is_busy for each in server._connections()))
            stopping = asyncio.create_task(server.stop(grace_s=5))
            await wait_until(lambda: server.stage is Stage.FINISHING)
            client.writer.write(b"st: x\r\n\r\n")
            status, headers, _ = await client.answer()
            assert (status, headers["connection"]) == (200, "close")
            await stopping
            await client.close()

    run(main)


def test_stopping_twice_waits_for_one_end() -> None:
    async def main() -> None:
        async with serving(make()) as (server, _):
            await asyncio.gather(server.stop(), server.stop(), server.drain(60))
            await server.stop()
            await server.serve()
            assert server.stage is Stage.STOPPED

    run(main)


def test_a_server_that_never_served_stops_too() -> None:
    async def main() -> None:
        listener = listen()
        await Server(ingress_of(make()), listener).stop()
        assert listener.fileno() == -1

    run(main)


def test_nagle_is_off_on_a_socket_that_was_handed_over() -> None:
    """With it, answers on kept connections wait 40 ms for the client's acknowledgement."""

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(ingress_of(make()), listener)
        await server.serve()
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await server.stop()

    run(main)


def test_a_rolling_restart_under_load_fails_no_request() -> None:
    """The listening socket stays with the supervisor; two servers in turn take from it. Clients open a new connection where
    they are told to, and send nothing twice."""

    async def main() -> None:
        listener = listen()
        port = listener.getsockname()[1]
        outcomes: list[int] = []
        stop = asyncio.Event()

        async def load() -> None:
            client = await Client.open(port)
            while not stop.is_set():
                status, headers, _ = await client.get("/items/a")
                outcomes.append(status)
                if headers.get("connection") == "close":
                    await client.close()
                    client = await Client.open(port)
            await client.close()

        first = Server(ingress_of(make()), listener.dup())
        await first.serve()
        clients = [asyncio.create_task(load()) for _ in range(8)]
        for _ in range(3):
            served = len(outcomes)
            await wait_until(lambda served=served: len(outcomes) > served + 100)
            second = Server(ingress_of(make()), listener.dup())
            await second.serve()
            await first.drain(0.05)
            await first.stop()
            first = second
        stop.set()
        await asyncio.gather(*clients)
        await first.stop()
        listener.close()
        assert len(outcomes) > 300
        assert set(outcomes) == {200}

    run(main)
