"""The caller's end of one connection: sends CALL frames, hands answers to those who wait, keeps the peer honest.

    connecting ──HELLO answered──> ready ──DRAIN──> draining ──last answer──> closed
         └──────────────── refused, lost, silent ──────────────────────────────> closed

Frames are collected and written once per turn of the loop. Each waiting call is ended exactly once: by its answer, by its
deadline (a sweep every 20 ms, cheaper by far than a timer each), by its caller leaving, or by the end of the connection. A call
whose frame was not yet handed to the transport provably did not run.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

from ramet.calls.heartbeat import Heartbeat
from ramet.calls.streams import IncomingStream
from ramet.errors import CallError, ConnectionLost, DeadlineExceeded, ProtocolError
from ramet.wire import hello
from ramet.wire.calls import CallCodec
from ramet.wire.frames import PONG, Frame, FrameReader, Kind, flush_frames, frame
from ramet.wire.hello import Terms, Welcome

SWEEP_S = 0.02
_NUMBERS = 2**32

_RESULT, _FAILURE, _CANCEL = map(int, (Kind.RESULT, Kind.FAILURE, Kind.CANCEL))
_BEFORE = frozenset({int(Kind.HELLO), int(Kind.REFUSE)})
_AFTER = frozenset(map(int, (Kind.RESULT, Kind.FAILURE, Kind.CHUNK, Kind.END, Kind.PING, Kind.DRAIN, Kind.REFUSE)))

monotonic = time.monotonic


class ClientConnection(asyncio.Protocol):
    """One connection to one instance.

    agreed, refused: (calling module, call) -> how it can be made here, or why not; filled by the handshake. on_end is called
    once, with the reason; on_room whenever it stops or starts to take calls; on_drain when the peer wants no more.
    """

    def __init__(
        self,
        greeting: hello.Hello,
        *,
        max_frame_bytes: int,
        ping_interval_s: float,
        on_end: Callable[[Exception], None],
        on_room: Callable[[], None],
        on_drain: Callable[[], None],
        leaves_when_drained: bool = True,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._greeting = greeting
        self._reader = FrameReader(max_frame_bytes=max_frame_bytes, kinds=_BEFORE, then=_AFTER)
        self.transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._flush_frames = flush_frames(is_tls=False)
        self._next = 1
        self._handed_over = 0
        """Number of the last call whose frame the transport has."""
        self.pending: dict[int, tuple[asyncio.Future[Frame], float]] = {}
        self._streams: dict[int, IncomingStream] = {}
        self._welcome: asyncio.Future[Welcome] = self._loop.create_future()
        self._sweeping: asyncio.TimerHandle | None = None
        self._heartbeat: Heartbeat | None = None
        self._ping_interval_s = ping_interval_s
        self._pongs: list[asyncio.Future[None]] = []
        self._leaves_when_drained = leaves_when_drained
        self._on_end, self._on_room, self._on_drain = on_end, on_room, on_drain
        self.agreed: dict[tuple[str, str], Terms] = {}
        self.refused: dict[tuple[str, str], Terms] = {}
        self.welcome: Welcome | None = None
        self.max_frame_bytes = max_frame_bytes
        self.max_calls = 1
        self.is_paused = False
        self.is_draining = False
        self.ended: Exception | None = None

    def __repr__(self) -> str:
        peer = self.welcome.instance if self.welcome else "not greeted"
        state = "ended" if self.ended else "draining" if self.is_draining else "ready" if self.welcome else "connecting"
        return f"<ClientConnection to {peer}, {state}, {len(self.pending)} in flight>"

    # Handshake

    async def wait_ready(self) -> Welcome:
        """The peer's answer to HELLO. Raises ProtocolError, or ConnectionLost where it went away."""
        return await self._welcome

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # a stream transport: Protocol gets no other
        self._flush_frames = flush_frames(is_tls=transport.get_extra_info("sslcontext") is not None)
        self.transport.write(frame(Kind.HELLO, body=hello.encode(self._greeting)))

    def accept(self, welcome: Welcome, terms: dict[tuple[str, str], Terms]) -> None:
        """Open for calls, on these terms."""
        self.welcome = welcome
        self.agreed = {name: each for name, each in terms.items() if each.is_agreed}
        self.refused = {name: each for name, each in terms.items() if not each.is_agreed}
        self.max_calls = welcome.max_calls
        self.max_frame_bytes = min(self.max_frame_bytes, welcome.max_frame_bytes)
        self._heartbeat = Heartbeat(self._ping_interval_s, ping=self._ping, lost=self._silent)

    # Sending

    def send(
        self, codec: CallCodec, terms: Terms, body: Any, args: tuple[Any, ...], deadline: float
    ) -> tuple[int, asyncio.Future[Frame]]:
        """Queue a call for this turn of the loop. Raises BadArgument; nothing was sent then."""
        number = self._next
        if number >= _NUMBERS or number in self.pending:
            number = self._take_number()
        encoded = codec.encode_call(terms.by_name, terms.index, number, body, self.max_frame_bytes, args)
        self._next = number + 1
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(encoded)
        future: asyncio.Future[Frame] = self._loop.create_future()
        self.pending[number] = (future, deadline)
        if len(self._out) >= self._flush_frames and len(self._out) >= len(self.pending) >> 2:
            self._flush()
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)
        return number, future

    def open_stream(self, codec: CallCodec, terms: Terms, body: Any, args: tuple[Any, ...]) -> IncomingStream:
        """Like `send`, for a call whose result is streamed."""
        number = self._take_number()
        self.write(codec.encode_call(terms.by_name, terms.index, number, body, self.max_frame_bytes, args))
        stream = self._streams[number] = IncomingStream(self, number, self._greeting.window_bytes)
        return stream

    def _take_number(self) -> int:
        """The next number that no open call has. They come round again after 2^32 calls."""
        number = self._next
        while number >= _NUMBERS or number in self.pending or number in self._streams:
            number = number + 1 if number < _NUMBERS else 1
        self._next = number + 1
        return number

    def cancel(self, number: int) -> None:
        """The caller left. Tells the callee, unless the call is over."""
        if self.pending.pop(number, None) or self._streams.pop(number, None):
            self.write(frame(_CANCEL, call=number))

    def write(self, data: bytes) -> None:
        """Queue a frame for this turn of the loop."""
        if self.ended is None:
            if not self._out:
                self._loop.call_soon(self._flush)
            self._out.append(data)
            if len(self._out) >= self._flush_frames:
                self._flush()

    def _flush(self) -> None:
        out = self._out
        if out and self.transport is not None and self.ended is None:
            self._out = []
            self._handed_over = self._next - 1
            self.transport.write(b"".join(out))

    def pause_writing(self) -> None:
        self.is_paused = True
        self._on_room()

    def resume_writing(self) -> None:
        self.is_paused = False
        self._on_room()

    # Receiving

    def data_received(self, data: bytes) -> None:
        if self._heartbeat is not None:
            self._heartbeat.heard = True
        try:
            frames = self._reader.feed(data)
            pending = self.pending
            for each in frames:
                kind = each[0]
                if kind == _RESULT or kind == _FAILURE:  # noqa: SIM109  (twice as fast as `in`, once per call)
                    entry = pending.pop(each[3], None)
                    if entry is not None:
                        if not entry[0].done():
                            entry[0].set_result(each)
                    elif kind == _FAILURE and (stream := self._streams.pop(each[3], None)):
                        stream.end(each)
                else:
                    self._receive(each)
        except ProtocolError as error:
            self._refuse(error)
            return
        if self.is_draining and self._leaves_when_drained and not self.pending and not self._streams:
            self.close()

    def _receive(self, each: Frame) -> None:
        kind, flags, _, number, body = each
        match kind:
            case Kind.HELLO:
                if not self._welcome.done():
                    self._welcome.set_result(hello.decode_welcome(body, len(self._greeting.table)))
            case Kind.REFUSE:
                self._end(hello.decode_refusal(body))
            case Kind.CHUNK:
                if stream := self._streams.get(number):
                    stream.receive(each)
            case Kind.END:
                if stream := self._streams.pop(number, None):
                    stream.end(each)
            case Kind.PING if flags & PONG:
                for pong in self._pongs:
                    if not pong.done():
                        pong.set_result(None)
                self._pongs.clear()
            case Kind.PING:
                self.write(frame(Kind.PING, flags=PONG))
            case _:  # DRAIN
                self.is_draining = True
                self._on_drain()

    # Deadlines and life

    def _sweep(self) -> None:
        self._sweeping = None
        now = monotonic()
        late = [number for number, (_, deadline) in self.pending.items() if deadline <= now]
        for number in late:
            future, _ = self.pending.pop(number)
            if not future.done():
                future.set_exception(DeadlineExceeded("the deadline passed before an answer came", may_have_run=True))
            self.write(frame(_CANCEL, call=number))
        if self.pending:
            self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)

    def _ping(self) -> None:
        self.write(frame(Kind.PING))

    def _silent(self) -> None:
        self._end(ConnectionLost(f"the peer gave no sign of life for over {self._ping_interval_s:g} s", may_have_run=True))

    async def wait_pong(self) -> None:
        """Ask for a sign of life and wait for it; the caller sets the limit."""
        pong: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(pong)
        self._ping()
        await pong

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ConnectionLost(f"the connection broke: {exc}" if exc else "the peer closed the connection", may_have_run=True))

    def _refuse(self, error: ProtocolError) -> None:
        if self.transport is not None and self.ended is None:
            self.transport.write(frame(Kind.REFUSE, body=hello.encode_refusal(error)))
        self._end(error)

    def close(self) -> None:
        """End the connection from this side; what waits ends with ConnectionLost."""
        self._flush()
        self._end(ConnectionLost("this instance closed the connection", may_have_run=True))

    def _end(self, reason: Exception) -> None:
        if self.ended is not None:
            return
        self.ended = reason
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self.transport is not None:
            self.transport.close() if self.is_draining else self.transport.abort()
        if not self._welcome.done():
            self._welcome.set_exception(reason)
            self._welcome.exception()  # whoever waits gets it; nobody has to
        for pong in self._pongs:
            pong.cancel()
        for number, (future, _) in self.pending.items():
            if not future.done():
                future.set_exception(self._lost(reason, may_have_run=number <= self._handed_over))
        self.pending.clear()
        for number, stream in list(self._streams.items()):
            stream.fail(self._lost(reason, may_have_run=number <= self._handed_over))
        self._streams.clear()
        self._on_end(reason)

    def _lost(self, reason: Exception, *, may_have_run: bool) -> CallError:
        message = reason.message if isinstance(reason, (CallError, ProtocolError)) else str(reason)
        return ConnectionLost(message, may_have_run=may_have_run)
