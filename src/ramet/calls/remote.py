"""A call whose module runs in another instance.

One attempt is: choose an endpoint, write the frame, wait for the answer. Around it: the record, the retry decision, hedging. A
caller that is cancelled cancels the work at the callee, in an attempt of any kind.
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from ramet.calls import failures, retry, rules
from ramet.calls.endpoints import Endpoint
from ramet.calls.facade import Call
from ramet.calls.group import Group
from ramet.calls.ledger import key_of
from ramet.data.transactions import open_block
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
from ramet.observe.record import Recorder, new_span_id, new_trace_id
from ramet.wire.calls import Extras
from ramet.wire.context import Context, current
from ramet.wire.frames import WITH_CAUSAL, Frame, Kind
from ramet.wire.hello import Terms

_RESULT = int(Kind.RESULT)
_TO_BLAME = (ConnectionLost, DeadlineExceeded)

monotonic = time.monotonic


Making = tuple[Context, bytes, bytes, float, float]
"""One call being made: the caller's context, trace id, span id, since when and until when (monotonic seconds). A bare tuple:
it is made for each call, and a NamedTuple costs five times as much."""


class RemoteCall:
    def __init__(self, call: Call, group: Group, recorder: Recorder, *, strict: bool) -> None:
        contract = call.contract
        self.contract = contract
        self.codec = call.codec
        self.name = contract.qualified
        self.group = group
        self._recorder = recorder
        self._strict = strict
        self._is_idempotent = contract.idempotent
        self._check = call.codec.check_arguments
        self._series = recorder.series(names.CALL_MADE, module=contract.module, call=contract.name)
        self._hedges = recorder.counter(names.HEDGES, module=contract.module, call=contract.name)
        self._in_transaction = recorder.counter(names.IN_TRANSACTION, module=contract.module, call=contract.name)
        self._budget_empty = recorder.counter(names.BUDGET_EMPTY, module=contract.module)

    def run(self, args: tuple[Any, ...]) -> Awaitable[Any]:
        making = self.begin(args)
        if self._is_idempotent and (hedge_after_s := self._hedge_after_s(making[0])) is not None:
            return self._hedged(args, making, hedge_after_s)
        return self._attempts(args, making, None, finishes=True)

    def begin(self, args: tuple[Any, ...]) -> Making:
        """Raises what keeps the call from being made at all: its deadline, its caller, its arguments."""
        context = current.get()
        now = monotonic()
        wanted = context.wanted
        own_s = self.contract.deadline_s if wanted is None or wanted.deadline_s is None else wanted.deadline_s
        deadline = now + own_s
        if deadline > context.deadline:
            deadline = context.deadline
        if deadline <= now:
            raise DeadlineExceeded("the deadline had passed before the call", may_have_run=False, call=self.name)
        if self._strict:
            rules.check(context, self.contract)
        elif open_block.get() is not None:
            rules.count(context, self.contract, self._in_transaction)
        if self._check is not None:
            self._check(args)
        self.group.budget.deposit()
        return context, context.trace_id or new_trace_id(), new_span_id(), now, deadline

    def finish(self, making: Making, error: str) -> None:
        context, trace_id, span_id, started, _ = making
        self._recorder.finish(self._series, trace_id, span_id, context.span_id, started, monotonic(), error)

    async def _attempts(  # noqa: C901, PLR0915  (one coroutine, as the docstring says)
        self, args: tuple[Any, ...], making: Making, tried: list[Endpoint] | None, *, finishes: bool
    ) -> Any:
        """Attempt, and again as `retry.decide` says.

        tried: endpoints that were asked, shared with a hedging attempt; None as long as nobody needs to know. finishes: the
        record ends with this; False where another attempt may still bring the result. All in one coroutine, since each further
        frame is paid for by every call.
        """
        group = self.group
        context, _, _, began, deadline = making
        key = key_of(context) if self.contract.once else None
        attempts = 0
        error = ""
        terms: Terms | None = None
        try:
            while True:
                endpoint = group.pick(tried) or await group.wait(deadline, tried)
                if tried is not None:
                    tried.append(endpoint)
                connection = endpoint.connection
                assert connection is not None
                try:
                    started = monotonic() if attempts else began
                    terms = connection.agreed.get((context.face.name, self.name))
                    if terms is None:
                        raise self.refused(context, endpoint)
                    left_s = deadline - started
                    if self._is_idempotent:
                        left_s = retry.attempt_s(left_s=left_s, tried=attempts, endpoints=len(group.endpoints))
                    body = self.body(args, making, left_s, key, terms)
                    number, answer = connection.send(self.codec, terms, body, args, started + left_s)
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
                        raise self.failed(got, endpoint, monotonic() - started)
                    now = monotonic()
                    endpoint.answered(now - started)
                    if got[1] & WITH_CAUSAL:
                        return self._with_causal(got, context)
                    return self.codec.read_result(got[4])
                except CallError as raised:
                    tried = tried if tried is not None else [endpoint]
                    attempts += 1
                    if not self._may_repeat(raised, endpoint, terms, attempts, deadline):
                        raise
        except BaseException as raised:
            error = type(raised).__name__
            if isinstance(raised, CallError) and raised.call is None:
                raised.call = self.name
            raise
        finally:
            if finishes:
                self.finish(making, error)

    def _may_repeat(self, error: CallError, endpoint: Endpoint, terms: Terms | None, attempts: int, deadline: float) -> bool:
        repeatable = terms is not None and (
            (self._is_idempotent and terms.is_idempotent) or (self.contract.once and terms.is_once_durable)
        )
        verdict = retry.decide(error, repeatable=repeatable, tried=attempts, left_s=deadline - monotonic())
        if isinstance(verdict, retry.GiveUp):
            error.add_note(f"asked {endpoint.address}; not repeated: {verdict.why}")
            return False
        if not self.group.budget.withdraw():
            self._budget_empty.value += 1
            error.add_note(f"asked {endpoint.address}; not repeated: the retry budget is spent")
            return False
        reason = type(error).__name__
        self._recorder.counter(names.RETRIES, module=self.contract.module, call=self.contract.name, reason=reason).value += 1
        return True

    def failed(self, got: Frame, endpoint: Endpoint, elapsed_s: float) -> Exception:
        """The error in a FAILURE frame, reported to the endpoint's health."""
        error = failures.read_error(got[4], self.codec)
        if isinstance(error, (RemoteError, BadAnswer)):
            endpoint.raised(elapsed_s)
            self.group.judge(endpoint)
        elif isinstance(error, DeadlineExceeded):
            endpoint.unanswered()
        else:
            endpoint.answered(elapsed_s)
        return error

    def body(self, args: tuple[Any, ...], making: Making, left_s: float, key: str | None, terms: Terms) -> tuple[Any, ...]:
        context, trace_id, span_id, _, _ = making
        seen = context.seen
        extras = None
        if key is not None or context.baggage is not None or seen is not None:
            extras = Extras(key, seen.positions if seen is not None else None, dict(context.baggage) if context.baggage else None)
        left_ms = int(left_s * 1000) + 1
        if terms.by_name:
            return (left_ms, trace_id, span_id, context.trace_flags, extras, self.codec.named(args, terms.required))
        return (left_ms, trace_id, span_id, context.trace_flags, extras, *args)

    def _with_causal(self, got: Frame, context: Context) -> Any:
        positions, result = self.codec.read_result_with_causal(got[4])
        context.causal.merge(positions)
        return result

    def refused(self, context: Context, endpoint: Endpoint) -> CallError:
        """Why the handshake did not agree on this call."""
        module = self.contract.module
        terms = endpoint.connection.refused.get((context.face.name, self.name)) if endpoint.connection else None
        if terms is None:
            who = context.face.name or "code outside of all modules"
            return NotAllowed(
                f"`{who}` did not declare `{module}` when this instance connected", may_have_run=False, call=self.name
            )
        if terms.is_absent:
            return Unavailable(f"{endpoint.address} does not host it", may_have_run=False, call=self.name)
        if terms.not_allowed:
            hint = f"Module({context.face.name!r}, uses=[..., {module!r}])" if context.face.name else "call it at the Unix door"
            return NotAllowed(f"{endpoint.address}: {terms.refusal}", may_have_run=False, call=self.name, hint=hint)
        hint = "make the change additive (a default, an optional field), or deploy a version of the callee that takes both"
        return ContractMismatch(f"{endpoint.address}: {terms.refusal}", may_have_run=False, call=self.name, hint=hint)

    def _hedge_after_s(self, context: Context) -> float | None:
        wanted = context.wanted
        return self.contract.hedge_after_s if wanted is None or wanted.hedge_after_s is None else wanted.hedge_after_s

    async def _hedged(self, args: tuple[Any, ...], making: Making, after_s: float) -> Any:
        """Ask a second endpoint when the first is slow; the first result wins, the other attempt is cancelled."""
        tried: list[Endpoint] = []
        running = {asyncio.ensure_future(self._attempts(args, making, tried, finishes=False))}
        error = ""
        try:
            done, _ = await asyncio.wait(running, timeout=after_s)
            if not done and self._may_hedge(making, tried) and self.group.budget.withdraw():
                self._hedges.value += 1
                running.add(asyncio.ensure_future(self._attempts(args, making, tried, finishes=False)))
            pending = running
            while True:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                won = next((future for future in done if future.exception() is None), None)
                if won is not None or not pending:
                    return (won or done.pop()).result()
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            self.finish(making, error)
            for future in running:
                future.cancel()
                if future.done() and not future.cancelled():
                    future.exception()  # the loser's error is nobody's

    def _may_hedge(self, making: Making, tried: list[Endpoint]) -> bool:
        """There is another endpoint, and those that are asked know the call as idempotent too."""
        connections = [endpoint.connection for endpoint in tried if endpoint.connection is not None]
        terms = [connection.agreed.get((making[0].face.name, self.name)) for connection in connections]
        return len(self.group.endpoints) > 1 and all(each is None or each.is_idempotent for each in terms)
