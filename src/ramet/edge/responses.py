"""Results as responses: JSON by msgspec, a `Reply` with what it adds, a stream as server-sent events or lines of JSON."""

import asyncio
import math
from typing import Any, cast
from urllib.parse import quote

from ramet.edge import codec
from ramet.edge.work import Phase, Send, Work, monotonic
from ramet.model.replies import Reply, ServerEvent, SetCookie
from ramet.wire import causal
from ramet.wire.context import Context

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
EVENTS = b"text/event-stream"
LINES = b"application/x-ndjson"
HEARTBEAT = b": still here\n\n"
WITHOUT_BODY = frozenset({204, 205, 304})


def trace_header(context: Context) -> tuple[bytes, bytes]:
    return b"traceparent", context.traceparent.encode()


def headers_of(context: Context) -> Headers:
    """Of every response: its trace, and what its client has seen where that is new."""
    token = _token(context)
    causal_headers = [(b"ramet-causal", token.encode()), (b"set-cookie", causal.set_cookie(token).encode())] if token else []
    return [trace_header(context), *causal_headers]


def _token(context: Context) -> str:
    noted = context.noted
    return causal.encode(noted.positions) if noted is not None and noted.news() else ""


def head_of(context: Context, head: str, length: int) -> bytes:
    """Header lines of a whole response. head: those that never change, up to the length; empty where there is no body."""
    trace = f"traceparent: 00-{context.trace_id.hex()}-{context.span_id.hex()}-{context.trace_flags:02x}\r\n"
    if context.noted is not None and (token := _token(context)):
        trace += f"ramet-causal: {token}\r\nset-cookie: {causal.set_cookie(token)}\r\n"
    return f"{head}{length}\r\n{trace}".encode() if head else trace.encode()


async def send_whole(send: Send, status: int, headers: Headers, body: bytes, *, is_head: bool = False) -> None:
    """is_head: all but the body, as HEAD wants it."""
    if status not in WITHOUT_BODY:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head or status in WITHOUT_BODY else body})


def rendered(reply: Reply[Any], default_status: int, context: Context, *, is_empty: bool = False) -> tuple[int, Headers, bytes]:
    """(status, headers, body). is_empty: None is no body at all, rather than `null`.

    Raises one of codec.ENCODE_ERRORS for a body that is not JSON, or a header that is not Latin-1.
    """
    names = {name.lower() for name in reply.headers}
    headers: Headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    headers += [(b"set-cookie", set_cookie(cookie).encode("latin-1")) for cookie in reply.cookies]
    headers += headers_of(context)
    status = reply.status or default_status
    body = reply.body
    if "content-type" in names and isinstance(body, bytes | str):
        payload = body.encode() if isinstance(body, str) else body
    elif is_empty and body is None:
        payload = b""
    else:
        payload = codec.encode(body)
        if "content-type" not in names:
            headers.append((b"content-type", JSON))
    return status, headers, payload


def set_cookie(cookie: SetCookie) -> str:
    """RFC 6265, section 4.1. The value is percent-encoded, so that no value can end the cookie early."""
    parts = [f"{quote(cookie.name)}={quote(cookie.value)}", f"Path={quote(cookie.path)}"]
    if cookie.max_age_s is not None:
        parts.append(f"Max-Age={cookie.max_age_s}")
    if cookie.domain is not None:
        parts.append(f"Domain={quote(cookie.domain)}")
    parts += ["HttpOnly"] * cookie.http_only + ["Secure"] * cookie.secure
    return "; ".join([*parts, f"SameSite={cookie.same_site.capitalize()}"])


def takes_events(accept: bytes | None) -> bool:
    """A client that names text/event-stream gets events; any other gets lines of JSON, which need no parser of their own."""
    return accept is not None and EVENTS in accept.lower()


def event(item: Any) -> bytes:
    """One server-sent event. JSON holds no line break, so that one `data:` line is enough."""
    if not isinstance(item, ServerEvent):
        return b"data: " + codec.encode(item) + b"\n\n"
    told = cast("ServerEvent[Any]", item)
    lines = [b"data: " + codec.encode(told.data)]
    lines += [f"{name}: {_one_line(text)}".encode() for name, text in (("event", told.event), ("id", told.id)) if text]
    if told.retry_ms is not None:
        lines.append(b"retry: %d" % told.retry_ms)
    return b"\n".join(lines) + b"\n\n"


def line(item: Any) -> bytes:
    return codec.encode(item) + b"\n"


def _one_line(text: str) -> str:
    return "".join(text.splitlines())


class StreamWriter:
    """Begins the response with the first item, so that what fails before it is still answered with its own status."""

    def __init__(self, work: Work, send: Send, status: int, *, events: bool, write_s: float) -> None:
        self.has_begun = False
        self._work = work
        self._send = send
        self._status = status
        self._events = events
        self._write_s = write_s
        self._one_at_a_time = asyncio.Lock()
        self._last = monotonic()

    async def item(self, value: Any) -> None:
        await self._write(event(value) if self._events else line(value))

    async def end(self) -> None:
        self._work.may_watch = False
        await self._write(b"", more=False)

    async def failed(self, document: bytes) -> None:
        """Say so as an event named `error`. Lines of JSON break off instead: else it would look like an item, and an end."""
        if self._events:
            await self._write(b"event: error\ndata: " + document + b"\n\n")
            await self.end()

    async def beat(self, every_s: float) -> None:
        """Keeps a silent stream of events alive; runs until it is cancelled."""
        while True:
            await asyncio.sleep(every_s)
            if self._events and monotonic() - self._last >= every_s:
                await self._write(HEARTBEAT)

    async def _write(self, payload: bytes, *, more: bool = True) -> None:
        async with self._one_at_a_time:
            # A client that does not read blocks here, for a bounded time.
            self._work.enter(Phase.WRITING, monotonic() + self._write_s)
            if not self.has_begun:
                self.has_begun = True
                await self._send({"type": "http.response.start", "status": self._status, "headers": self._headers()})
            await self._send({"type": "http.response.body", "body": payload, "more_body": more})
            self._work.enter(Phase.RUNNING, math.inf)
            self._last = monotonic()

    def _headers(self) -> Headers:
        return [
            (b"content-type", EVENTS if self._events else LINES),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx would collect the stream in a buffer
            trace_header(self._work.context),
        ]
