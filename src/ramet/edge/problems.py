"""What is answered instead of a result: problem documents of RFC 9457, one shape for all that can go wrong.

    the caller's mistake   400 malformed   404 405 no such route   413 415 431   422 a parameter does not fit
    a declared Failure     its own status, its fields as members of the document
    the world              403 NotAllowed   408 the body came too slowly   503 Overloaded, Unavailable   504 DeadlineExceeded
    our or the author's bug  500 with the trace id, and nothing of the inside

An application that must answer in another shape gives `Ingress` a function of its own in place of `render`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

from ramet.errors import BadArgument, CallError, NotAllowed, RemoteError
from ramet.model.failure import Failure
from ramet.model.replies import Reply

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1.0
"""What a shed request is told to wait. 1 s: the least that the header can say, and long where overload is one of milliseconds."""
STANDARD = ("type", "title", "status", "detail", "instance")
MAX_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit. place: a source, `query` or `body`. name: of what is in it, `limit` or `article.tags[2]`."""

    place: str
    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """members: what the document says beyond the standard members. failure: where it stems from a declared one."""

    status: int
    title: str = ""
    detail: str = ""
    type: str = "about:blank"
    findings: tuple[Finding, ...] = ()
    members: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    failure: Failure | None = None

    def document(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": self.type, "title": self.title or phrase(self.status), "status": self.status}
        if self.detail:
            made["detail"] = self.detail
        if self.findings:
            made["errors"] = [{"in": each.place, "name": each.name, "message": each.message} for each in self.findings]
        return made | dict(self.members)


RenderProblem = Callable[[Problem], Reply[Any]]
"""From a problem to its response. The result's own annotation, `-> Reply[ErrorBody]`, is what the OpenAPI document shows."""


def render(problem: Problem) -> Reply[Any]:
    """The default: RFC 9457."""
    return Reply(problem.document(), status=problem.status, headers={"content-type": MEDIA_TYPE, **problem.headers})


class Refused(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem, *, close: bool = False) -> None:
        super().__init__(problem.detail)
        self.problem = dataclasses.replace(problem, headers={**problem.headers, "connection": "close"}) if close else problem


def problem_of(error: BaseException, trace_id: bytes, declared: tuple[type[Failure], ...] = ()) -> Problem:
    """declared: the endpoint's failures; any other Failure is a bug like any other exception."""
    match error:
        case Refused():
            return error.problem
        case Failure() if isinstance(error, declared):
            return failure_problem(error)
        case BadArgument():
            return Problem(status=422, title="The request does not fit", detail=error.message)
        case NotAllowed():
            return Problem(status=403)
        case RemoteError():
            return _of_world(error.type_name, error) or internal(trace_id)
        case CallError():
            return _of_world(type(error).__name__, error) or internal(trace_id)
        case _:
            return _foreign(error) or internal(trace_id)


def internal(trace_id: bytes) -> Problem:
    return Problem(
        status=500, detail="the server failed; its log has more under this trace", members={"trace_id": trace_id.hex()}
    )


def failure_problem(failure: Failure) -> Problem:
    cls = type(failure)
    fields = msgspec.structs.asdict(failure.payload)
    own = {name: value for name in ("title", "detail") if isinstance(value := fields.get(name), str)}
    return Problem(
        status=cls.status,
        title=own.get("title", cls.title()),
        detail=own.get("detail", ""),
        type=type_of(cls),
        members={member(name): value for name, value in fields.items() if name not in own},
        failure=failure,
    )


def type_of(failure: type[Failure]) -> str:
    """Names the failure as the wire does, by its class alone: it may move between files."""
    return f"urn:problem:{failure.__name__}"


def member(name: str) -> str:
    """A failure's field as a member of its document. Names that RFC 9457 has taken get an underscore."""
    return f"{name}_" if name in {*STANDARD, "errors"} else name


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def retry_after(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))


_WORLD = {
    "DeadlineExceeded": 504,
    "Overloaded": 503,
    "Unavailable": 503,
    "ConnectionLost": 503,
    "DatabaseUnavailable": 503,
    "PoolExhausted": 503,
    "StatementDeadline": 504,
}
_DETAILS = {503: "a part of the system is not to be reached", 504: "the deadline passed"}


def _of_world(type_name: str, error: CallError) -> Problem | None:
    """What the call ended with, or a call that it made and did not answer for: then it arrives as a RemoteError of that name."""
    status = _WORLD.get(type_name)
    if status is None:
        return None
    headers = {"retry-after": retry_after(RETRY_AFTER_S)} if status == 503 else {}
    return Problem(status=status, detail=_DETAILS[status], members={"may_have_run": error.may_have_run}, headers=headers)


def _foreign(error: BaseException) -> Problem | None:
    """What a function that takes a Request may raise: Starlette's HTTPException, or what its `form()` raises. By their faces."""
    if type(error).__name__ == "MultiPartException":
        return Problem(status=400, detail=f"the form is malformed: {getattr(error, 'message', '')}")
    status = getattr(error, "status_code", None)
    if type(error).__name__ != "HTTPException" or not isinstance(status, int):
        return None
    return Problem(status=status, detail=str(getattr(error, "detail", "")), headers=dict(getattr(error, "headers", None) or {}))


OVERLOADED = Problem(
    status=503,
    detail="the server has as many requests in hand as it takes",
    headers={"retry-after": retry_after(RETRY_AFTER_S)},
)
MANY_HEADERS = Problem(status=431, detail="the request has too many headers")
TOO_LATE = Problem(status=504, detail="the deadline passed", members={"may_have_run": True})
TOO_SLOW = Problem(status=408, detail="the body did not arrive in time", headers={"connection": "close"})
STOPPING = Problem(
    status=503,
    detail="this instance stops",
    members={"may_have_run": True},
    headers={"connection": "close", "retry-after": retry_after(RETRY_AFTER_S)},
)
NO_ROUTE = Problem(status=404, detail="there is nothing at this path")


def not_allowed(method: str, allowed: list[str]) -> Problem:
    return Problem(status=405, detail=f"{method} is not among {', '.join(allowed)}", headers={"allow": allow(allowed)})


def allow(methods: list[str]) -> str:
    return ", ".join([*methods, "OPTIONS"])


def misfit(findings: list[Finding]) -> Problem:
    first = findings[0]
    where = f"{first.place} {first.name}".rstrip()
    more = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
    return Problem(
        status=422,
        title="The request does not fit",
        detail=f"{where}: {first.message}{more}",
        findings=tuple(findings[:MAX_FINDINGS]),
    )
