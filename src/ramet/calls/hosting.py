"""A call that an instance serves, and one run of it: from the body of a CALL to the context in which its function runs."""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

from ramet.calls.execution import awaitable, positional
from ramet.calls.facade import Call
from ramet.calls.ledger import Ledger
from ramet.errors import BadArgument, UsageError
from ramet.model.contract import CallContract
from ramet.observe import names
from ramet.observe.record import Recorder, new_span_id
from ramet.wire import values
from ramet.wire.calls import HEAD_ITEMS
from ramet.wire.context import Context, check_baggage
from ramet.wire.frames import BY_NAME

monotonic = time.monotonic


class Hosted:
    """A call that this instance serves."""

    def __init__(self, call: Call, recorder: Recorder, ledger: Ledger, *, is_private: bool = False) -> None:
        self.is_private = is_private
        """For this machine's own tools alone: taken from outside of modules, at a door that allows these."""
        self.is_gone = False
        """The module has left this instance; a caller that has not heard of it is told, and goes where it is now."""
        contract = call.contract
        self.contract: CallContract = contract
        self.streams = contract.streams
        self.codec = call.codec
        self.face = call.face
        self.function = positional(awaitable(call.function), tuple(p.name for p in contract.parameters if p.keyword_only))
        self.series = recorder.series(names.CALL_SERVED, module=contract.module, call=contract.name, placement="remote")
        self.ledger = ledger

    @property
    def is_once_durable(self) -> bool:
        return self.ledger.is_durable


class Work(Context):
    """One call being served. It is the Context in which the function runs, and what its connection knows of it until it is
    answered, in one object since it is made for each call.

    ends: when the connection ends it, in monotonic seconds: its deadline, or what `server_connection` sets. task: the one that
    runs it, None while it waits for one. parent_id: the caller's span. started: when its frame arrived.
    """

    __slots__ = ("args", "ends", "hosted", "is_cancelled", "number", "parent_id", "started", "task")

    def __init__(
        self,
        hosted: Hosted,
        caller: str,
        number: int,
        left_s: float,
        trace_id: bytes,
        parent_id: bytes,
        trace_flags: int,
        args: tuple[Any, ...],
        started: float,
    ) -> None:
        # All of Context's attributes are set here, not by its own __init__, which would cost a third of this one again.
        self.ends = started + left_s
        # The limit of a stream is for each item, and no deadline of what it calls for the next one.
        self.deadline = self.ends if not hosted.contract.streams else math.inf
        self.budget_s = left_s if not hosted.contract.streams else math.inf
        self.trace_id = trace_id
        self.span_id = new_span_id()
        self.trace_flags = trace_flags
        self.face = hosted.face
        self.caller = caller
        self.key = None
        self.baggage: Mapping[str, str] | None = None
        self.wanted = None
        self.root = None
        self.noted = None
        self.hosted = hosted
        self.number = number
        self.args = args
        self.parent_id = parent_id
        self.started = started
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False

    def __repr__(self) -> str:
        return f"<Work {self.number}: {self.hosted.contract.qualified}, {'running' if self.task else 'waiting'}>"


def enter(hosted: Hosted, caller: str, flags: int, number: int, body: bytes) -> Work:
    """Decode a CALL. Raises BadArgument."""
    codec = hosted.codec
    try:
        decoded = codec.decode_call(body) if not flags & BY_NAME else codec.read_named(body)
    except values.DECODE_ERRORS as error:
        raise codec.refused_arguments(error) from error
    if codec.check_arguments is not None:
        codec.check_arguments(decoded[HEAD_ITEMS:])  # a naive datetime inside of a value, which no Ramet caller sends
    left_ms, trace_id, parent_id, trace_flags, extras = decoded[:HEAD_ITEMS]
    work = Work(hosted, caller, number, left_ms / 1000, trace_id, parent_id, trace_flags, decoded[HEAD_ITEMS:], monotonic())
    if extras is not None:
        if hosted.contract.once:
            work.key = extras.key
        if extras.causal:
            work.begin_causal(extras.causal)
        if extras.baggage:
            try:
                work.baggage = check_baggage(extras.baggage)
            except UsageError as error:
                raise BadArgument(error.message, may_have_run=False, call=hosted.contract.qualified) from error
    return work
