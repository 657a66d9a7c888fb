"""Which requests Envoy sends where: from the endpoints of the modules and the topology to routes and clusters. Pure."""

from collections.abc import Mapping, Sequence

from ramet.engines.envoy_model import Cluster, Endpoint, Route, Target
from ramet.model.http import SOCKET_METHOD
from ramet.model.topology import Topology
from ramet.module import Module

VERSION = "current"


def routes(modules: Mapping[str, Module], topology: Topology, *, prefix: str) -> list[Route]:
    """A route for each endpoint's path and each mount, to the service that hosts its module; the rest to the first service.

    Endpoints of two modules may share the beginning of their paths, or a path with different methods, so each is a route of
    its own.
    """
    owners: dict[str, tuple[str, dict[str, list[str]]]] = {}
    repeatable: dict[str, bool] = {}
    made: list[Route] = []
    mounts: dict[str, str] = {}
    for name, module in modules.items():
        service = topology.service_of(name).name
        for endpoint in module.endpoints:
            path = prefix + endpoint.path
            if endpoint.method == "GET":
                repeatable[_shape(path)] = endpoint.function is None and module.calls[endpoint.name].contract.idempotent
            methods = owners.setdefault(_shape(path), (path, {}))[1]
            # A WebSocket begins as a GET.
            methods.setdefault(service, []).append("GET" if endpoint.method == SOCKET_METHOD else endpoint.method)
        for mount in module.mounts:
            mounts.setdefault((prefix + mount.prefix) or "/", service)
    for path, by_service in owners.values():
        first, *others = by_service
        may_repeat = repeatable.get(_shape(path), False)
        made += [
            _route(path, each, is_exact=True, may_repeat=may_repeat, methods=_with_head(by_service[each])) for each in others
        ]
        made.append(_route(path, first, is_exact=True, may_repeat=may_repeat))
    mounts.setdefault("/", next(iter(topology.services)))
    return made + [_route(path, service, is_exact=False, may_repeat=False) for path, service in mounts.items()]


def _with_head(methods: Sequence[str]) -> tuple[str, ...]:
    return (*methods, "HEAD") if "GET" in methods else tuple(methods)


def clusters(topology: Topology, http: Mapping[str, Sequence[tuple[str, int]]]) -> list[Cluster]:
    """http: service -> (host, port) of each of its instances."""
    return [
        Cluster(service=service, version=VERSION, endpoints=[Endpoint(host, port) for host, port in http.get(service, ())])
        for service in topology.services
    ]


def _route(path: str, service: str, *, is_exact: bool, may_repeat: bool, methods: Sequence[str] = ()) -> Route:
    target = Target(service=service, version=VERSION)
    return Route(prefix=path, targets=[target], is_exact=is_exact, methods=methods, idempotent=may_repeat)


def _shape(path: str) -> str:
    """The path without the names of its parameters."""
    return "/".join("{}" if segment.startswith("{") else segment for segment in path.split("/"))
