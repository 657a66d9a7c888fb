"""The callee's end of one connection: runs calls, answers, keeps the peer honest.

Each call runs in a worker's task (see `workers`) and is ended by its function, by CANCEL, by its deadline, or with its
connection. Answers are collected and written once per turn of the loop. A peer that does not read its answers is not read from
either. A peer that breaks the protocol is told so by name and cut off; the others do not notice.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast

from ramet.calls import failures
from ramet.calls.heartbeat import Heartbeat
from ramet.calls.hosting import Hosted, Work, enter
from ramet.calls.server import CallServer
from ramet.calls.streams import OutgoingCredit
from ramet.calls.transport import peer_service
from ramet.errors import BadAnswer, BadArgument, DeadlineExceeded, Overloaded, ProtocolError, Unavailable
from ramet.observe import names
from ramet.wire import hello, values
from ramet.wire.calls import FailureBody, encode_failure
from ramet.wire.context import current
from ramet.wire.frames import HEADER_BYTES, MAX_HELLO_BYTES, PONG, WITH_CAUSAL, Frame, FrameReader, Kind, flush_frames, frame
from ramet.wire.hello import PROTOCOL, Hello, Welcome

_CALL, _RESULT, _FAILURE, _CHUNK = map(int, (Kind.CALL, Kind.RESULT, Kind.FAILURE, Kind.CHUNK))
_BEFORE = frozenset({int(Kind.HELLO), int(Kind.REFUSE)})
_AFTER = frozenset(map(int, (Kind.CALL, Kind.CANCEL, Kind.CREDIT, Kind.PING, Kind.REFUSE)))
PATIENCE_S = 60.0
"""How long a stream waits for its reader to take what was sent. Then it is ended: a reader that forgot it must not keep it."""
_CANCELLED = asyncio.CancelledError.__name__

monotonic = time.monotonic


class _Unsendable(Exception):
    """A result that does not fit its contract or a frame: the call's own error, and not one that its function raised."""

    def __init__(self, why: BadAnswer) -> None:
        self.why = why


class ServerConnection(asyncio.Protocol):
    def __init__(self, server: CallServer, *, outside_allowed: bool) -> None:
        self._server = server
        self._outside_allowed = outside_allowed
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(max_frame_bytes=MAX_HELLO_BYTES, kinds=_BEFORE, then=_AFTER)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._flush_frames = flush_frames(is_tls=False)
        self._table: list[tuple[Hosted | None, str]] = []
        """Row -> the call and the module that calls; None where it was refused in the handshake."""
        self._calls: dict[int, Work] = {}
        self._credits: dict[int, OutgoingCredit] = {}
        self._window_bytes = 0
        self._max_frame_bytes = server.settings.max_frame_bytes
        self._handshake: asyncio.TimerHandle | None = None
        self._heartbeat: Heartbeat | None = None
        self._peer = ""

    def __repr__(self) -> str:
        return f"<ServerConnection from {self._peer or 'a stranger'}, {len(self._calls)} in flight>"

    # The connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # a stream transport: Protocol gets no other
        self._server.connections.add(self)
        self._flush_frames = flush_frames(is_tls=transport.get_extra_info("sslcontext") is not None)
        self._handshake = self._loop.call_later(
            self._server.settings.handshake_s, self._refuse, ProtocolError("no-hello", "no HELLO came in time")
        )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        self.close()

    def close(self) -> None:
        """Cut it off and end its calls."""
        self._server.connections.discard(self)
        if self._handshake is not None:
            self._handshake.cancel()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self._transport is not None:
            self._flush()
            self._transport.close()
            self._transport = None
        for number in list(self._calls):
            self._cancel(number)

    def pause_writing(self) -> None:
        # The peer does not read: take no more work from it.
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def _refuse(self, error: ProtocolError) -> None:
        self._server.recorder.counter(names.CONNECTIONS_REFUSED, reason=error.name).value += 1
        self.write(frame(Kind.REFUSE, body=hello.encode_refusal(error)))
        self.close()

    # Receiving

    def data_received(self, data: bytes) -> None:
        if self._heartbeat is not None:
            self._heartbeat.heard = True
        try:
            for each in self._reader.feed(data):
                if each[0] == _CALL:
                    self._call(each)
                else:
                    self._receive(each)
        except ProtocolError as error:
            self._refuse(error)

    def _receive(self, each: Frame) -> None:
        kind, flags, _, number, body = each
        match kind:
            case Kind.CANCEL:
                self._cancel(number)
            case Kind.CREDIT:
                more = hello.decode_credit(body)
                if credit := self._credits.get(number):
                    credit.grant(more)
            case Kind.PING:
                if not flags & PONG:
                    self.write(frame(Kind.PING, flags=PONG))
            case Kind.HELLO:
                self._greet(hello.decode_hello(body, app=self._server.app))
            case _:  # REFUSE
                self.close()

    def _greet(self, greeting: Hello) -> None:
        if self._handshake is not None:
            self._handshake.cancel()
        assert self._transport is not None
        named = peer_service(self._transport, self._server.app)
        if named is not None and named != greeting.service:
            raise ProtocolError(
                "wrong-certificate",
                f"the peer calls itself service {greeting.service!r}, its certificate names {named!r}",
            )
        server = self._server
        answers = hello.answers(greeting, server.hosted, outside_allowed=self._outside_allowed)
        self._table = [
            (server.hosted[offer.call] if answer.verdict in {"same", "differs"} else None, offer.caller)
            for offer, answer in zip(greeting.table, answers, strict=True)
        ]
        self._peer = greeting.instance
        interval_s = server.settings.ping_interval_s
        self._heartbeat = Heartbeat(interval_s, ping=lambda: self.write(frame(Kind.PING)), lost=self.close)
        self._window_bytes = greeting.window_bytes
        self._max_frame_bytes = min(self._max_frame_bytes, greeting.max_frame_bytes)
        self._reader.max_frame_bytes = server.settings.max_frame_bytes
        welcome = Welcome(
            PROTOCOL,
            server.service,
            server.instance,
            server.version,
            answers,
            server.settings.max_frame_bytes,
            server.settings.max_calls_per_connection,
        )
        self.write(frame(Kind.HELLO, body=hello.encode(welcome)))
        if server.is_draining:
            self.write(frame(Kind.DRAIN))

    # Calls

    def in_flight_of(self, module: str) -> int:
        return sum(work.hosted.contract.module == module for work in self._calls.values())

    def _call(self, each: Frame) -> None:
        _, flags, index, number, body = each
        hosted, caller = self._table[index] if index < len(self._table) else (None, "")
        if hosted is None:
            raise ProtocolError("not-agreed", f"a CALL of row {index}, which the handshake did not agree on")
        if number in self._calls or not number:
            raise ProtocolError("duplicate-call", f"call {number} is in flight already" if number else "a call needs a number")
        server = self._server
        if hosted.is_gone:
            gone = Unavailable(f"{server.instance} does not host `{hosted.contract.module}` any more", may_have_run=False)
            self._fail(number, failures.refusal_body(gone))
            return
        if server.in_flight >= server.settings.max_calls or len(self._calls) >= server.settings.max_calls_per_connection:
            server.shed.value += 1
            self._fail(
                number,
                failures.refusal_body(
                    Overloaded(f"{server.instance} has {server.in_flight} calls in flight", may_have_run=False)
                ),
            )
            return
        try:
            work = enter(hosted, caller, flags, number, body)
        except BadArgument as error:
            self._fail(number, failures.refusal_body(error))
            return
        server.entered()
        self._calls[number] = work
        server.workers.submit((self, work))

    async def run(self, work: Work, task: asyncio.Task[None]) -> None:
        """Run one call and answer it. Called by a worker; the task is the worker's."""
        if work.is_cancelled:
            return
        work.task = task
        current.set(work)
        hosted = work.hosted
        error = ""
        try:
            if hosted.streams:
                await self._stream(work)
            else:
                if work.key is None:
                    result = await hosted.function(*work.args)
                else:
                    result = await hosted.ledger.once(hosted.contract.qualified, work.key, partial(hosted.function, *work.args))
                news = work.noted.news() if work.noted is not None else None
                self.write(self._encoded(_RESULT, work, result, news))
        except asyncio.CancelledError:
            error = self._stopped(work)
        except _Unsendable as unsendable:
            error = BadAnswer.__name__
            self._fail(work.number, failures.refusal_body(unsendable.why))
        except Exception as raised:  # noqa: BLE001  (a callee may raise anything; its caller gets it)
            error = type(raised).__name__
            self._answer_error(raised, work)
        finally:
            self._leave(work, error)

    def _encoded(self, kind: int, work: Work, value: Any, news: dict[str, int] | None) -> bytes:
        try:
            return work.hosted.codec.encode_result(kind, work.number, value, news, self._max_frame_bytes)
        except BadAnswer as error:
            raise _Unsendable(error) from error

    async def _stream(self, work: Work) -> None:
        number = work.number
        credit = self._credits[number] = OutgoingCredit(self._window_bytes)
        items: AsyncIterator[Any] = work.hosted.function(*work.args)
        limit_s = work.ends - work.started  # for each item
        try:
            async for item in items:
                chunk = self._encoded(_CHUNK, work, item, None)
                self.write(chunk)
                credit.spend(len(chunk))
                if not credit.is_left:
                    work.ends = monotonic() + PATIENCE_S  # the reader's time, not the callee's
                    await credit.wait_left()
                work.ends = monotonic() + limit_s
        finally:
            self._credits.pop(number, None)
            if close := getattr(items, "aclose", None):
                await close()
        news = work.noted.news() if work.noted is not None else None
        body = values.ENCODER.encode(news) if news else b""
        self.write(frame(Kind.END, flags=WITH_CAUSAL if news else 0, call=number, body=body))

    def sweep(self, now: float) -> None:
        """End the calls whose deadline has passed. Their callers are told first, in case the function takes its time to end."""
        for work in list(self._calls.values()):
            if _ANSWERED < work.ends <= now:
                late = DeadlineExceeded("the deadline passed at the callee", may_have_run=work.task is not None)
                self._fail(work.number, failures.refusal_body(late))
                work.ends = _ANSWERED
                self._cancel(work.number)

    def _cancel(self, number: int) -> None:
        work = self._calls.get(number)
        if work is None:
            return
        if work.task is None:
            work.is_cancelled = True
            self._leave(work, DeadlineExceeded.__name__ if work.ends == _ANSWERED else _CANCELLED)
        else:
            work.task.cancel()

    def _leave(self, work: Work, error: str) -> None:
        self._calls.pop(work.number, None)
        server = self._server
        server.in_flight -= 1
        server.recorder.finish(work.hosted.series, work.trace_id, work.span_id, work.parent_id, work.started, monotonic(), error)

    def _stopped(self, work: Work) -> str:
        """A call ended in CancelledError: by its deadline, its caller or its connection, or by raising it itself."""
        if work.task is not None and not work.task.cancelling():
            self._answer_error(RuntimeError("the call cancelled itself"), work)
        return DeadlineExceeded.__name__ if work.ends == _ANSWERED else _CANCELLED

    def _answer_error(self, raised: Exception, work: Work) -> None:
        contract = work.hosted.contract
        if work.ends == _ANSWERED:
            return
        if isinstance(raised, DeadlineExceeded) and raised.call is None:  # a statement met the deadline before the sweep did
            late = DeadlineExceeded("the deadline passed at the callee", may_have_run=True)
            self._fail(work.number, failures.refusal_body(late))
            return
        failures.log_unexpected(raised, contract)
        self._fail(work.number, failures.failure_body(raised, contract, work.trace_id.hex()))

    # Sending

    def _fail(self, number: int, body: FailureBody) -> None:
        encoded = encode_failure(body)
        if len(encoded) + HEADER_BYTES > self._max_frame_bytes:
            large = BadAnswer(f"failure {body.name} is {len(encoded)} bytes and does not fit a frame", may_have_run=True)
            encoded = encode_failure(failures.refusal_body(large))
        self.write(frame(_FAILURE, call=number, body=encoded))

    def write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)
        if len(self._out) >= self._flush_frames and len(self._out) >= len(self._calls) >> 2:
            self._flush()

    def _flush(self) -> None:
        out = self._out
        if out:
            self._out = []
            if self._transport is not None:
                self._transport.write(b"".join(out))


_ANSWERED = -math.inf
"""End of a call whose caller has been told already."""


def door(server: CallServer, *, outside: bool) -> Callable[[], ServerConnection]:
    """A protocol factory for asyncio's servers.

    outside: accept code that belongs to no module; for a door that only this machine's user can reach.
    """
    return lambda: ServerConnection(server, outside_allowed=outside)
