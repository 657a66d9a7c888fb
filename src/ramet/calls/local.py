"""A call whose module runs in this process.

The facade's fast path makes most of them; what comes here is timed, or strict, or needs a timer of its own. In strict mode
everything does, and every value takes the way through the codec: what works together works apart.

Thinning: a call that is made more than 20,000 times a second is timed once in 256 times, and that record stands for all of
them. Recording then costs at most some 4 % of a core per call, and slower calls are recorded each time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from typing import Any

from ramet.calls import failures, rules
from ramet.calls.execution import awaitable, positional
from ramet.calls.facade import CLOSED_S, Call
from ramet.calls.ledger import Ledger, MemoryLedger, key_of
from ramet.errors import DeadlineExceeded, RemoteError
from ramet.observe import names
from ramet.observe.record import Recorder, new_span_id, new_trace_id
from ramet.wire.context import NOTHING, Context, current

HOT_GAP_S = 50e-6
"""Calls closer together than this are hot."""
THINNED = 255
"""Fast calls between two timed ones while hot. At most 255, see `facade`."""

DEFAULT_RECORDER = Recorder()
"""Takes the records of calls made in a process that runs no instance: a script, a test, a prompt."""

DEFAULT_LEDGER = MemoryLedger()

monotonic = time.monotonic


def bind(
    call: Call,
    *,
    recorder: Recorder = DEFAULT_RECORDER,
    ledger: Ledger | None = None,
    strict: bool = True,
    fast: bool = True,
) -> None:
    """Run this call here.

    strict: check that the caller declared it, and send all values through the codec. fast: let the facade make unchecked calls
    by itself; not for a module that calls other instances, since those must learn which module calls.
    """
    fast = fast and not strict and not call.contract.once  # a `once` call needs its key
    local = LocalCall(call, recorder, ledger or DEFAULT_LEDGER, strict=strict, fast=fast)
    if call.contract.streams:
        call.bind(local.stream)
    elif fast:
        call.bind(
            local.run,
            timed=local.timed,
            budget_s=call.contract.deadline_s,
            function=local.function,
            translate=local.failed_fast,
        )
    else:
        call.bind(local.run, budget_s=CLOSED_S)


class LocalCall:
    def __init__(self, call: Call, recorder: Recorder, ledger: Ledger, *, strict: bool, fast: bool) -> None:
        contract = call.contract
        self.call = call
        self.codec = call.codec
        self.contract = contract
        self.function = awaitable(call.function)
        self._positional = positional(self.function, tuple(p.name for p in contract.parameters if p.keyword_only))
        self._ledger = ledger
        self._strict = strict
        self._fast = fast
        self._recorder = recorder
        self._series = recorder.series(names.CALL_SERVED, module=contract.module, call=contract.name, placement="local")
        self._in_transaction = recorder.counter(names.IN_TRANSACTION, module=contract.module, call=contract.name)
        self._last_timed = 0.0
        self._refilled = 0
        self._failed_fast = 0

    async def run(self, args: tuple[Any, ...]) -> Any:
        context = current.get()
        args = self._taken(args, context)
        now = monotonic()
        mine, has_timer = self._enter(context, now)
        stands_for = self._stands_for(now)
        error = ""
        current.set(mine)
        try:
            return self.codec.copy_result(await self._executed(mine, args, has_timer=has_timer))
        except BaseException as raised:
            error = raised.type_name if isinstance(raised, RemoteError) else type(raised).__name__
            raise
        finally:
            current.set(context)
            self._recorder.finish(self._series, mine.trace_id, mine.span_id, context.span_id, now, monotonic(), error, stands_for)

    async def timed(self, args: tuple[Any, ...]) -> Any:
        """A call like those on the fast path, with a record that stands for them. Its result is copied by the facade."""
        context = current.get()
        now = monotonic()
        stands_for = self._stands_for(now)
        trace_id, span_id = context.trace_id or new_trace_id(), new_span_id()
        root = (context.root or context) if context is not NOTHING else None
        face = self.call.face
        current.set(
            Context(
                context.deadline,
                context.budget_s,
                trace_id,
                span_id,
                context.trace_flags,
                face,
                context.face.name,
                None,
                context.baggage,
                None,
                root,
            )
        )
        error = ""
        try:
            return await self._positional(*args)
        except Exception as raised:
            error = type(raised).__name__
            failures.log_unexpected(raised, self.contract)
            raise failures.seen_by_caller(raised, self.codec, trace_id) from raised
        except BaseException as stopped:  # a cancelled task, an interrupted process
            error = type(stopped).__name__
            raise
        finally:
            current.set(context)
            self._recorder.finish(self._series, trace_id, span_id, context.span_id, now, monotonic(), error, stands_for)

    async def _executed(self, mine: Context, args: tuple[Any, ...], *, has_timer: bool) -> Any:
        """What the function returns. Raises what its caller is to see."""
        timer = asyncio.timeout(mine.deadline - monotonic()) if has_timer else None
        try:
            work = self._positional(*args) if mine.key is None else self._once(mine.key, args)
            if timer is None:
                return await work
            async with timer:
                return await work
        except Exception as raised:
            if isinstance(raised, TimeoutError) and timer is not None and timer.expired():
                raise self._late(may_have_run=True) from None
            if isinstance(raised, DeadlineExceeded) and raised.call is None:
                raise self._late(may_have_run=True) from raised  # a statement met this call's deadline before the timer did
            failures.log_unexpected(raised, self.contract)
            raise failures.seen_by_caller(raised, self.codec, mine.trace_id) from raised

    def _once(self, key: str, args: tuple[Any, ...]) -> Awaitable[Any]:
        return self._ledger.once(self.contract.qualified, key, partial(self._positional, *args))

    def _late(self, *, may_have_run: bool) -> DeadlineExceeded:
        return DeadlineExceeded("the deadline passed", may_have_run=may_have_run, call=self.contract.qualified)

    def _taken(self, args: tuple[Any, ...], context: Context) -> tuple[Any, ...]:
        """The arguments as the callee sees them, once the caller is known to be allowed."""
        if self._strict:
            rules.check(context, self.contract)
        else:
            rules.count(context, self.contract, self._in_transaction)
        return self.codec.copy_arguments(args)

    def _enter(self, context: Context, now: float) -> tuple[Context, bool]:
        """The callee's context, and whether this call needs a timer because its own limit is nearer than the tree's."""
        wanted = context.wanted
        limit_s = self.contract.deadline_s if wanted is None or wanted.deadline_s is None else wanted.deadline_s
        own = now + limit_s
        deadline = min(own, context.deadline)
        if deadline <= now:
            raise self._late(may_have_run=False)
        key = key_of(context) if self.contract.once else None
        mine = Context(
            deadline,
            min(limit_s, context.budget_s),
            context.trace_id or new_trace_id(),
            new_span_id(),
            context.trace_flags,
            self.call.face,
            context.module,
            key,
            context.baggage,
            None,
            (context.root or context) if context is not NOTHING else None,
        )
        return mine, own < context.deadline

    def _stands_for(self, now: float) -> int:
        """Count the fast calls since the last timed one into this record, and decide how many may follow."""
        if not self._fast:
            return 1
        made = self._refilled - self.call.remaining() - self._failed_fast + 1
        is_hot = now - self._last_timed < (self._refilled + 1) * HOT_GAP_S
        self._last_timed = now
        self._failed_fast = 0
        self._refilled = THINNED if is_hot else 0
        self.call.refill(self._refilled)
        return made

    def failed_fast(self, error: Exception) -> Exception:
        """What the caller sees of an exception on the fast path. Errors are counted one by one, however hot the call."""
        self._failed_fast += 1
        self._series.observe(0.0, type(error).__name__)
        failures.log_unexpected(error, self.contract)
        return failures.seen_by_caller(error, self.codec, current.get().trace_id)

    def stream(self, args: tuple[Any, ...]) -> AsyncIterator[Any]:
        return self._items(args, current.get())

    async def _items(self, args: tuple[Any, ...], context: Context) -> AsyncIterator[Any]:
        args = self._taken(args, context)
        now = monotonic()
        entered, _ = self._enter(context, now)
        limit_s = entered.deadline - now
        # The limit is for each item, and no deadline of what the callee calls for the next one; the tree's is.
        mine = entered.derive(deadline=context.deadline, budget_s=context.budget_s)
        items = self._positional(*args)
        error = ""
        try:
            while True:
                item = await self._next(items, mine, min(limit_s, context.deadline - monotonic()))
                if item is _ENDED:
                    return
                yield self.codec.copy_result(item)
        except GeneratorExit:
            raise
        except BaseException as raised:
            error = raised.type_name if isinstance(raised, RemoteError) else type(raised).__name__
            raise
        finally:
            self._recorder.finish(self._series, mine.trace_id, mine.span_id, context.span_id, now, monotonic(), error)
            await _close(items)

    async def _next(self, items: AsyncIterator[Any], mine: Context, limit_s: float) -> Any:
        """One item in the callee's context, within the time for one item."""
        outer = current.get()
        current.set(mine)
        timer = asyncio.timeout(limit_s)
        try:
            async with timer:
                return await anext(items, _ENDED)
        except TimeoutError as error:
            if timer.expired():
                raise self._late(may_have_run=True) from None
            raise failures.seen_by_caller(error, self.codec, mine.trace_id) from error
        except Exception as error:
            failures.log_unexpected(error, self.contract)
            raise failures.seen_by_caller(error, self.codec, mine.trace_id) from error
        finally:
            current.set(outer)


class _Ended:
    pass


_ENDED = _Ended()


async def _close(items: Any) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
