"""How the request of one endpoint is served, from the first byte of its head to its line in the log.

Four kinds, by what the endpoint takes and gives: a call (JSON in and out), a function that takes Starlette's types, a stream, a
WebSocket. All go the same way: into hand, parameters bound, run in a context of their own, answered, finished. The call's way is
written out in one function, because every coroutine, wrapper and second look at a header would show in its price.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ramet.calls.execution import awaitable
from ramet.edge import bodies, codec, problems, responses
from ramet.edge.binding import Binder
from ramet.edge.declarations import Endpoint
from ramet.edge.limits import Limits
from ramet.edge.problems import Problem, Refused, RenderProblem
from ramet.edge.replies import Reply
from ramet.edge.work import InFlight, Phase, Receive, Route, Scope, Send, Work, monotonic
from ramet.observe import logs
from ramet.observe.record import Record, Recorder
from ramet.wire.context import current

logger = logging.getLogger("ramet.edge")
line_logger = logs.logger
log_enabled = line_logger.isEnabledFor

EXCHANGE = "ramet.exchange"
"""Key of the scope under which our own server puts its short way, see `Exchange`."""
CLIENT_LEFT = 499
"""As nginx counts it; nobody is there to be told."""

Handler = Callable[[Scope, Receive, Send, Any], Awaitable[None]]
"""The last is the texts of the path's parameters, or a mount's prefix."""


class Exchange(Protocol):
    """What our own server offers beside ASGI's messages; a third of the cost of a small response is in those."""

    task: "asyncio.Task[Any]"

    def whole_body(self) -> bytes | None:
        """None while it is still arriving."""
        ...

    def respond(self, status: int, headers: bytes, body: bytes) -> bool:
        """The whole response in one write. False where it could not be, and nothing was written."""
        ...


@dataclass(eq=False)
class Desk:
    """What the handlers of one instance share."""

    recorder: Recorder
    limits: Limits
    in_flight: InFlight
    render: RenderProblem

    def admit(self, work: Work) -> None:
        """Raises Refused over the limit."""
        if len(self.in_flight.works) >= (self.limits.max_sockets if work.is_stream else self.limits.max_requests):
            raise Refused(problems.OVERLOADED)
        self.in_flight.add(work)

    def finish(self, work: Work, scope: Scope, status: int, error: str) -> None:
        now = monotonic()
        self.in_flight.works.discard(work)
        if work.watched is not None:
            work.watched.cancel()
        context = work.context
        self.recorder.finish(
            Record(work.route.series(status), context.trace_id, context.span_id, work.parent_id, work.started), now, error
        )
        if log_enabled(logging.INFO):
            tell(work, scope, status, error, now)

    async def fail(
        self, work: Work, scope: Scope, send: Send, error: BaseException, endpoint: Endpoint | None
    ) -> tuple[int, str]:
        """Answer what went wrong. Returns (status, type of the error for the record)."""
        work.may_watch = False
        if isinstance(error, asyncio.CancelledError):
            if work.ended_by is None:
                raise error
            asyncio.current_task().uncancel()  # pyright: ignore[reportOptionalMemberAccess]  (it is this task that was cancelled)
            if (problem := _problem_of_end(work)) is None:
                return CLIENT_LEFT, ""
        else:
            problem = problems.problem_of(error, work.context.trace_id, endpoint.failures if endpoint else ())
            if problem.status == 500:
                log_unexpected(error, work)
        await self.answer(work, send, problem, is_head=scope["method"] == "HEAD")
        return problem.status, type(error).__name__ if problem.status >= 500 else ""

    async def answer(self, work: Work, send: Send, problem: Problem, *, is_head: bool = False) -> None:
        status, headers, body = responses.rendered(self.render(problem), problem.status, work.context)
        work.enter(Phase.WRITING, monotonic() + self.limits.write_s)
        await responses.send_whole(send, status, headers, body, is_head=is_head)


def tell(work: Work, scope: Scope, status: int, error: str, now: float) -> None:
    """The canonical line."""
    logs.canonical(
        "request",
        level=logging.INFO if status < 500 else logging.ERROR,
        method=work.route.method,
        route=work.route.template,
        path=scope["path"],
        status=status,
        duration_ms=round((now - work.started) * 1e3, 3),
        **({"endpoint": work.route.name} if work.route.name else {}),
        **({"error_type": error} if error else {}),
    )


def _problem_of_end(work: Work) -> Problem | None:
    return {Phase.RUNNING: problems.TOO_LATE, Phase.READING: problems.TOO_SLOW}.get(cast("Phase", work.ended_by))


def log_unexpected(error: BaseException, work: Work) -> None:
    """A bug, with its stack. Calls have logged theirs where they ran."""
    if not isinstance(error, problems.CallError):
        logger.error("request.failed", extra={"route": repr(work.route), "error_type": type(error).__qualname__}, exc_info=error)
