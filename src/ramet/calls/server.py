"""The callee's end: takes connections, runs calls, answers.

Each call is a task of its own, made when its frame arrives and ended by its function, by CANCEL, by its deadline (a sweep every
20 ms), or with its connection. Answers are collected and written once per turn of the loop. A peer that does not read its
answers is not read from either. A peer that breaks the protocol is told so by name and cut off; others do not notice.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

from ramet.calls import failures
from ramet.calls.execution import awaitable, positional
from ramet.calls.facade import Call
from ramet.calls.ledger import Ledger
from ramet.calls.streams import OutgoingCredit
from ramet.calls.transport import peer_service
from ramet.errors import BadArgument, CallError, DeadlineExceeded, Overloaded, ProtocolError, UsageError
from ramet.model.contract import CallContract
from ramet.observe import names
from ramet.observe.record import Record, Recorder, new_span_id
from ramet.settings import Settings
from ramet.wire import hello, values
from ramet.wire.calls import FailureBody, encode_failure
from ramet.wire.context import Causal, Context, check_baggage, current
from ramet.wire.frames import BY_NAME, MAX_HELLO_BYTES, PONG, WITH_CAUSAL, Frame, FrameReader, Kind, frame
from ramet.wire.hello import PROTOCOL, Hello, Welcome

SWEEP_S = 0.02

_CALL, _RESULT, _FAILURE, _CHUNK = int(Kind.CALL), int(Kind.RESULT), int(Kind.FAILURE), int(Kind.CHUNK)
_BEFORE = frozenset({int(Kind.HELLO), int(Kind.REFUSE)})
_AFTER = frozenset(map(int, (Kind.CALL, Kind.CANCEL, Kind.CREDIT, Kind.PING, Kind.REFUSE)))
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}

monotonic = time.monotonic


class Hosted:
    """A call that this instance serves."""

    def __init__(self, call: Call, recorder: Recorder, ledger: Ledger) -> None:
        contract = call.contract
        self.contract: CallContract = contract
        self.codec = call.codec
        self.face = call.face
        self.function = positional(awaitable(call.function), tuple(p.name for p in contract.parameters if p.keyword_only))
        self.series = recorder.series(names.CALL_SERVED, module=contract.module, call=contract.name, placement="remote")
        self.ledger = ledger

    @property
    def is_once_durable(self) -> bool:
        return self.ledger.is_durable


class CallServer:
    """Serves the calls of the modules placed here, on any number of doors.

    outside: accept code that belongs to no module; `True` for a door that only this machine's user can reach.
    """

    def __init__(
        self,
        hosted: Mapping[str, Hosted],
        *,
        app: str,
        service: str,
        instance: str,
        version: str,
        settings: Settings,
        recorder: Recorder,
    ) -> None:
        self.hosted = hosted
        self.app, self.service, self.instance, self.version = app, service, instance, version
        self.settings = settings
        self.recorder = recorder
        self.connections: set[ServerConnection] = set()
        self.in_flight = 0
        self.is_draining = False
        self._sweeping: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.shed = recorder.counter(names.SHED)
        recorder.gauge(names.IN_FLIGHT, lambda: iter([({}, float(self.in_flight))]))

    def __repr__(self) -> str:
        return f"<CallServer {self.instance}: {len(self.hosted)} calls, {len(self.connections)} connections, {self.in_flight} in flight{', draining' if self.is_draining else ''}>"

    def door(self, *, outside: bool) -> Callable[[], asyncio.Protocol]:
        """A protocol factory for `asyncio`'s servers."""
        return lambda: ServerConnection(self, outside_allowed=outside)

    def entered(self) -> None:
        self.in_flight += 1
        if self._sweeping is None:
            self._idle.clear()
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = monotonic()
        for connection in self.connections:
            connection.sweep(now)
        if self.in_flight:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        else:
            self._idle.set()

    async def drain(self, within_s: float) -> bool:
        """Ask all callers to go elsewhere and finish what is in flight. False if something still ran at the end of the time."""
        self.is_draining = True
        for connection in self.connections:
            connection.write(frame(Kind.DRAIN))
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End all connections; calls in flight are cancelled and their callers told that the connection is lost."""
        tasks = [task for connection in list(self.connections) for task in connection.close()]
        await asyncio.gather(*tasks, return_exceptions=True)


class ServerConnection(asyncio.Protocol):
    def __init__(self, server: CallServer, *, outside_allowed: bool) -> None:
        self._server = server
        self._outside_allowed = outside_allowed
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(max_frame_bytes=MAX_HELLO_BYTES, kinds=_BEFORE)
        self._transport: asyncio.Transport | None = None
        self._out = bytearray()
        self._table: list[tuple[Hosted | None, str]] = []
        """Row -> the call and the module that calls; None where it was refused in the handshake."""
        self._calls: dict[int, tuple[asyncio.Task[None], float]] = {}
        self._credits: dict[int, OutgoingCredit] = {}
        self._window_bytes = 0
        self._max_frame_bytes = server.settings.max_frame_bytes
        self._handshake: asyncio.TimerHandle | None = None
        self._peer = ""

    def __repr__(self) -> str:
        return f"<ServerConnection from {self._peer or 'a stranger'}, {len(self._calls)} in flight>"

    # The connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue]  (a stream transport: Protocol gets no other)
        self._server.connections.add(self)
        self._handshake = self._loop.call_later(
            self._server.settings.handshake_s, self._refuse, ProtocolError("no-hello", "no HELLO came in time")
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()

    def close(self) -> list[asyncio.Task[None]]:
        """Cut it off. Returns the tasks that are being cancelled."""
        self._server.connections.discard(self)
        if self._handshake is not None:
            self._handshake.cancel()
        if self._transport is not None:
            self._flush()
            self._transport.close()
            self._transport = None
        return [task for number in list(self._calls) if (task := self._cancel(number)) is not None]

    def _cancel(self, number: int) -> asyncio.Task[None] | None:
        if (entry := self._calls.get(number)) is None:
            return None
        task, deadline = entry
        task.cancel()
        if deadline == _UNSTARTED:  # its coroutine will never run, so it cannot leave by itself
            self._leave(number, None, "")
        return task

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
        self._window_bytes = greeting.window_bytes
        self._max_frame_bytes = min(self._max_frame_bytes, greeting.max_frame_bytes)
        self._reader.kinds = _AFTER
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

    def _call(self, each: Frame) -> None:
        _, flags, index, number, body = each
        if index >= len(self._table) or (hosted := self._table[index][0]) is None:
            raise ProtocolError("not-agreed", f"a CALL of row {index}, which the handshake did not agree on")
        if number in self._calls or not number:
            raise ProtocolError("duplicate-call", f"call {number} is in flight already" if number else "a call needs a number")
        server = self._server
        if server.in_flight >= server.settings.max_calls or len(self._calls) >= server.settings.max_calls_per_connection:
            server.shed.value += 1
            self._fail(
                number,
                failures.refusal_body(
                    Overloaded(f"{server.instance} has {server.in_flight} calls in flight", may_have_run=False)
                ),
            )
            return
        server.entered()
        run = self._stream if hosted.contract.streams else self._run
        coroutine = run(hosted, self._table[index][1], flags, number, body)
        task: asyncio.Task[None] = asyncio.Task(coroutine, loop=self._loop, name="call", **_EAGER)
        if task.done():  # started eagerly and never waited: it has left already
            return
        self._calls.setdefault(number, (task, _UNSTARTED))

    async def _run(self, hosted: Hosted, caller: str, flags: int, number: int, body: bytes) -> None:
        codec = hosted.codec
        record: Record | None = None
        error = ""
        try:
            context, args, record, known = self._enter(hosted, caller, flags, number, body)
            current.set(context)
            if context.key is None:
                result = await hosted.function(*args)
            else:
                result = await hosted.ledger.once(hosted.contract.qualified, context.key, partial(hosted.function, *args))
            causal = context.causal.newer_than(known) if context.causal is not None else None
            was_empty = not self._out
            codec.write_result(self._out, _RESULT, WITH_CAUSAL if causal else 0, number, result, causal, self._max_frame_bytes)
            if was_empty:
                self._loop.call_soon(self._flush)
        except asyncio.CancelledError:
            error = self._stopped(hosted, number, record)
        except Exception as raised:
            error = type(raised).__name__
            self._answer_error(raised, hosted, number, record)
        finally:
            self._leave(number, record, error)

    async def _stream(self, hosted: Hosted, caller: str, flags: int, number: int, body: bytes) -> None:
        record: Record | None = None
        error = ""
        try:
            context, args, record, known = self._enter(hosted, caller, flags, number, body)
            current.set(context)
            credit = self._credits[number] = OutgoingCredit(self._window_bytes)
            items: AsyncIterator[Any] = hosted.function(*args)
            limit_s = context.budget_s
            try:
                async for item in items:
                    size = self._write_chunk(hosted, number, item)
                    credit.spend(size)
                    if not credit.is_left:
                        self._set_deadline(number, _PAUSED)  # the reader's time, not the callee's
                        await credit.wait_left()
                    self._set_deadline(number, monotonic() + limit_s)
            finally:
                if close := getattr(items, "aclose", None):
                    await close()
            causal = context.causal.newer_than(known) if context.causal is not None else None
            self.write(
                frame(
                    Kind.END,
                    flags=WITH_CAUSAL if causal else 0,
                    call=number,
                    body=values.ENCODER.encode(causal) if causal else b"",
                )
            )
        except asyncio.CancelledError:
            error = self._stopped(hosted, number, record)
        except Exception as raised:
            error = type(raised).__name__
            self._answer_error(raised, hosted, number, record)
        finally:
            self._credits.pop(number, None)
            self._leave(number, record, error)

    def _write_chunk(self, hosted: Hosted, number: int, item: Any) -> int:
        before = len(self._out)
        hosted.codec.write_result(self._out, _CHUNK, 0, number, item, None, self._max_frame_bytes)
        if not before:
            self._loop.call_soon(self._flush)
        return len(self._out) - before

    def _enter(
        self, hosted: Hosted, caller: str, flags: int, number: int, body: bytes
    ) -> tuple[Context, list[Any], Record, dict[str, int] | None]:
        """Decode a CALL and begin its work. Returns also the causal token that the caller had. Raises BadArgument."""
        now = monotonic()
        codec = hosted.codec
        try:
            left_ms, trace_id, parent_id, trace_flags, extras, *args = (
                codec.decode_call(body) if not flags & BY_NAME else codec.read_named(body)
            )
            if extras is not None and extras.baggage:
                check_baggage(extras.baggage)
        except values.DECODE_ERRORS as error:
            raise codec.refused_arguments(error) from error
        except UsageError as error:
            raise BadArgument(error.message, may_have_run=False, call=hosted.contract.qualified) from error
        left_s = left_ms / 1000
        span_id = new_span_id()
        record = Record(hosted.series, trace_id, span_id, parent_id, now)
        self._set_deadline(number, now + left_s)
        if extras is None:
            context = Context(now + left_s, left_s, trace_id, span_id, trace_flags, hosted.face, caller, None, Causal())
            return context, args, record, None
        key = extras.key if hosted.contract.once else None
        context = Context(
            now + left_s,
            left_s,
            trace_id,
            span_id,
            trace_flags,
            hosted.face,
            caller,
            key,
            Causal(dict(extras.causal or {})),
            extras.baggage,
        )
        return context, args, record, extras.causal

    def _set_deadline(self, number: int, deadline: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls[number] = (task, deadline)

    def sweep(self, now: float) -> None:
        for number, (task, deadline) in list(self._calls.items()):
            if _ANSWERED < deadline <= now:
                self._fail(
                    number,
                    failures.refusal_body(DeadlineExceeded("the deadline passed at the callee", may_have_run=True)),
                )
                self._calls[number] = (task, _ANSWERED)
                task.cancel()

    def _stopped(self, hosted: Hosted, number: int, record: Record | None) -> str:
        """A call ended in CancelledError: by its deadline, its caller or its connection, or by raising it itself."""
        task = asyncio.current_task()
        assert task is not None
        if not task.cancelling():
            self._fail(
                number,
                failures.failure_body(
                    RuntimeError("the call cancelled itself"), hosted.contract, record.trace_id.hex() if record else ""
                ),
            )
        entry = self._calls.get(number)
        return DeadlineExceeded.__name__ if entry is not None and entry[1] == _ANSWERED else "CancelledError"

    def _answer_error(self, raised: Exception, hosted: Hosted, number: int, record: Record | None) -> None:
        if isinstance(raised, CallError) and raised.call == hosted.contract.qualified:
            self._fail(number, failures.refusal_body(raised))  # the call's own: an argument, its result
            return
        failures.log_unexpected(raised, hosted.contract)
        self._fail(number, failures.failure_body(raised, hosted.contract, record.trace_id.hex() if record else ""))

    def _leave(self, number: int, record: Record | None, error: str) -> None:
        self._calls.pop(number, None)
        self._server.in_flight -= 1
        if record is not None:
            self._server.recorder.finish(record, monotonic(), error)

    # Sending

    def _fail(self, number: int, body: FailureBody) -> None:
        entry = self._calls.get(number)
        if entry is None or entry[1] != _ANSWERED:
            self.write(frame(_FAILURE, call=number, body=encode_failure(body)))

    def write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += data

    def _flush(self) -> None:
        out = self._out
        if out:
            self._out = bytearray()
            if self._transport is not None:
                self._transport.write(out)


_UNSTARTED = float("inf")
"""Deadline of a call whose task has not run yet; it is decoded only then."""
_PAUSED = 1e300
"""Deadline of a stream that waits for its reader."""
_ANSWERED = float("-inf")
"""Deadline of a call whose caller has been told already."""
