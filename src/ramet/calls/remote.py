"""A call whose module runs in another instance.

One attempt is: choose an endpoint, write the frame, wait for the answer. Around it: the record, the retry decision, hedging. A
caller that is cancelled cancels the work at the callee, in an attempt of any kind.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from ramet.calls import failures, retry
from ramet.calls.client_connection import ClientConnection
from ramet.calls.endpoints import Endpoint
from ramet.calls.facade import Call
from ramet.calls.group import Group
from ramet.calls.local import check_use
from ramet.errors import (
    BadAnswer,
    CallError,
    ConnectionLost,
    ContractMismatch,
    DeadlineExceeded,
    NotAllowed,
    RemoteError,
    Unavailable,
)
from ramet.observe import names
from ramet.observe.record import Record, Recorder, new_span_id, new_trace_id
from ramet.wire.calls import Extras
from ramet.wire.context import Context, current
from ramet.wire.frames import WITH_CAUSAL, Frame, Kind
from ramet.wire.hello import Terms

_RESULT, _CHUNK = int(Kind.RESULT), int(Kind.CHUNK)
_TO_BLAME = (ConnectionLost, DeadlineExceeded)

monotonic = time.monotonic


class RemoteCall:
    def __init__(self, call: Call, group: Group, recorder: Recorder, *, strict: bool) -> None:
        contract = call.contract
        self._contract = contract
        self._codec = call.codec
        self._name = contract.qualified
        self._group = group
        self._recorder = recorder
        self._strict = strict
        self._deadline_s = contract.deadline_s
        self._is_idempotent = contract.idempotent
        self._check = call.codec.check_arguments
        self._series = recorder.series(names.CALL_MADE, module=contract.module, call=contract.name)
        self._hedges = recorder.counter(names.HEDGES, module=contract.module, call=contract.name)
        self._budget_empty = recorder.counter(names.BUDGET_EMPTY, module=contract.module)

    def run(self, args: tuple[Any, ...]) -> Awaitable[Any]:
        context = current.get()
        now = monotonic()
        deadline = self._deadline(context, now)
        if self._strict:
            check_use(context, self._contract.module)
        if self._check is not None:
            self._check(args)
        self._group.budget.deposit()
        record = Record(self._series, context.trace_id or new_trace_id(), new_span_id(), context.span_id, now)
        if self._is_idempotent and (hedge_after_s := self._hedge_after_s(context)) is not None:
            return self._hedged(args, context, record, deadline, hedge_after_s)
        return self._attempts(args, context, record, deadline, [], record)

    def _deadline(self, context: Context, now: float) -> float:
        wanted = context.wanted
        own = now + (self._deadline_s if wanted is None else wanted.deadline_s or self._deadline_s)
        deadline = own if own < context.deadline else context.deadline
        if deadline <= now:
            raise DeadlineExceeded("the deadline had passed before the call", may_have_run=False, call=self._name)
        return deadline

    async def _attempts(
        self,
        args: tuple[Any, ...],
        context: Context,
        record: Record,
        deadline: float,
        tried: list[Endpoint],
        finish: Record | None,
    ) -> Any:
        """Attempt, and again as `retry.decide` says.

        tried: grows by each endpoint that was asked. finish: the record to close in the end, None where another attempt may
        still bring the result. All in one coroutine, since each further frame is paid for by every call.
        """
        group = self._group
        key = self._key(context) if self._contract.once else None
        attempts = 0
        error = ""
        try:
            while True:
                endpoint = group.pick(tried) or await group.wait(deadline, tried)
                tried.append(endpoint)
                try:
                    started = monotonic()
                    connection, number, answer = self._send(args, context, record, started, deadline, key, endpoint, attempts)
                    endpoint.in_flight += 1
                    try:
                        got = await answer
                    except asyncio.CancelledError:
                        connection.cancel(number)
                        raise
                    except _TO_BLAME:
                        endpoint.unanswered()
                        raise
                    finally:
                        endpoint.in_flight -= 1
                        if group.waiting:
                            group.wake()
                    if got[0] != _RESULT:
                        raise self._failed(got, endpoint, monotonic() - started)
                    endpoint.answered(monotonic() - started)
                    return self._codec.read_result(got[4]) if not got[1] & WITH_CAUSAL else self._with_causal(got, context)
                except CallError as failed:
                    attempts += 1
                    if not self._may_repeat(failed, tried, attempts, deadline):
                        raise
        except BaseException as raised:
            error = type(raised).__name__
            if isinstance(raised, CallError) and raised.call is None:
                raised.call = self._name
            raise
        finally:
            if finish is not None:
                self._recorder.finish(finish, monotonic(), error)

    def _send(
        self,
        args: tuple[Any, ...],
        context: Context,
        record: Record,
        now: float,
        deadline: float,
        key: str | None,
        endpoint: Endpoint,
        attempts: int,
    ) -> tuple[ClientConnection, int, asyncio.Future[Frame]]:
        """Put one attempt on its way. Raises CallError; nothing was sent then."""
        connection = endpoint.connection
        assert connection is not None
        terms = connection.terms.get((context.face.name, self._name))
        if terms is None or not terms.is_agreed:
            raise self._refused(terms, context, endpoint)
        left_s = deadline - now
        if self._is_idempotent:
            left_s = retry.attempt_s(left_s=left_s, tried=attempts, endpoints=len(self._group.endpoints))
        body = self._body(args, context, record, left_s, key, by_name=terms.by_name)
        number, answer = connection.send(self._codec, terms, body, args, now + left_s)
        return connection, number, answer

    def _may_repeat(self, error: CallError, tried: list[Endpoint], attempts: int, deadline: float) -> bool:
        verdict = retry.decide(error, repeatable=self._is_repeatable(tried), tried=attempts, left_s=deadline - monotonic())
        if isinstance(verdict, retry.GiveUp):
            return False
        if not self._group.budget.withdraw():
            self._budget_empty.value += 1
            return False
        self._recorder.counter(
            names.RETRIES, module=self._contract.module, call=self._contract.name, reason=type(error).__name__
        ).value += 1
        return True

    def _failed(self, got: Frame, endpoint: Endpoint, elapsed_s: float) -> Exception:
        error = failures.read_error(got[4], self._codec)
        if isinstance(error, (RemoteError, BadAnswer)):
            endpoint.raised(elapsed_s)
            self._group.judge(endpoint)
        elif isinstance(error, DeadlineExceeded):
            endpoint.unanswered()
        else:
            endpoint.answered(elapsed_s)
        return error

    def _body(
        self, args: tuple[Any, ...], context: Context, record: Record, left_s: float, key: str | None, *, by_name: bool
    ) -> tuple[Any, ...]:
        causal = context.causal
        extras = None
        if key is not None or context.baggage or (causal is not None and causal.positions):
            extras = Extras(
                key,
                causal.positions if causal is not None and causal.positions else None,
                dict(context.baggage) if context.baggage else None,
            )
        left_ms = int(left_s * 1000) + 1
        if by_name:
            return (left_ms, record.trace_id, record.span_id, context.trace_flags, extras, self._codec.named(args))
        return (left_ms, record.trace_id, record.span_id, context.trace_flags, extras, *args)

    def _with_causal(self, got: Frame, context: Context) -> Any:
        positions, result = self._codec.read_result_with_causal(got[4])
        if context.causal is not None:
            context.causal.merge(positions)
        return result

    def _key(self, context: Context) -> str:
        wanted = context.wanted
        return (wanted and wanted.key) or uuid.uuid4().hex

    def _is_repeatable(self, tried: list[Endpoint]) -> bool:
        if self._is_idempotent:
            return True
        if not self._contract.once or not tried:
            return False
        # A key that only the instance's memory holds protects while that instance is asked again, and no longer.
        terms = tried[-1].connection and tried[-1].connection.terms.get((current.get().face.name, self._name))
        return terms is not None and terms.is_once_durable

    def _refused(self, terms: Terms | None, context: Context, endpoint: Endpoint) -> CallError:
        if terms is None:
            who = context.face.name or "code outside of all modules"
            return NotAllowed(
                f"`{who}` did not declare `{self._contract.module}` when this instance connected",
                may_have_run=False,
                call=self._name,
            )
        if terms.is_absent:
            return Unavailable(f"{endpoint.address} does not host it", may_have_run=False, call=self._name)
        kind = NotAllowed if terms.not_allowed else ContractMismatch
        hint = (
            f"list {self._contract.module!r} in the module's uses"
            if terms.not_allowed
            else "deploy the callee's version first, or make the change additive"
        )
        return kind(f"{endpoint.address}: {terms.refusal}", may_have_run=False, call=self._name, hint=hint)

    # Hedging

    def _hedge_after_s(self, context: Context) -> float | None:
        wanted = context.wanted
        return (wanted and wanted.hedge_after_s) or self._contract.hedge_after_s

    async def _hedged(self, args: tuple[Any, ...], context: Context, record: Record, deadline: float, after_s: float) -> Any:
        """Ask a second endpoint when the first is slow; the first result wins, the other attempt is cancelled."""
        tried: list[Endpoint] = []
        running: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._attempts(args, context, record, deadline, tried, None))}
        error = ""
        try:
            done, _ = await asyncio.wait(running, timeout=after_s)
            if not done and len(self._group.endpoints) > 1 and self._group.budget.withdraw():
                self._hedges.value += 1
                running.add(asyncio.ensure_future(self._attempts(args, context, record, deadline, tried, None)))
            while True:
                done, pending = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                won = next((future for future in done if future.exception() is None), None)
                if won is not None or not pending:
                    return (won or done.pop()).result()
                running = pending
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            self._recorder.finish(record, monotonic(), error)
            for future in running:
                future.cancel()
                if future.done() and not future.cancelled():
                    future.exception()  # the loser's error is nobody's

    # Streams

    def stream(self, args: tuple[Any, ...]) -> AsyncIterator[Any]:
        return self._items(args, current.get())

    async def _items(self, args: tuple[Any, ...], context: Context) -> AsyncIterator[Any]:
        now = monotonic()
        deadline = self._deadline(context, now)
        limit_s = deadline - now
        if self._strict:
            check_use(context, self._contract.module)
        if self._check is not None:
            self._check(args)
        record = Record(self._series, context.trace_id or new_trace_id(), new_span_id(), context.span_id, now)
        endpoint = self._group.pick() or await self._group.wait(deadline)
        connection = endpoint.connection
        assert connection is not None
        terms = connection.terms.get((context.face.name, self._name))
        if terms is None or not terms.is_agreed:
            raise self._refused(terms, context, endpoint)
        key = self._key(context) if self._contract.once else None
        body = self._body(args, context, record, limit_s, key, by_name=terms.by_name)
        incoming = connection.open_stream(self._codec, terms, body, args)
        endpoint.in_flight += 1
        error = ""
        try:
            while True:
                while (got := incoming.next_frame()) is None:
                    async with asyncio.timeout(min(limit_s, context.deadline - monotonic())):
                        await incoming.wait_frame()
                if got[0] != _CHUNK:
                    break
                yield self._codec.read_result(got[4])
            self._ended(got, endpoint, context)
        except TimeoutError:
            error = DeadlineExceeded.__name__
            endpoint.unanswered()
            raise DeadlineExceeded("no item came within the deadline", may_have_run=True, call=self._name) from None
        except GeneratorExit:
            raise
        except BaseException as raised:
            error = type(raised).__name__
            if isinstance(raised, CallError) and raised.call is None:
                raised.call = self._name
            raise
        finally:
            incoming.leave()
            endpoint.in_flight -= 1
            self._recorder.finish(record, monotonic(), error)

    def _ended(self, got: Frame, endpoint: Endpoint, context: Context) -> None:
        if got[0] == int(Kind.FAILURE):
            raise self._failed(got, endpoint, endpoint.latency_s)
        if got[1] & WITH_CAUSAL and context.causal is not None:
            context.causal.merge(self._codec.read_causal(got[4]))


def bind(call: Call, group: Group, recorder: Recorder, *, strict: bool) -> None:
    """Send this call to the instances of `group` from now on."""
    remote = RemoteCall(call, group, recorder, strict=strict)
    call.bind(remote.stream if call.contract.streams else remote.run)
