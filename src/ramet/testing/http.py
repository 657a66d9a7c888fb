"""Requests to the application of a test, and the server that answers them where it runs in the test's own process."""

import asyncio
import http.client
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ramet.edge import problems
from ramet.edge.ingress import Ingress
from ramet.edge.routing import Router
from ramet.edge.server import Server, listen
from ramet.model.http import SOCKET_METHOD, Source
from ramet.model.topology import Application, Topology
from ramet.module import Module
from ramet.observe.record import Recorder
from ramet.process.modules import import_function

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    address: tuple[str, int], method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request on a connection of its own. body: a value, sent as JSON; bytes as they are. Raises OSError, and HTTPException
    for what is no HTTP."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body, sent = json.dumps(body).encode(), {"Content-Type": "application/json", **sent}
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class Http:
    """where: (host, port) for a method and a path, which is as a client writes it."""

    def __init__(self, where: Callable[[str, str], tuple[str, int]]) -> None:
        self._where = where

    async def send(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        """As `request`."""
        address = self._where(method, urlsplit(path).path)
        return await asyncio.to_thread(request, address, method, path, body, headers=headers)

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.send("GET", path, headers=headers)

    async def post(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.send("POST", path, body, headers=headers)

    async def put(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.send("PUT", path, body, headers=headers)

    async def patch(self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.send("PATCH", path, body, headers=headers)

    async def delete(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.send("DELETE", path, headers=headers)


@asynccontextmanager
async def served_here(application: Application, modules: Iterable[Module]) -> AsyncGenerator[Http]:
    """The ingress of an instance that hosts all modules, on a free port and the running loop."""
    ingress = Ingress(
        modules,
        Recorder(),
        render=import_function(application.http_problems) if application.http_problems else problems.render,
        prefix=application.http_prefix,
        title=application.name,
        version=application.version,
    )
    listener = listen("127.0.0.1", 0)
    address: tuple[str, int] = listener.getsockname()[:2]

    def where(method: str, path: str) -> tuple[str, int]:  # noqa: ARG001  (all of it is here)
        return address

    server = Server(ingress, listener)
    await server.serve()
    try:
        yield Http(where)
    finally:
        await server.stop(grace_s=0.0)


def to_instances(
    application: Application, modules: Mapping[str, Module], topology: Topology, address: Callable[[str], tuple[str, int]]
) -> Http:
    """To the service that hosts what answers a path, as the proxy in front of a fleet would. address: of a service."""
    router: Router[str] = Router()
    prefix = application.http_prefix
    for name, module in modules.items():
        service = topology.service_of(name).name
        for endpoint in module.endpoints:
            shapes = {binding.name: binding.shape for binding in endpoint.from_source(Source.PATH) if binding.shape}
            method = "GET" if endpoint.method == SOCKET_METHOD else endpoint.method
            router.add(method, prefix + endpoint.path, service, shapes=shapes, where=endpoint.where)
        for mount in module.mounts:
            router.mount(prefix + mount.prefix, service)
    return Http(partial(_where, router, next(iter(topology.services)), address))


def _where(router: Router[str], first: str, address: Callable[[str], tuple[str, int]], method: str, path: str) -> tuple[str, int]:
    found = router.find(method, path) or router.find_mount(path)
    if found is None:  # a method that a path does not take is refused by who has the path
        found = next((found for each in ("GET", *router.allowed(path)) if (found := router.find(each, path)) is not None), None)
    return address(found[0] if found is not None else first)
