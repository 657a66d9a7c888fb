"""What travels with a call: deadline, trace, causal token, caller, idempotency key, baggage.

One immutable Context in one context variable, set where work enters an instance (a request, a call over the wire, a job) and
where a local call cannot take the fast path. It is never reset by token: the parent is set again, because an async generator
may be closed in another context than it was started in.
"""

import math
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

from ramet.errors import UsageError

MAX_BAGGAGE_BYTES = 4096
BEYOND = 2**63 - 1
"""A position that no replica reaches: of a write whose position is not known."""
TRACE_FLAGS = 0x03
"""W3C Trace Context level 2: sampled, and the trace id is random. All others are sent as zero."""


class Face(NamedTuple):
    """Who is running: a module's name and the names that it may call. call: qualified name of its call or endpoint that runs,
    empty outside of them."""

    name: str
    uses: frozenset[str]
    call: str = ""


OUTSIDE = Face("", frozenset())
"""Code that belongs to no module: a script, a test, a prompt."""


class Causal:
    """The causal token of one request: what it has seen, as database shard -> log position. Grows; never goes back.

    known: the positions that the caller had.
    """

    __slots__ = ("known", "positions")

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self.known = known or {}
        self.positions = dict(self.known)

    def note(self, shard: str, position: int) -> None:
        if position > self.positions.get(shard, -1):
            self.positions[shard] = position

    def merge(self, positions: Mapping[str, int]) -> None:
        for shard, position in positions.items():
            self.note(shard, position)

    def news(self) -> dict[str, int] | None:
        """The positions that are new to the caller, or None where there are none."""
        if self.positions == self.known:
            return None
        return {shard: position for shard, position in self.positions.items() if position > self.known.get(shard, -1)}


class Wanted(NamedTuple):
    """What `ramet.calling(...)` asks of the calls made inside of it. None: the call's own."""

    deadline_s: float | None = None
    hedge_after_s: float | None = None
    key: str | None = None


class Context:
    """What a piece of work knows about the work around it. Not changed once made; `derive` makes the next.

    deadline: seconds on the monotonic clock, inf for none. budget_s: the time it had when it was set. Since deadlines only
    shrink along the tree, a call whose own limit is at least `budget_s` needs no clock to know that the tree's is nearer.
    trace_id, span_id: 16 and 8 bytes; the span is the one now running. trace_flags: W3C, bit 0 is sampled. key: of the call
    that runs.
    wanted: not handed on to what the calls themselves call. root: the context in which the
    request entered this process, None in that one itself.
    """

    __slots__ = (
        "baggage",
        "budget_s",
        "caller",
        "deadline",
        "face",
        "key",
        "noted",
        "root",
        "span_id",
        "trace_flags",
        "trace_id",
        "wanted",
    )

    def __init__(
        self,
        deadline: float = math.inf,
        budget_s: float = math.inf,
        trace_id: bytes = b"",
        span_id: bytes = b"",
        trace_flags: int = 1,
        face: Face = OUTSIDE,
        caller: str = "",
        key: str | None = None,
        baggage: Mapping[str, str] | None = None,
        wanted: Wanted | None = None,
        root: "Context | None" = None,
    ) -> None:
        self.deadline = deadline
        self.budget_s = budget_s
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags = trace_flags
        self.face = face
        self.caller = caller
        self.key = key
        self.baggage = baggage
        self.wanted = wanted
        self.root = root
        self.noted: Causal | None = None
        """The token, in the root; read it as `causal` or `seen`."""

    def derive(self, **changes: Any) -> "Context":
        """The same but for `changes`."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in Context.__slots__ if name != "noted"}
        root = self.root or (None if self is NOTHING else self)
        merged: dict[str, Any] = {**fields, "root": root, **changes}
        return Context(**merged)

    @property
    def causal(self) -> Causal:
        """The request's token, one for all contexts of the request in this process. Made when it is first asked for."""
        root = self.root or self
        if root is NOTHING:
            return Causal()  # nobody's: code outside of a request remembers nothing
        if root.noted is None:
            root.noted = Causal()
        return root.noted

    @property
    def seen(self) -> Causal | None:
        """The request's token, or None while nothing has been noted."""
        return (self.root or self).noted

    def begin_causal(self, known: Mapping[str, int] | None) -> None:
        """Start from what the caller had seen."""
        self.noted = Causal(known)

    def __repr__(self) -> str:
        here, caller = self.face.name or "outside", self.caller or "outside"
        return f"<Context of {here}, trace {self.trace_id.hex() or '-'}, called by {caller}>"

    @property
    def module(self) -> str:
        """Name of the module whose code is running; empty outside of all."""
        return self.face.name

    @property
    def traceparent(self) -> str:
        """The W3C header for whoever is called outside of Ramet; empty without a trace. Flags unknown to version 00 are zero."""
        flags = self.trace_flags & TRACE_FLAGS
        return f"00-{self.trace_id.hex()}-{self.span_id.hex()}-{flags:02x}" if self.trace_id else ""


NOTHING = Context()
"""Outside of all work."""
current: ContextVar[Context] = ContextVar("ramet_context", default=NOTHING)


def check_baggage(baggage: Mapping[str, str]) -> Mapping[str, str]:
    """Raises UsageError over 4 KiB of keys and values in UTF-8: it is sent with every call of the tree."""
    try:
        size = sum(len(key.encode()) + len(value.encode()) for key, value in baggage.items())
    except (AttributeError, UnicodeEncodeError) as error:
        raise UsageError(f"baggage is text by name: {error}") from None
    if size > MAX_BAGGAGE_BYTES:
        raise UsageError(
            f"baggage of {size} bytes, at most {MAX_BAGGAGE_BYTES} travel with a call",
            hint="send what only one call needs as its parameter",
        )
    return baggage


def parse_traceparent(header: str) -> tuple[bytes, bytes, int] | None:
    """(trace id, parent span id, flags) of a W3C traceparent, or None where it is not one (then a new trace begins).

    Source: W3C Trace Context, section 3.2. A version above 00 may carry more fields, which are left out.
    """
    parts = header.strip().split("-")
    if len(parts) < 4 or len(parts[0]) != 2 or (parts[0] == "00" and len(parts) != 4) or parts[0] == "ff":
        return None
    trace, span, flags = parts[1], parts[2], parts[3]
    if len(trace) != 32 or len(span) != 16 or len(flags) != 2 or not set("".join(parts[:4])) <= set("0123456789abcdef"):
        return None
    trace_id, span_id = bytes.fromhex(trace), bytes.fromhex(span)
    if not any(trace_id) or not any(span_id):
        return None
    return trace_id, span_id, int(flags, 16)
