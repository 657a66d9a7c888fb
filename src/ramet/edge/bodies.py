"""Reading the body of a request: whole, bounded in bytes and in time, or as a form with files."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from ramet.edge.problems import Problem, Refused
from ramet.edge.work import Phase, Receive, Work, monotonic

MAX_FORM_FIELDS = 1000
MAX_FORM_FILES = 100


class Disconnected(Exception):
    """The client left before its body was complete."""


def too_large(limit: int) -> Refused:
    return Refused(Problem(status=413, detail=f"the body is over {limit} bytes"), close=True)


async def read_body(work: Work, receive: Receive, headers: dict[bytes, bytes], *, max_bytes: int, body_s: float) -> bytes:
    """Raises Refused over the limit, as soon as it is known, and Disconnected."""
    check_announced(headers, max_bytes)
    running_until = work.due
    work.may_watch = False
    work.enter(Phase.READING, min(monotonic() + body_s, running_until))
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        if not message.get("more_body", False):
            break
    work.enter(Phase.RUNNING, running_until)
    work.may_watch = True
    return body


def check_announced(headers: dict[bytes, bytes], max_bytes: int) -> None:
    """Raises Refused where the head already says that it will be too large."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > max_bytes):
        raise too_large(max_bytes)


def check_length(body: bytes, max_bytes: int) -> None:
    """Raises Refused."""
    if len(body) > max_bytes:
        raise too_large(max_bytes)


def counted(receive: Receive, max_bytes: int) -> Receive:
    """The same messages, until the body is over the limit. Raises Refused then."""
    seen = 0

    async def receive_counted() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        if seen > max_bytes:
            raise too_large(max_bytes)
        return message

    return receive_counted


async def read_form(work: Work, request: Request, *, max_bytes: int, body_s: float) -> Any:
    """A FormData; whoever asks closes the request, which deletes the files. Raises Refused for what is no form."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        raise Refused(Problem(status=415, detail="the body must be multipart/form-data or application/x-www-form-urlencoded"))
    running_until = work.due
    work.enter(Phase.READING, min(monotonic() + body_s, running_until))
    try:
        form = await request.form(max_files=MAX_FORM_FILES, max_fields=MAX_FORM_FIELDS, max_part_size=max_bytes)
    except (MultiPartException, HTTPException, ValueError) as error:
        told = getattr(error, "message", None) or getattr(error, "detail", None) or error
        raise Refused(Problem(status=400, detail=f"the form is malformed: {told}")) from None
    work.enter(Phase.RUNNING, running_until)
    return form
