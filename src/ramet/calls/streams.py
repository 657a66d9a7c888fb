"""Streams over the wire: CHUNK frames under byte credit, ended by END, FAILURE, CANCEL or the end of the connection.

The sender may have `window` bytes of CHUNK frames under way unread, headers included. The reader grants more as it consumes,
so a slow reader slows the callee down and neither side holds more than a window (and the one item that went over it).
"""

import asyncio
from collections import deque
from typing import Protocol

from ramet.errors import CallError
from ramet.wire import hello
from ramet.wire.frames import HEADER_BYTES, Frame, Kind, frame
from ramet.wire.hello import Credit


class Connection(Protocol):
    def write(self, data: bytes) -> None: ...
    def cancel(self, number: int) -> None: ...


class IncomingStream:
    """The reader's end: frames in the order they came, then the frame that ended it."""

    def __init__(self, connection: Connection, number: int, window_bytes: int) -> None:
        self._connection = connection
        self._number = number
        self._half_window = max(window_bytes // 2, 1)
        self._frames: deque[Frame] = deque()
        self._consumed_bytes = 0
        self._last: Frame | CallError | None = None
        self._waiting: asyncio.Future[None] | None = None

    def receive(self, chunk: Frame) -> None:
        self._frames.append(chunk)
        self._wake()

    def end(self, last: Frame) -> None:
        """END or FAILURE came."""
        self._last = last
        self._wake()

    def fail(self, error: CallError) -> None:
        """No more will come."""
        self._last = error
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def wait_frame(self) -> None:
        """Until `next_frame` has one."""
        while not self._frames and self._last is None:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting

    def next_frame(self) -> Frame | None:
        """The next CHUNK, or END or FAILURE as the last; None: wait. Raises the error that ended it early."""
        if not self._frames:
            if isinstance(self._last, CallError):
                raise self._last
            return self._last
        chunk = self._frames.popleft()
        self._consumed_bytes += HEADER_BYTES + len(chunk[4])
        if self._consumed_bytes >= self._half_window and self._last is None:
            self._connection.write(frame(Kind.CREDIT, call=self._number, body=hello.encode(Credit(self._consumed_bytes))))
            self._consumed_bytes = 0
        return chunk

    def leave(self) -> None:
        """The reader wants no more: the callee is cancelled, unless the stream is over."""
        self._frames.clear()
        if self._last is None:
            self._connection.cancel(self._number)


class OutgoingCredit:
    """The sender's end: how much may still be sent."""

    def __init__(self, window_bytes: int) -> None:
        self._left_bytes = window_bytes
        self._waiting: asyncio.Future[None] | None = None

    def grant(self, more_bytes: int) -> None:
        self._left_bytes += more_bytes
        if self._left_bytes > 0 and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def spend(self, frame_bytes: int) -> None:
        self._left_bytes -= frame_bytes

    @property
    def is_left(self) -> bool:
        return self._left_bytes > 0

    async def wait_left(self) -> None:
        while self._left_bytes <= 0:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
