"""A call that an instance serves, and one run of it: from the body of a CALL to the context in which its function runs."""

import asyncio
import time
from typing import Any

from ramet.calls.execution import awaitable, positional
from ramet.calls.facade import Call
from ramet.calls.ledger import Ledger
from ramet.errors import BadArgument, UsageError
from ramet.model.contract import CallContract
from ramet.observe import names
from ramet.observe.record import Recorder, new_span_id
from ramet.wire import values
from ramet.wire.context import Context, check_baggage
from ramet.wire.frames import BY_NAME

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


class Work:
    """One call being served: what its function gets, and what is known of it until it is answered.

    deadline: monotonic seconds; `server_connection` also uses it to say that the call is paused or answered. task: the one that
    runs it, None while it waits for one. parent_id: the caller's span. started: when its frame arrived.
    """

    __slots__ = ("args", "context", "deadline", "hosted", "is_cancelled", "number", "parent_id", "started", "task")

    def __init__(self, hosted: Hosted, number: int, args: list[Any], context: Context, parent_id: bytes, started: float) -> None:
        self.hosted = hosted
        self.number = number
        self.args = args
        self.context = context
        self.deadline = context.deadline
        self.parent_id = parent_id
        self.started = started
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False

    def __repr__(self) -> str:
        return f"<Work {self.number}: {self.hosted.contract.qualified}, {'running' if self.task else 'waiting'}>"


def enter(hosted: Hosted, caller: str, flags: int, number: int, body: bytes) -> Work:
    """Decode a CALL. Raises BadArgument."""
    now = monotonic()
    codec = hosted.codec
    try:
        left_ms, trace_id, parent_id, trace_flags, extras, *args = (
            codec.decode_call(body) if not flags & BY_NAME else codec.read_named(body)
        )
        left_s = left_ms / 1000
        context = Context(now + left_s, left_s, trace_id, new_span_id(), trace_flags, hosted.face, caller)
        if extras is not None:
            if extras.baggage:
                context.baggage = check_baggage(extras.baggage)
            if extras.causal:
                context.begin_causal(extras.causal)
            if hosted.contract.once:
                context.key = extras.key
    except values.DECODE_ERRORS as error:
        raise codec.refused_arguments(error) from error
    except UsageError as error:
        raise BadArgument(error.message, may_have_run=False, call=hosted.contract.qualified) from error
    return Work(hosted, number, args, context, parent_id, now)
