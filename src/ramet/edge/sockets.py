"""A WebSocket endpoint: Starlette's own type in the author's hands, our limits, record and goodbye around it.

It has no deadline. Before it is accepted a refusal is an HTTP response; after, a close code: 1008 for the caller's mistake, 1011
for a bug, 1012 when the server stops and the client should come back.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ramet.edge import responses
from ramet.edge.binding import Binder
from ramet.edge.desk import Desk, Handler
from ramet.edge.problems import Problem
from ramet.edge.work import Phase, Receive, Route, Scope, Send, Work
from ramet.model.http import Endpoint
from ramet.wire.context import Face, current

SWITCHED = 101
POLICY_VIOLATION, INTERNAL_ERROR, SERVICE_RESTART = 1008, 1011, 1012
MAX_REASON_BYTES = 123


def socket_handler(desk: Desk, endpoint: Endpoint, path: str, face: Face) -> Handler:
    assert endpoint.function is not None
    route = Route(
        desk.recorder, "WEBSOCKET", path, name=f"{endpoint.module}.{endpoint.name}", budget_s=inf, face=face, is_stream=True
    )
    binder = Binder(endpoint)
    function: Callable[..., Any] = endpoint.function

    async def serve(scope: Scope, receive: Receive, send: Send, values: tuple[str, ...]) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        work = Work(route, headers, receive, asyncio.current_task())
        work.may_watch = False
        outer = current.get()
        current.set(work.context)
        socket = WebSocket(scope, receive, send)
        status = SWITCHED
        try:
            desk.admit(work, scope)
            await function(*binder.bind(values, scope["query_string"], headers, b"", socket))
            await _close(socket, 1000)
        except WebSocketDisconnect:
            pass
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (what it ends with is a value here: its answer)
            status = await _refuse(desk, endpoint, work, socket, error)
        finally:
            desk.finish(work, scope, status)
            current.set(outer)

    return serve


async def _refuse(desk: Desk, endpoint: Endpoint, work: Work, socket: WebSocket, error: BaseException) -> int:
    problem = desk.problem_of(work, error, endpoint.failures)
    if problem is None:
        return SWITCHED
    if socket.application_state is WebSocketState.CONNECTING:
        await _deny(desk, work, socket, problem)
        return problem.status
    code = POLICY_VIOLATION if problem.status < 500 else INTERNAL_ERROR
    await _close(socket, SERVICE_RESTART if work.ended_by is Phase.DRAINED else code, problem.detail)
    return SWITCHED


async def _deny(desk: Desk, work: Work, socket: WebSocket, problem: Problem) -> None:
    if "websocket.http.response" not in socket.scope.get("extensions", {}):
        await socket.close(POLICY_VIOLATION)  # the server makes it a 403
        return
    status, headers, body = responses.rendered(desk.render(problem), problem.status, work.context)
    response = Response(body, status)
    response.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
    await socket.send_denial_response(response)


async def _close(socket: WebSocket, code: int, reason: str = "") -> None:
    if WebSocketState.DISCONNECTED in {socket.application_state, socket.client_state}:
        return
    await socket.close(code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))
