"""The requests that an instance has in hand, each with the time by which it must have moved on.

No timer per request (4 us each): one sweep every 50 ms, only while there are requests, ends what is late by cancelling its task.
What made it late tells the answer:

    reading ── body_s over ────> 408      running ── deadline over ──> 504      writing ── write_s over ──> closed
    any ── the client left ────> nothing is answered              a stream, when the server drains ──> ended

A client that leaves is only noticed by asking the server for the next message, which costs a task: requests get one at the
first sweep that finds them still running, and those that are done by then cost nothing.
"""

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ramet.observe import names
from ramet.observe.record import Recorder, Series, new_span_id, new_trace_id
from ramet.wire import causal
from ramet.wire.context import MAX_BAGGAGE_BYTES, OUTSIDE, Context, Face, parse_traceparent

SWEEP_S = 0.05
"""How late a deadline may be noticed. 50 ms: 1 % of the default deadline."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

monotonic = time.monotonic
_NO_ID = b""
SAMPLED = 1


class Phase(enum.Enum):
    READING = "reading"
    RUNNING = "running"
    WRITING = "writing"
    GONE = "the client left"
    DRAINED = "the server stops"


class Route:
    """What all requests of one endpoint have in common.

    budget_s: inf where the work has no end of its own. is_stream: it may go on for hours, and is counted apart.
    """

    def __init__(
        self,
        recorder: Recorder,
        method: str,
        template: str,
        *,
        name: str,
        budget_s: float,
        face: Face = OUTSIDE,
        is_stream: bool = False,
    ) -> None:
        self.recorder = recorder
        self.method = method
        self.template = template
        self.name = name
        self.budget_s = budget_s
        self.face = face
        self.is_stream = is_stream
        self._series: dict[int, Series] = {}

    def __repr__(self) -> str:
        return f"<Route {self.method} {self.template}>"

    def series(self, status: int) -> Series:
        found = self._series.get(status)
        if found is None:
            found = self.recorder.series(names.REQUEST, method=self.method, route=self.template, status=str(status))
            self._series[status] = found
        return found


class Work:
    """One request in hand. due: on the monotonic clock, when the phase must be over.

    watched: the task that waits for the client to leave. may_watch: nobody else reads what the client sends, and the response
    is not complete yet, after which servers tell of a client that left as well.
    """

    # Not set until they change: most requests end before any of them does.
    phase = Phase.RUNNING
    ended_by: Phase | None = None
    error = ""
    may_watch = True
    watched: "asyncio.Task[None] | None" = None

    def __init__(self, route: Route, headers: dict[bytes, bytes], receive: Receive, task: "asyncio.Task[Any] | None") -> None:
        self.route = route
        self.started = started = monotonic()
        self.receive = receive
        self.task = task
        self.due = due = started + route.budget_s
        if b"traceparent" in headers and (parent := parse_traceparent(headers[b"traceparent"].decode("latin-1"))):
            trace_id, self.parent_id, flags = parent
        else:
            trace_id, self.parent_id, flags = new_trace_id(), _NO_ID, SAMPLED
        baggage = parse_baggage(headers[b"baggage"]) if b"baggage" in headers else None
        self.context = Context(due, route.budget_s, trace_id, new_span_id(), flags, route.face, "", None, baggage)
        if (b"ramet-causal" in headers or b"cookie" in headers) and (
            seen := causal.of_request(headers.get(b"ramet-causal"), headers.get(b"cookie"))
        ):
            self.context.begin_causal(seen)

    def __repr__(self) -> str:
        return f"<Work {self.route.method} {self.route.template}, {self.phase.value}, trace {self.context.trace_id.hex()}>"

    def enter(self, phase: Phase, due: float) -> None:
        self.phase = phase
        self.due = due


class InFlight:
    """All work in hand; ends what is late."""

    def __init__(self) -> None:
        self.requests: set[Work] = set()
        self.streams: set[Work] = set()
        """WebSockets and endless responses."""
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<InFlight: {len(self.requests)} requests, {len(self.streams)} streams>"

    def add(self, work: Work) -> None:
        (self.streams if work.route.is_stream else self.requests).add(work)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        works = [*self.requests, *self.streams]
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SWEEP_S, self._sweep) if works else None
        now = monotonic()
        for work in decide_late(works, now):
            end(work, work.phase)
        for work in decide_unwatched(works, now):
            work.watched = loop.create_task(_watch(work))

    def end_streams(self) -> None:
        """They have no end to wait for; their clients come back, to another instance."""
        for work in list(self.streams):
            end(work, Phase.DRAINED)

    def end_all(self) -> None:
        for work in [*self.requests, *self.streams]:
            end(work, Phase.DRAINED)


def decide_late(works: Iterable[Work], now: float) -> list[Work]:
    return [work for work in works if work.due <= now and work.ended_by is None]


def decide_unwatched(works: Iterable[Work], now: float) -> list[Work]:
    """Those that have run for a sweep and would not notice if their client left."""
    return [
        work
        for work in works
        if work.may_watch and work.watched is None and work.ended_by is None and now - work.started >= SWEEP_S
    ]


def end(work: Work, reason: Phase) -> None:
    """Cancel its task, once. Whoever runs it finds the reason in `ended_by` and answers accordingly."""
    if work.ended_by is None and work.task is not None:
        work.ended_by = reason
        work.task.cancel()


async def _watch(work: Work) -> None:
    """Wait for the client to leave. What remains of a body that nobody asked for comes first."""
    ends = 0
    while ends < 2:  # a server that does not wait after the body's end would keep the loop busy here
        message = await work.receive()
        if message["type"] == "http.disconnect":
            if work.may_watch:
                end(work, Phase.GONE)
            return
        ends += not message.get("more_body", False)


def parse_baggage(header: bytes) -> dict[str, str] | None:
    """W3C Baggage, without properties. None where it is over 4 KiB, malformed members are passed over: it is a stranger's."""
    if len(header) > MAX_BAGGAGE_BYTES:
        return None
    members = (member.partition(";")[0].partition("=") for member in header.decode("latin-1").split(","))
    return {name.strip(): value.strip() for name, equals, value in members if equals and name.strip()} or None
