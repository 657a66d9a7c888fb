"""The routes of an application as a list, in the order in which they match: the same router as that of an instance, with what is
to be said of a route in place of what serves it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ramet.edge.routing import Router
from ramet.model.http import SOCKET_METHOD, Endpoint, Mount, Source

ANY = "ANY"
"""In place of a method, for a mounted application."""
OWN_PATHS = ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs")
"""What each instance answers by itself, where no endpoint takes the path."""


class Listed(NamedTuple):
    """kind: call, handler (a function that takes or returns one of Starlette's types), websocket, own, or mount.

    path: of a mount the prefix with `/*`. target: `module.name`, or the class of a mounted application. failures: name -> HTTP
    status. where: file:line.
    """

    method: str
    path: str
    kind: str
    target: str
    failures: Mapping[str, int]
    where: str


class Routed(Protocol):
    """What the list needs of a Module."""

    @property
    def endpoints(self) -> Sequence[Endpoint]: ...
    @property
    def mounts(self) -> Sequence[Mount]: ...


def routes(modules: Iterable[Routed], *, prefix: str) -> list[Listed]:
    """HEAD is served as the GET that it is, and not listed. Raises DeclarationError where two want the same path."""
    http: Router[Listed] = Router()
    sockets: Router[Listed] = Router()
    for module in modules:
        for endpoint in module.endpoints:
            path = prefix + endpoint.path
            shapes = {binding.name: binding.shape for binding in endpoint.from_source(Source.PATH) if binding.shape}
            router = sockets if endpoint.method == SOCKET_METHOD else http
            router.add(endpoint.method, path, _of_endpoint(path, endpoint), shapes=shapes, where=endpoint.where)
        for mount in module.mounts:
            at = prefix + mount.prefix
            target = f"{mount.module}: {_kind_of(mount.app)}"
            http.mount(at, Listed(ANY, f"{at}/*", "mount", target, {}, mount.where), where=mount.where)
    own = [Listed("GET", path, "own", "ramet", {}, "") for path in OWN_PATHS]
    return [*http, *sockets, *own, *http.mounts()]


def _kind_of(app: object) -> str:
    return f"{type(app).__module__}.{type(app).__qualname__}"


def _of_endpoint(path: str, endpoint: Endpoint) -> Listed:
    kind = "call" if endpoint.function is None else "handler"
    if endpoint.method == SOCKET_METHOD:
        kind = "websocket"
    failures = {cls.__name__: cls.status for cls in endpoint.failures}
    return Listed(endpoint.method, path, kind, f"{endpoint.module}.{endpoint.name}", failures, endpoint.where)
