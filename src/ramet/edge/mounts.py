"""A whole application below a prefix: its own framework inside, our limits, deadline, record and trace around it.

It sees `root_path` with the prefix and `path` in full, as ASGI has it since 3.0. The deadline holds until its response begins;
what it streams then has no end of ours.
"""

import asyncio
import math
from typing import Any

from ramet.edge import bodies
from ramet.edge.desk import EXCHANGE, Desk, Handler
from ramet.edge.lifespan import Lifespan
from ramet.edge.work import Phase, Receive, Route, Scope, Send, Work, monotonic
from ramet.edge.wsgi import Wsgi
from ramet.model.http import Mount
from ramet.wire.context import Face, current


class Mounted:
    """A mount with its state. prefix: with the one of all paths. `serve` is its handler."""

    def __init__(self, desk: Desk, mount: Mount, prefix: str, face: Face) -> None:
        self.mount = mount
        self._desk = desk
        self.prefix = prefix
        self._face = face
        self._app: Any = Wsgi(mount.app) if mount.is_wsgi else mount.app
        self._lifespan = None if mount.is_wsgi else Lifespan(mount.app, prefix or "/")
        self._max_bytes = mount.max_body_bytes or desk.limits.max_body_bytes
        self._budget_s = mount.deadline_s or desk.limits.deadline_s
        self._routes: dict[str, Route] = {}
        self.serve: Handler = self._serve

    def __repr__(self) -> str:
        return f"<Mounted {self.mount.app!r} at {self.prefix or '/'}>"

    async def start(self) -> None:
        if self._lifespan:
            await self._lifespan.start()

    async def stop(self) -> None:
        if self._lifespan:
            await self._lifespan.stop()
        if isinstance(self._app, Wsgi):
            self._app.close()

    def _route(self, method: str) -> Route:
        """Inner paths are not ours to know, so all of an application's requests are one series a method."""
        found = self._routes.get(method)
        if found is None:
            is_socket = method == "WEBSOCKET"
            label = method if method in _KNOWN else "_OTHER"
            budget_s = math.inf if is_socket else self._budget_s
            found = Route(
                self._desk.recorder,
                label,
                f"{self.prefix}/*",
                name=f"{self.mount.module}.mount",
                budget_s=budget_s,
                face=self._face,
                is_stream=is_socket,
            )
            self._routes[label] = found
        return found

    async def _serve(self, scope: Scope, receive: Receive, send: Send, prefix: str) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        is_socket = scope["type"] == "websocket"
        work = Work(self._route("WEBSOCKET" if is_socket else scope["method"]), headers, receive, asyncio.current_task())
        work.may_watch = False
        outer = current.get()
        current.set(work.context)
        answer = _Answer(work, send, self._desk.limits.write_s)
        try:
            self._desk.admit(work, scope)
            bodies.check_announced(headers, self._max_bytes)
            await self._app(self._inner(scope, work, prefix), bodies.counted(receive, self._max_bytes), answer.send)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (what a request ends with is a value here: its answer)
            problem = self._desk.problem_of(work, error)
            if not answer.status and problem is not None:
                if is_socket:
                    await send({"type": "websocket.close", "code": 1011, "reason": ""})
                else:
                    await self._desk.answer(work, scope, send, problem)
                answer.status = problem.status
        finally:
            self._desk.finish(work, scope, answer.status or 499)
            current.set(outer)

    def _inner(self, scope: Scope, work: Work, prefix: str) -> Scope:
        headers = [pair for pair in scope["headers"] if pair[0] != b"traceparent"]
        headers.append((b"traceparent", work.context.traceparent.encode()))
        inner = {**scope, "root_path": scope.get("root_path", "") + prefix, "headers": headers}
        inner.pop(EXCHANGE, None)
        if self._lifespan and self._lifespan.state:
            inner["state"] = {**scope.get("state", {}), **self._lifespan.state}
        return inner


_KNOWN = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})


class _Answer:
    """What the application sends, on its way out. status: 0 until it begins."""

    def __init__(self, work: Work, send: Send, write_s: float) -> None:
        self.status = 0
        self._work = work
        self._send = send
        self._write_s = write_s

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            # The server in front of it writes one too: Flask has one on each file, and two are none that can be parsed.
            message = {**message, "headers": [pair for pair in message.get("headers", ()) if pair[0].lower() != b"date"]}
        elif message["type"] in {"websocket.accept", "websocket.close"}:
            self.status = self.status or (101 if message["type"] == "websocket.accept" else 403)
        # A client that does not read blocks here, for a bounded time.
        self._work.enter(Phase.WRITING, monotonic() + self._write_s)
        await self._send(message)
        self._work.enter(Phase.RUNNING, math.inf)
