"""The floor: uvloop alone. One connection, N frames of 200 bytes in flight, no types, no futures, nothing parsed.

What comes back in one read is sent again in one write, so at 128 in flight a read carries dozens of frames. No stack
that completes calls one by one can be here; it shows what the kernel and the loop leave to be had.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from bench.subject import Drive, Place, Subject

FRAME = (200).to_bytes(4, "big") + bytes(200)


class EchoServer(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._write(data)


class EchoClient(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = cast("asyncio.Transport", transport).write  # uvloop's is one in all but name
        self._received = 0
        self._sent: deque[tuple[float, int]] = deque()
        """(time, frames) of each write that has not come back in full"""

    async def drive(self, concurrency: int, until: float, latencies: list[float]) -> None:
        self._until = until
        self._latencies = latencies
        self._drained = asyncio.get_running_loop().create_future()
        self._send(time.perf_counter(), concurrency)
        await self._drained

    def _send(self, now: float, frames: int) -> None:
        self._sent.append((now, frames))
        self._write(FRAME * frames)

    def data_received(self, data: bytes) -> None:
        frames, self._received = divmod(self._received + len(data), len(FRAME))
        if not frames:
            return
        now = time.perf_counter()
        self._settle(now, frames)
        if now < self._until:
            self._send(now, frames)
        elif not self._sent:
            self._drained.set_result(None)

    def _settle(self, now: float, frames: int) -> None:
        """TCP keeps the order, so the frames that came belong to the oldest writes."""
        while frames:
            at, waiting = self._sent.popleft()
            taken = min(frames, waiting)
            if taken < waiting:
                self._sent.appendleft((at, waiting - taken))
            self._latencies += [now - at] * taken
            frames -= taken


@asynccontextmanager
async def serve(place: Place) -> AsyncGenerator[Sequence[int], None]:
    async with await asyncio.get_running_loop().create_server(EchoServer, place.host, place.port):
        yield ()


@asynccontextmanager
async def connect(place: Place) -> AsyncGenerator[Drive, None]:
    transport, client = await asyncio.get_running_loop().create_connection(EchoClient, place.host, place.port)
    yield client.drive
    transport.close()


SUBJECT = Subject(serve, connect)
