"""What all handlers of an instance share: taking a request in hand, answering what went wrong, closing its record and line."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ramet.edge import problems, responses
from ramet.edge.bodies import Disconnected
from ramet.edge.limits import Limits
from ramet.edge.problems import Problem, Refused, RenderProblem
from ramet.edge.work import InFlight, Phase, Receive, Scope, Send, Work, monotonic
from ramet.errors import CallError
from ramet.model.failure import Failure
from ramet.observe import logs
from ramet.observe.record import Recorder

logger = logging.getLogger("ramet.edge")
log_enabled = logs.logger.isEnabledFor

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

    def admit(self, work: Work, scope: Scope) -> None:
        """Raises Refused over a limit."""
        in_flight = self.in_flight
        is_full = (
            len(in_flight.streams) >= self.limits.max_streams
            if work.route.is_stream
            else len(in_flight.requests) >= self.limits.max_requests
        )
        if is_full:
            raise Refused(problems.OVERLOADED)
        in_flight.add(work)
        if len(scope["headers"]) > self.limits.max_headers:
            raise Refused(problems.MANY_HEADERS)

    def finish(self, work: Work, scope: Scope, status: int) -> None:
        now = monotonic()
        self.in_flight.requests.discard(work)
        if work.route.is_stream:
            self.in_flight.streams.discard(work)
        if work.watched is not None:
            work.watched.cancel()
        context = work.context
        series = work.route.series(status)
        self.recorder.finish(series, context.trace_id, context.span_id, work.parent_id, work.started, now, work.error)
        if log_enabled(logging.INFO):
            tell(work, scope, status, now)

    async def fail(
        self, work: Work, scope: Scope, send: Send, error: BaseException, declared: tuple[type[Failure], ...] = ()
    ) -> int:
        """Answer what went wrong; returns the status. Raises a cancellation that is not ours."""
        problem = self.problem_of(work, error, declared)
        if problem is None:
            return CLIENT_LEFT
        await self.answer(work, scope, send, problem)
        return problem.status

    def problem_of(self, work: Work, error: BaseException, declared: tuple[type[Failure], ...] = ()) -> Problem | None:
        """None where nobody is there to be told."""
        work.may_watch = False
        if isinstance(error, asyncio.CancelledError):
            if work.ended_by is None or work.task is None:
                raise error
            work.task.uncancel()
            problem = _ENDS.get(work.ended_by)
        elif isinstance(error, Disconnected):
            return None
        else:
            problem = problems.problem_of(error, work.context.trace_id, declared)
            if problem.status == 500:
                log_unexpected(error, work)
        if problem is not None and problem.status >= 500:
            work.error = type(error).__name__ if work.ended_by is None else _END_NAMES[work.ended_by]
        return problem

    async def answer(self, work: Work, scope: Scope, send: Send, problem: Problem) -> None:
        status, headers, body = responses.rendered(self.render(problem), problem.status, work.context)
        work.enter(Phase.WRITING, monotonic() + self.limits.write_s)
        await responses.send_whole(send, status, headers, body, is_head=scope["method"] == "HEAD")


_ENDS = {Phase.RUNNING: problems.TOO_LATE, Phase.READING: problems.TOO_SLOW, Phase.DRAINED: problems.STOPPING}
_END_NAMES = {Phase.RUNNING: "DeadlineExceeded", Phase.DRAINED: "Stopping"}


def tell(work: Work, scope: Scope, status: int, now: float) -> None:
    """The canonical line."""
    known = {"endpoint": work.route.name, "error_type": work.error}
    logs.canonical(
        "request",
        level=logging.INFO if status < 500 else logging.ERROR,
        method=work.route.method,
        route=work.route.template,
        path=scope["path"],
        status=status,
        duration_ms=round((now - work.started) * 1e3, 3),
        error=None,
        **{name: text for name, text in known.items() if text},
    )


def log_unexpected(error: BaseException, work: Work) -> None:
    """A bug, with its stack. Calls have logged theirs where they ran."""
    if not isinstance(error, CallError):
        logger.error("request.failed", extra={"route": repr(work.route), "error_type": type(error).__qualname__}, exc_info=error)
