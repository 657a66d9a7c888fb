"""The ASGI application of one instance: every request and WebSocket enters here, and is led to what serves it.

    health and documents   /livez /readyz /metrics /openapi.json /docs, outside of all limits and records
    endpoints              of the modules, by method and path
    mounts                 of the modules, by the longest prefix, for what no endpoint takes

Who is at the other end is decided in `proxies`: headers that a proxy sets are believed from trusted addresses only. No response
names the server's software.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ramet.edge import problems, responses
from ramet.edge.cors import Cors
from ramet.edge.desk import Desk, Handler
from ramet.edge.docs import DOCS_PAGE
from ramet.edge.endpoints import handler_of
from ramet.edge.limits import Limits
from ramet.edge.mounts import Mounted
from ramet.edge.openapi import described, openapi
from ramet.edge.problems import RenderProblem, render
from ramet.edge.proxies import TRUSTED, Proxies
from ramet.edge.routing import Router
from ramet.edge.sockets import socket_handler
from ramet.edge.work import InFlight, Receive, Route, Scope, Send, Work
from ramet.model.http import SOCKET_METHOD, Endpoint, Mount, Source
from ramet.observe import openmetrics
from ramet.observe.record import Recorder
from ramet.wire.context import Face

UNMATCHED = "unmatched"
"""Route label of requests that lead nowhere: their paths are strangers' texts and must not become labels."""

Ready = Callable[[], str | None]
"""None when this instance can serve, else why not. It must not look at what instances share: one slow database would take them
all out of service."""


class HttpModule(Protocol):
    """What the ingress needs of a Module."""

    @property
    def name(self) -> str: ...
    @property
    def face(self) -> Face: ...
    @property
    def calls(self) -> Mapping[str, Any]: ...
    @property
    def endpoints(self) -> Sequence[Endpoint]: ...
    @property
    def mounts(self) -> Sequence[Mount]: ...


class Ingress:
    """The ASGI application. `dispatch` is the same without a coroutine of its own, for a server that takes any awaitable.

    ready: see Ready; None for always. render: a shape of your own for problems. prefix: before the paths of all modules, `/api`.
    documented: modules that the OpenAPI document describes, where more than those served here: other services have them.
    public_metrics: whether /metrics is answered to anyone who can reach the port.

    Raises DeclarationError where two endpoints or mounts want the same path.
    """

    def __init__(
        self,
        modules: Iterable[HttpModule],
        recorder: Recorder,
        *,
        documented: Iterable[HttpModule] | None = None,
        limits: Limits | None = None,
        ready: Ready | None = None,
        render: RenderProblem = render,
        prefix: str = "",
        title: str = "Ramet",
        version: str = "",
        trusted_proxies: Iterable[str] = TRUSTED,
        cors: Cors | None = None,
        public_metrics: bool = True,
        docs: bool = True,
    ) -> None:
        self.limits = limits or Limits()
        self.in_flight = InFlight()
        self._desk = Desk(recorder, self.limits, self.in_flight, render)
        self._ready = ready
        self._router: Router[Handler] = Router()
        self._sockets: Router[Handler] = Router()
        self._prefix = prefix.rstrip("/")
        self._modules: dict[str, HttpModule] = {}
        self._mounted: dict[str, list[Mounted]] = {}
        self._proxies = Proxies(trusted_proxies)
        self._cors = cors
        self._own: dict[str, Handler] = {"/livez": self._livez, "/readyz": self._readyz}
        if public_metrics:
            self._own["/metrics"] = self._metrics
        if docs:
            self._own |= {"/openapi.json": self._openapi, "/docs": self._docs}
        self._title, self._version = title, version
        self._document: bytes | None = None
        self._unmatched: dict[str, Route] = {}
        modules = list(modules)
        for module in modules:
            self._add(module)
        self._described = described(modules if documented is None else documented, self._prefix)

    def __repr__(self) -> str:
        return f"<Ingress: {len(self._described)} endpoints, {sum(map(len, self._mounted.values()))} mounts, {self.in_flight}>"

    def statistics(self) -> dict[str, int]:
        return {"requests": len(self.in_flight.requests), "streams": len(self.in_flight.streams)}

    def _add(self, module: HttpModule) -> None:
        self._modules[module.name] = module
        for endpoint in module.endpoints:
            path = self._prefix + endpoint.path
            shapes = {binding.name: binding.shape for binding in endpoint.from_source(Source.PATH) if binding.shape}
            if endpoint.method == SOCKET_METHOD:
                handler = self._outside(socket_handler(self._desk, endpoint, path, module.face))
                self._sockets.add("GET", path, handler, shapes=shapes, where=endpoint.where)
                continue
            facade = None if endpoint.function else module.calls[endpoint.name].facade
            handler = handler_of(self._desk, endpoint, path, facade, module.face)
            if endpoint.function:
                handler = self._outside(handler)
            # HEAD is served, and counted, as the GET that it is.
            for method in ("GET", "HEAD") if endpoint.method == "GET" else (endpoint.method,):
                self._router.add(method, path, handler, shapes=shapes, where=endpoint.where)
        if module.name not in self._mounted:
            self._mounted[module.name] = [
                Mounted(self._desk, mount, self._prefix + mount.prefix, module.face) for mount in module.mounts
            ]
        for mounted in self._mounted[module.name]:
            self._router.mount(mounted.prefix, self._outside(mounted.serve), where=f"module {module.name}")

    async def host(self, module: HttpModule) -> None:
        """Serve this module's endpoints and mounts too, from now on. Raises DeclarationError, UsageError."""
        if module.name in self._modules:
            return
        self._add(module)
        try:
            for mounted in self._mounted[module.name]:
                await mounted.start()
        except BaseException:
            await self.drop(module.name)
            raise

    async def drop(self, module: str) -> None:
        """Serve this module no more. Nobody sends its requests here by then; those in hand end as they would have."""
        if module not in self._modules:
            return
        del self._modules[module]
        self._router, self._sockets = Router(), Router()
        gone = self._mounted.pop(module)
        for each in list(self._modules.values()):
            self._add(each)
        for mounted in reversed(gone):
            await mounted.stop()

    def in_flight_of(self, module: str) -> int:
        """Requests and streams of a module's endpoints and mounts that are in hand."""
        works = [*self.in_flight.requests, *self.in_flight.streams]
        return sum(work.route.face.name == module for work in works)

    def _outside(self, handler: Handler) -> Handler:
        """The same, with the client and the scheme as the outside sees them. Only where an application can look at them."""
        return lambda scope, receive, send, values: handler(self._proxies.seen_from_outside(scope), receive, send, values)

    # Requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.dispatch(scope, receive, send)

    def dispatch(self, scope: Scope, receive: Receive, send: Send) -> Any:
        if scope["type"] == "http":
            path: str = scope["path"]
            if root := scope.get("root_path"):
                path = path.removeprefix(root)
            if self._cors is not None:
                return self._cors.serve(scope, receive, send, path, self._dispatch)
            return self._dispatch(scope, receive, send, path)
        if scope["type"] == "websocket":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            found = self._sockets.find("GET", path, scope.get("raw_path")) or self._router.find_mount(path)
            return found[0](scope, receive, send, found[1]) if found else send({"type": "websocket.close", "code": 1000})
        return self._lifespan(receive, send)

    def _dispatch(self, scope: Scope, receive: Receive, send: Send, path: str) -> Any:
        if "\x00" in path:  # no database can hold it, so no path with it leads anywhere
            return self._unserved(scope, receive, send, path)
        found = self._router.find(scope["method"], path, scope.get("raw_path"))
        if found is not None:
            return found[0](scope, receive, send, found[1])
        if path in self._own and scope["method"] in {"GET", "HEAD"}:
            return self._own[path](scope, receive, send, ())
        mounted = self._router.find_mount(path)
        return mounted[0](scope, receive, send, mounted[1]) if mounted else self._unserved(scope, receive, send, path)

    async def _unserved(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        method = scope["method"]
        allowed = ["GET", "HEAD"] if path in self._own else self._router.allowed(path, scope.get("raw_path"))
        if "\x00" in path:
            allowed = []
        label = method if method in _METHODS else "_OTHER"
        route = self._unmatched.get(label)
        if route is None:
            route = self._unmatched[label] = Route(
                self._desk.recorder, label, UNMATCHED, name="", budget_s=self.limits.deadline_s
            )
        work = Work(route, {}, receive, None)
        if allowed and method == "OPTIONS":
            status = 204
            await responses.send_whole(send, 204, [(b"allow", problems.allow(allowed).encode())], b"")
        else:
            problem = problems.not_allowed(method, allowed) if allowed else problems.NO_ROUTE
            status = problem.status
            await self._desk.answer(work, scope, send, problem)
        self._desk.finish(work, scope, status)

    # Health and documents

    async def _livez(self, scope: Scope, _receive: Receive, send: Send, _: Any) -> None:
        """That this is answered at all shows that the loop turns."""
        await _send_text(scope, send, 200, b"ok\n")

    async def _readyz(self, scope: Scope, _receive: Receive, send: Send, _: Any) -> None:
        reason = self._ready() if self._ready else None
        await _send_text(scope, send, 503 if reason else 200, f"{reason or 'ready'}\n".encode())

    async def _metrics(self, scope: Scope, _receive: Receive, send: Send, _: Any) -> None:
        text = openmetrics.render(self._desk.recorder).encode()
        await _send_text(scope, send, 200, text, openmetrics.CONTENT_TYPE.encode())

    async def _openapi(self, scope: Scope, _receive: Receive, send: Send, _: Any) -> None:
        if self._document is None:
            self._document = responses.codec.encode(self.openapi())
        await _send_text(scope, send, 200, self._document, responses.JSON)

    async def _docs(self, scope: Scope, _receive: Receive, send: Send, _: Any) -> None:
        await _send_text(scope, send, 200, DOCS_PAGE, b"text/html; charset=utf-8")

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 document of the endpoints. Mounted applications have their own."""
        return openapi(self._described, title=self._title, version=self._version, render=self._desk.render)

    # Start and stop

    async def start(self) -> None:
        """Start the mounted applications; those that did are stopped again where one fails. Raises UsageError."""
        every = [mounted for mounts in self._mounted.values() for mounted in mounts]
        for index, mounted in enumerate(every):
            try:
                await mounted.start()
            except BaseException:
                for started in every[:index]:
                    await started.stop()
                raise

    async def stop(self) -> None:
        for mounted in reversed([mounted for mounts in self._mounted.values() for mounted in mounts]):
            await mounted.stop()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """For servers other than our own."""
        await receive()
        try:
            await self.start()
        except Exception as error:  # noqa: BLE001  (the protocol wants it as a message)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


async def _send_text(
    scope: Scope, send: Send, status: int, body: bytes, content_type: bytes = b"text/plain; charset=utf-8"
) -> None:
    headers = [(b"content-type", content_type), (b"cache-control", b"no-store")]
    await responses.send_whole(send, status, headers, body, is_head=scope["method"] == "HEAD")
