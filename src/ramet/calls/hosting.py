"""A call that an instance serves, and one run of it: from the body of a CALL to the context in which its function runs."""

import time
from typing import Any

from ramet.calls.execution import awaitable, positional
from ramet.calls.facade import Call
from ramet.calls.ledger import Ledger
from ramet.errors import BadArgument, UsageError
from ramet.model.contract import CallContract
from ramet.observe import names
from ramet.observe.record import Record, Recorder, new_span_id
from ramet.wire import values
from ramet.wire.context import Causal, Context, check_baggage
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
    """One call being served. known: the causal token that the caller had."""

    __slots__ = ("args", "context", "known", "record")

    def __init__(self, args: list[Any], context: Context, record: Record, known: dict[str, int] | None) -> None:
        self.args = args
        self.context = context
        self.record = record
        self.known = known

    def news(self) -> dict[str, int] | None:
        """What of the causal token is new to the caller."""
        causal = self.context.causal
        return causal.newer_than(self.known) if causal is not None and causal.positions else None


def enter(hosted: Hosted, caller: str, flags: int, body: bytes) -> Work:
    """Decode a CALL and open its record. Raises BadArgument."""
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
    deadline = now + left_s
    span_id = new_span_id()
    record = Record(hosted.series, trace_id, span_id, parent_id, now)
    if extras is None:
        return Work(
            args, Context(deadline, left_s, trace_id, span_id, trace_flags, hosted.face, caller, None, Causal()), record, None
        )
    key = extras.key if hosted.contract.once else None
    causal = Causal(dict(extras.causal or {}))
    context = Context(deadline, left_s, trace_id, span_id, trace_flags, hosted.face, caller, key, causal, extras.baggage)
    return Work(args, context, record, extras.causal)
