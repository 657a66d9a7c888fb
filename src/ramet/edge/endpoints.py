"""How the request of one endpoint is served, from its head to its line in the log.

All kinds go the same way: into hand, parameters bound, run in a context of their own, answered, finished. The way of a call with
JSON in and out is written out in one function, because each further coroutine or look at a header would show in its price; the
others share `Serving`.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast, get_args, get_origin

from starlette.requests import Request
from starlette.responses import Response

from ramet.calls.execution import awaitable
from ramet.edge import bodies, codec, problems, responses
from ramet.edge.binding import Binder, is_json
from ramet.edge.desk import CLIENT_LEFT, EXCHANGE, Desk, Exchange, Handler
from ramet.edge.problems import Problem, Refused
from ramet.edge.responses import StreamWriter
from ramet.edge.work import Receive, Route, Scope, Send, Work
from ramet.model.http import Endpoint
from ramet.model.replies import Reply
from ramet.wire.context import Face, current

UNSUPPORTED = Problem(status=415, detail="the body must be application/json")
ENCODED = Problem(status=415, detail="the body must not be compressed")
_JSON_HEADER = (b"content-type", responses.JSON)


def handler_of(desk: Desk, endpoint: Endpoint, path: str, facade: Callable[..., Any] | None, face: Face) -> Handler:
    """path: with the prefix of all. facade: of the call behind it; None for a function that is no call."""
    budget_s = math.inf if endpoint.streams else endpoint.deadline_s
    route = Route(
        desk.recorder,
        endpoint.method,
        path,
        name=f"{endpoint.module}.{endpoint.name}",
        budget_s=budget_s,
        face=face,
        is_stream=endpoint.streams,
    )
    binder = Binder(endpoint)
    if facade is None:
        assert endpoint.function is not None
        facade = awaitable(endpoint.function)
    if any(binding.keyword_only for binding in endpoint.bindings):
        facade = _by_keyword(facade, endpoint)
    if endpoint.streams:
        return _stream(desk, endpoint, route, binder, facade)
    if endpoint.function is not None or binder.wants_request or binder.takes_form or _may_reply(endpoint.result):
        return _function(desk, endpoint, route, binder, facade)
    return _call(desk, endpoint, route, binder, facade)


def _call(desk: Desk, endpoint: Endpoint, route: Route, binder: Binder, facade: Callable[..., Any]) -> Handler:
    bind, encode = binder.bind, codec.encode
    takes_json, takes_body = binder.takes_json, binder.takes_json or binder.takes_raw
    max_bytes = endpoint.max_body_bytes or desk.limits.max_body_bytes
    body_s = desk.limits.body_s
    status = success_status(endpoint)
    is_empty = endpoint.result in {None, type(None)}
    head = "" if status in responses.WITHOUT_BODY else "content-type: application/json\r\ncontent-length: "

    async def serve(scope: Scope, receive: Receive, send: Send, values: tuple[str, ...]) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        exchange: Exchange | None = scope.get(EXCHANGE)
        work = Work(route, headers, receive, asyncio.current_task() if exchange is None else exchange.task)
        context = work.context
        outer = current.get()
        current.set(context)
        told = status
        try:
            desk.admit(work, scope)
            body = b""
            if takes_body:
                if exchange is None or (whole := exchange.whole_body()) is None:
                    body = await bodies.read_body(work, receive, headers, max_bytes=max_bytes, body_s=body_s)
                else:
                    body = whole
                    bodies.check_length(body, max_bytes)
                if body and takes_json:
                    check_json(headers)
            result = await facade(*bind(values, scope["query_string"], headers, body, None))
            payload = b"" if is_empty else encode(result)
            work.due = math.inf
            work.may_watch = False
            if exchange is None or not exchange.respond(status, responses.head_of(context, head, len(payload)), payload):
                sent = responses.headers_of(context) if is_empty else [_JSON_HEADER, *responses.headers_of(context)]
                await responses.send_whole(send, status, sent, payload, is_head=scope["method"] == "HEAD")
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001  (what a request ends with is a value here: its answer)
            told = await desk.fail(work, scope, send, raised, endpoint.failures)
        finally:
            desk.finish(work, scope, told)
            current.set(outer)

    return serve


def _function(desk: Desk, endpoint: Endpoint, route: Route, binder: Binder, facade: Callable[..., Any]) -> Handler:
    """Also a call that may return a Reply, or that a form is bound to."""
    status = success_status(endpoint)
    is_empty = endpoint.result in {None, type(None)}

    async def act(work: Work, scope: Scope, receive: Receive, send: Send, arguments: tuple[Any, ...]) -> int:
        result = await facade(*arguments)
        work.due = math.inf
        work.may_watch = False
        if isinstance(result, Response):
            for name, value in responses.headers_of(work.context):
                if name != b"traceparent" or "traceparent" not in result.headers:
                    result.headers.append(name.decode(), value.decode())
            await result(scope, receive, send)
            return result.status_code
        reply = cast("Reply[Any]", result) if isinstance(result, Reply) else Reply(result)
        told, headers, body = responses.rendered(reply, status, work.context, is_empty=is_empty)
        await responses.send_whole(send, told, headers, body, is_head=scope["method"] == "HEAD")
        return told

    return _serving(desk, endpoint, route, binder, act)


def _stream(desk: Desk, endpoint: Endpoint, route: Route, binder: Binder, facade: Callable[..., Any]) -> Handler:
    limits = desk.limits

    async def act(work: Work, scope: Scope, _receive: Receive, send: Send, arguments: tuple[Any, ...]) -> int:
        writer = StreamWriter(work, send, endpoint.status, events=responses.takes_events(_accept(scope)), write_s=limits.write_s)
        items: AsyncIterator[Any] = facade(*arguments)
        beating = asyncio.get_running_loop().create_task(writer.beat(limits.heartbeat_s))
        try:
            async for item in items:
                await writer.item(item)
            beating.cancel()
            await writer.end()
        except (Exception, asyncio.CancelledError) as error:
            beating.cancel()
            if not writer.has_begun:
                raise
            problem = desk.problem_of(work, error, endpoint.failures)
            if problem is not None and problem is not problems.STOPPING:
                await writer.failed(codec.encode(desk.render(problem).body))
            elif problem is not None:
                await writer.end()
        finally:
            beating.cancel()
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        return endpoint.status

    return _serving(desk, endpoint, route, binder, act)


Act = Callable[[Work, Scope, Receive, Send, tuple[Any, ...]], Awaitable[int]]
"""Runs the endpoint and answers; returns the status."""


def _serving(desk: Desk, endpoint: Endpoint, route: Route, binder: Binder, act: Act) -> Handler:
    limits = desk.limits
    max_bytes = endpoint.max_body_bytes or limits.max_body_bytes

    async def body_of(work: Work, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> tuple[Any, Request | None]:
        """The body as the binder wants it, and the Request where there is one, which then reads the body itself."""
        if binder.takes_form or binder.wants_request:
            work.may_watch = False
            request = Request(scope, bodies.counted(receive, max_bytes))
            if not binder.takes_form:
                return b"", request
            bodies.check_announced(headers, max_bytes)
            return binder.form_fields(await bodies.read_form(work, request, max_bytes=max_bytes, body_s=limits.body_s)), request
        if not (binder.takes_json or binder.takes_raw):
            return b"", None
        body = await bodies.read_body(work, receive, headers, max_bytes=max_bytes, body_s=limits.body_s)
        if body and binder.takes_json:
            check_json(headers)
        return body, None

    async def serve(scope: Scope, receive: Receive, send: Send, values: tuple[str, ...]) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        work = Work(route, headers, receive, asyncio.current_task())
        outer = current.get()
        current.set(work.context)
        told = CLIENT_LEFT
        request: Request | None = None
        try:
            desk.admit(work, scope)
            body, request = await body_of(work, scope, receive, headers)
            told = await act(work, scope, receive, send, binder.bind(values, scope["query_string"], headers, body, request))
        except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001  (what a request ends with is a value here: its answer)
            told = await desk.fail(work, scope, send, raised, endpoint.failures)
        finally:
            desk.finish(work, scope, told)
            current.set(outer)
            if request is not None:
                await request.close()

    return serve


def check_json(headers: dict[bytes, bytes]) -> None:
    """Raises Refused for a body that says it is something else, or nothing."""
    content_type = headers.get(b"content-type")
    if content_type != responses.JSON and not is_json(content_type):
        raise Refused(UNSUPPORTED)
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refused(ENCODED)


def success_status(endpoint: Endpoint) -> int:
    """204 where there is nothing to say, unless another one is declared."""
    return 204 if endpoint.status == 200 and endpoint.result in {None, type(None)} else endpoint.status


def _may_reply(result: Any) -> bool:
    return get_origin(result) is Reply or result is Reply or any(_may_reply(each) for each in get_args(result))


def _by_keyword(facade: Callable[..., Any], endpoint: Endpoint) -> Callable[..., Any]:
    names = [binding.name for binding in endpoint.bindings]
    return lambda *arguments: facade(**dict(zip(names, arguments, strict=True)))


def _accept(scope: Scope) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == b"accept"), None)
