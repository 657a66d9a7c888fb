"""A client written from docs/reference/wire.md alone, against the real server. It imports nothing of `ramet.wire`.

If a change of the protocol breaks these tests, it breaks clients in other languages too: then the page and the protocol's version
change with it.
"""

import asyncio
import contextlib
import struct
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack

from ramet.settings import Settings
from tests.docs.example import serving

HEADER = struct.Struct(">IBBHI")
HELLO, CALL, RESULT, FAILURE, CANCEL, CHUNK, END, CREDIT, PING, DRAIN, REFUSE = range(1, 12)
BY_NAME = PONG = WITH_CAUSAL = 0x01

TRACE = bytes(range(16))
SPAN = bytes(range(8))


def frame(kind: int, body: bytes = b"", *, flags: int = 0, index: int = 0, call: int = 0) -> bytes:
    return HEADER.pack(8 + len(body), kind, flags, index, call) + body


class Failed(Exception):
    """The call ended in FAILURE."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(f"{body['kind']}: {body.get('name', '')} {body.get('message', '')}")
        self.kind = body["kind"]
        self.name = body.get("name", "")
        self.message = body.get("message", "")
        self.fields = body.get("payload", {})
        self.may_have_run = body.get("may_have_run", True)
        self.trace = body.get("trace", "")


class Refused(Exception):
    """The server sent REFUSE."""


class Client:
    """What speaks the protocol: one reader task, one queue of frames per call."""

    def __init__(self, table: list[list[str]], *, window_bytes: int = 1000, app: str = "shop") -> None:
        self.hello = {
            "magic": "ramet",
            "protocol": 1,
            "app": app,
            "service": "other",
            "instance": "other-1",
            "version": "",
            "uses": {"front": ["orders"]},
            "table": table,
            "max_frame_bytes": 1024 * 1024,
            "window_bytes": window_bytes,
        }
        self.rows = {row[1]: index for index, row in enumerate(table)}
        self.number = 0
        self.waiting: dict[int, asyncio.Queue[tuple[int, int, bytes]]] = {}
        self.pongs = 0
        self.is_draining = False
        self.refusal: dict[str, Any] | None = None

    async def connect(self, door: Path) -> dict[str, Any]:
        self.reader, self.writer = await asyncio.open_unix_connection(str(door))
        self.writer.write(frame(HELLO, msgpack.encode(self.hello)))
        kind, _, _, body = await self.read()
        if kind == REFUSE:
            raise Refused(msgpack.decode(body)["name"])
        assert kind == HELLO
        self.welcome = msgpack.decode(body)
        self.receiving = asyncio.create_task(self.receive())
        return self.welcome

    async def read(self) -> tuple[int, int, int, bytes]:
        length, kind, flags, _, call = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        return kind, flags, call, await self.reader.readexactly(length - 8)

    async def receive(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, flags, call, body = await self.read()
                if kind == PING and not flags & PONG:
                    self.writer.write(frame(PING, flags=PONG))
                elif kind == PING:
                    self.pongs += 1
                elif kind == DRAIN:
                    self.is_draining = True
                elif kind == REFUSE:
                    self.refusal = msgpack.decode(body)
                elif call in self.waiting:
                    self.waiting[call].put_nowait((kind, flags, body))

    def send(self, name: str, arguments: list[Any] | dict[str, Any], *, deadline_ms: int = 2000) -> int:
        """By position for a list, by name for a map."""
        self.number += 1
        by_name = isinstance(arguments, dict)
        tail = [arguments] if isinstance(arguments, dict) else arguments
        body = msgpack.encode([deadline_ms, TRACE, SPAN, 1, None, *tail])
        self.waiting[self.number] = asyncio.Queue()
        self.writer.write(frame(CALL, body, flags=BY_NAME if by_name else 0, index=self.rows[name], call=self.number))
        return self.number

    async def answer(self, number: int) -> Any:
        kind, flags, body = await self.waiting[number].get()
        del self.waiting[number]
        if kind == FAILURE:
            raise Failed(msgpack.decode(body))
        assert kind == RESULT
        value = msgpack.decode(body)
        return value[1] if flags & WITH_CAUSAL else value

    async def call(self, name: str, arguments: list[Any] | dict[str, Any], *, deadline_ms: int = 2000) -> Any:
        return await self.answer(self.send(name, arguments, deadline_ms=deadline_ms))

    async def close(self) -> None:
        self.writer.close()
        await self.receiving


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


def talk(
    body: Callable[..., Awaitable[None]], table: list[list[str]], *, settings: Settings | None = None, window_bytes: int = 1000
) -> None:
    """Run `body(client, orders, calls)` with a client that has shaken hands."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            async with serving(Path(name), settings=settings) as (orders, calls, door):
                client = Client(table, window_bytes=window_bytes)
                await client.connect(door)
                async with asyncio.timeout(10):
                    await body(client, orders, calls)
                await client.close()
                await until(lambda: not calls.server.in_flight)

    asyncio.run(main())


def row(name: str, contract_hash: str = "", *, caller: str = "front") -> list[str]:
    return [caller, f"orders.{name}", contract_hash]


RESERVE_HASH = "13b65b9108216899"


def test_equal_hashes_make_a_call_by_position() -> None:
    """The hash is the one that the page shows."""

    async def body(client: Client, orders, calls) -> None:
        assert client.welcome["answers"][0][0] == "same"
        assert await client.call("orders.reserve", ["b-17", 2]) == {"sku": "b-17", "count": 2}

    talk(body, [row("reserve", RESERVE_HASH)])


def test_a_client_without_a_hash_learns_the_contract_and_calls_by_name() -> None:
    """Which is all that a client in another language needs."""

    async def body(client: Client, orders, calls) -> None:
        verdict, contract, *_ = client.welcome["answers"][0]
        assert verdict == "differs"
        assert [each["name"] for each in contract["parameters"]] == ["sku", "count"]
        assert await client.call("orders.reserve", {"sku": "b-17", "count": 2}) == {"sku": "b-17", "count": 2}

    talk(body, [row("reserve")])


def test_an_older_client_leaves_out_what_it_does_not_know() -> None:
    """An additive difference: `count` came later, so the server's default is taken."""

    async def body(client: Client, orders, calls) -> None:
        assert await client.call("orders.reserve", {"sku": "b-17"}) == {"sku": "b-17", "count": 1}

    talk(body, [row("reserve", "hash of an older version")])


def test_a_name_that_the_server_does_not_know_is_refused() -> None:
    """A newer client sets a parameter that this server has not: dropping it would be worse."""

    async def body(client: Client, orders, calls) -> None:
        with pytest.raises(Failed, match="gift") as caught:
            await client.call("orders.reserve", {"sku": "b-17", "gift": True})
        assert caught.value.kind == "bad-argument"
        assert not caught.value.may_have_run

    talk(body, [row("reserve")])


def test_a_declared_failure_has_its_name_and_fields() -> None:
    """A failure is a value."""

    async def body(client: Client, orders, calls) -> None:
        with pytest.raises(Failed) as caught:
            await client.call("orders.reserve", {"sku": "gone"})
        assert (caught.value.kind, caught.value.name) == ("failure", "SoldOut")
        assert caught.value.fields == {"sku": "gone", "left": 0}

    talk(body, [row("reserve")])


def test_an_exception_has_its_type_and_the_trace() -> None:
    """The trace is the one that the client sent."""

    async def body(client: Client, orders, calls) -> None:
        with pytest.raises(Failed) as caught:
            await client.call("orders.reserve", {"sku": "bug"})
        assert (caught.value.kind, caught.value.name, caught.value.trace) == ("remote-error", "KeyError", TRACE.hex())
        assert caught.value.may_have_run

    talk(body, [row("reserve")])


def test_a_stream_stops_at_its_window_and_goes_on_with_credit() -> None:
    """The window is 40 bytes and a chunk is 13, so the fourth goes over it; a grant of 26 brings two more."""

    async def body(client: Client, orders, calls) -> None:
        number = client.send("orders.watch", {"upto": 6})
        incoming = client.waiting[number]
        await until(lambda: incoming.qsize() == 4)
        client.writer.write(frame(PING))
        await until(lambda: client.pongs == 1)
        assert incoming.qsize() == 4, "nothing comes without credit"
        client.writer.write(frame(CREDIT, msgpack.encode([39]), call=number))
        frames = [await incoming.get() for _ in range(7)]
        assert [msgpack.decode(body) for _, _, body in frames[:6]] == [0, 1, 2, 3, 4, 5]
        assert [kind for kind, _, _ in frames] == [CHUNK] * 6 + [END]
        assert frames[6][2] == b""

    talk(body, [row("watch")], window_bytes=40)


def test_cancel_ends_the_work_and_is_not_answered() -> None:
    """The function sees CancelledError; other calls of the connection go on."""

    async def body(client: Client, orders, calls) -> None:
        number = client.send("orders.wait", {"seconds": 60})
        await until(lambda: calls.server.in_flight == 1)
        client.writer.write(frame(CANCEL, call=number))
        await until(lambda: orders.ended == 1)
        assert await client.call("orders.wait", {"seconds": 0}) is None
        assert client.waiting[number].empty()

    talk(body, [row("wait")])


def test_a_deadline_passes_at_the_server() -> None:
    """It counts from when the frame arrived, so clocks need not agree."""

    async def body(client: Client, orders, calls) -> None:
        with pytest.raises(Failed) as caught:
            await client.call("orders.wait", {"seconds": 60}, deadline_ms=30)
        assert caught.value.kind == "deadline-exceeded"
        assert caught.value.may_have_run
        await until(lambda: orders.ended == 1)

    talk(body, [row("wait")])


def test_ping_is_answered() -> None:
    """At once, whatever else is in flight."""

    async def body(client: Client, orders, calls) -> None:
        client.send("orders.wait", {"seconds": 60})
        client.writer.write(frame(PING))
        await until(lambda: client.pongs == 1)

    talk(body, [row("wait")])


def test_a_draining_server_still_answers() -> None:
    """DRAIN asks for no new calls and refuses none."""

    async def body(client: Client, orders, calls) -> None:
        number = client.send("orders.wait", {"seconds": 0.05})
        await until(lambda: calls.server.in_flight == 1)
        draining = asyncio.create_task(calls.drain(5))
        await until(lambda: client.is_draining)
        assert await client.call("orders.wait", {"seconds": 0}) is None
        assert await client.answer(number) is None
        assert await draining

    talk(body, [row("wait")])


def test_a_connection_to_a_draining_server_is_told_at_once() -> None:
    """DRAIN comes with the server's HELLO."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            async with serving(Path(name)) as (_, calls, door):
                await calls.drain(1)
                client = Client([row("wait")])
                await client.connect(door)
                await until(lambda: client.is_draining)
                await client.close()

    asyncio.run(main())


def test_one_call_too_many_is_shed_and_did_not_run() -> None:
    """The limit is in the server's HELLO."""

    async def body(client: Client, orders, calls) -> None:
        assert client.welcome["max_calls"] == 1
        client.send("orders.wait", {"seconds": 60})
        with pytest.raises(Failed) as caught:
            await client.call("orders.wait", {"seconds": 0})
        assert caught.value.kind == "overloaded"
        assert not caught.value.may_have_run

    talk(body, [row("wait")], settings=Settings(max_calls_per_connection=1))


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        (frame(99), "unknown-frame"),
        (frame(RESULT, b"\xc0", call=1), "out-of-order"),
        (HEADER.pack(7, PING, 0, 0, 0), "frame-too-short"),
        (HEADER.pack(2**31, CALL, 0, 0, 1), "frame-too-large"),
        (frame(CALL, msgpack.encode([1000, TRACE, SPAN, 1, None]), index=1, call=1), "not-agreed"),
        (frame(CALL, msgpack.encode([1000, TRACE, SPAN, 1, None, 0.0]), call=0), "duplicate-call"),
        (frame(CREDIT, msgpack.encode([0]), call=1), "bad-credit"),
        (frame(CREDIT, b"\xc1", call=1), "bad-credit"),
    ],
)
def test_a_breach_is_refused_by_name_and_ends_that_connection_alone(bad: bytes, name: str) -> None:
    """Row 1 of the table is one that the server does not host."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder)) as (_, _, door):
                good, rogue = Client([row("wait")]), Client([row("wait"), row("refund")])
                await good.connect(door)
                await rogue.connect(door)
                rogue.writer.write(bad)
                await asyncio.wait_for(rogue.receiving, 5)
                assert rogue.refusal is not None
                assert rogue.refusal["name"] == name
                assert await good.call("orders.wait", {"seconds": 0}) is None
                await good.close()
                rogue.writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "not-ramet"),
        (frame(PING), "out-of-order"),
        (frame(HELLO, b"\xc1"), "bad-hello"),
        (HEADER.pack(2**21, HELLO, 0, 0, 0), "frame-too-large"),
        (frame(HELLO, msgpack.encode(Client([], app="other").hello)), "wrong-app"),
        (frame(HELLO, msgpack.encode({**Client([]).hello, "protocol": 2})), "wrong-protocol"),
        (frame(HELLO, msgpack.encode(Client([]).hello)) * 2, "out-of-order"),
        (b"", "no-hello"),
    ],
)
def test_a_bad_beginning_is_refused_by_name(first: bytes, name: str) -> None:
    """Whoever connects by mistake is told what this port is."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder), settings=Settings(handshake_s=0.05 if not first else 5)) as (_, _, door):
                reader, writer = await asyncio.open_unix_connection(str(door))
                writer.write(first)
                answer = await asyncio.wait_for(reader.read(), 5)
                assert HEADER.unpack_from(answer)[1] == REFUSE
                assert msgpack.decode(answer[HEADER.size :])["name"] == name
                writer.close()

    asyncio.run(main())


def test_a_body_that_cannot_be_read_is_answered_and_the_connection_goes_on() -> None:
    """It is one call's mistake."""

    async def body(client: Client, orders, calls) -> None:
        client.number = 1
        client.waiting[1] = asyncio.Queue()
        client.writer.write(frame(CALL, b"\xc1", call=1))
        with pytest.raises(Failed) as caught:
            await client.answer(1)
        assert caught.value.kind == "bad-argument"
        assert await client.call("orders.wait", {"seconds": 0}) is None

    talk(body, [row("wait")])


def test_the_four_verdicts() -> None:
    """Each row of the table has an answer of its own."""

    async def body(client: Client, orders, calls) -> None:
        verdicts = [answer[0] for answer in client.welcome["answers"]]
        assert verdicts == ["same", "differs", "absent", "not-allowed", "differs"]

    table = [row("reserve", RESERVE_HASH), row("wait"), row("refund"), row("wait", caller="cron"), row("wait", caller="")]
    talk(body, table)
