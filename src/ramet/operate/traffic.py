"""Where calls and requests go, as a function of the system: routing tables for instances, routes and clusters for Envoy. Pure."""

from collections.abc import Mapping, Sequence

from ramet.engines.envoy_model import Cluster, Endpoint, Route, Target
from ramet.model.release import Release
from ramet.model.routing import Address, Owner, RoutingTable, service_of, version_of
from ramet.model.system import System

Shares = Mapping[str, int]


def table(system: System, addresses: Mapping[str, Address], owners: Mapping[str, Owner], epoch: int) -> RoutingTable:
    """addresses: of all instances, by name. owners: by module."""
    modules = {
        module: [addresses[each.instance] for each in system.instances if module in each.modules and each.instance in addresses]
        for module in system.shares
    }
    return RoutingTable(epoch, modules, {module: dict(shares) for module, shares in system.shares.items()}, dict(owners))


def clusters(system: System, http: Mapping[str, tuple[str, int]]) -> list[Cluster]:
    """One for each place. http: instance -> (host, port)."""
    return [
        Cluster(
            service=service_of(place),
            version=version_of(place),
            endpoints=[Endpoint(*http[each.instance]) for each in system.at(place) if each.instance in http],
        )
        for place in system.places
    ]


def routes(system: System, releases: Mapping[str, Release]) -> list[Route]:
    """A route for each endpoint's path and each mount, to the places of its module by their shares; the rest to the first
    module's.

    Endpoints of two modules may share the beginning of their paths, or a path with different methods, so each is a route of
    its own. Methods that no endpoint of a path takes go on to the mount that holds it, as in one process.

    What one version serves and another does not goes to the places of that version alone, once they have a share.
    """
    found: dict[str, _Path] = {}
    mounts: dict[str, Shares] = {}
    for version in sorted({version_of(place) for place in system.places}):
        for module, part in releases[version].modules.items():
            shares = {place: share for place, share in system.shares[module].items() if share and version_of(place) == version}
            if not shares:
                continue
            for endpoint in part.endpoints:
                path = found.setdefault(_shape(endpoint.path), _Path(endpoint.path))
                path.add(endpoint.method, shares, is_repeatable=endpoint.is_repeatable)
            for prefix in part.mounts:
                mounts[prefix or "/"] = {**mounts.get(prefix or "/", {}), **shares}
    made = [route for path in found.values() for route in path.routes(is_mounted=any(map(path.is_below, mounts)))]
    mounts.setdefault("/", next(iter(system.shares.values())))
    return made + [_route(prefix, shares, is_exact=False, may_repeat=False) for prefix, shares in mounts.items()]


class _Path:
    """All endpoints of one path: method -> the places that serve it, by their shares."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._by_method: dict[str, dict[str, int]] = {}
        self._may_repeat = False

    def add(self, method: str, shares: Shares, *, is_repeatable: bool) -> None:
        self._by_method[method] = {**self._by_method.get(method, {}), **shares}
        if method == "GET":
            self._may_repeat = is_repeatable

    def is_below(self, prefix: str) -> bool:
        prefix = prefix.rstrip("/")
        return self._path.startswith(prefix) and self._path[len(prefix) :][:1] in {"", "/"}

    def routes(self, *, is_mounted: bool) -> list[Route]:
        """One where all methods go the same way, which then also takes those that the path does not have; unless a mount does."""
        alike: dict[tuple[tuple[str, int], ...], list[str]] = {}
        for method, shares in self._by_method.items():
            alike.setdefault(tuple(sorted(shares.items())), []).append(method)
        ways = list(alike)
        rest = [] if is_mounted else [ways.pop(0)]
        return [
            _route(self._path, dict(each), is_exact=True, may_repeat=self._may_repeat, methods=_with_head(alike[each]))
            for each in ways
        ] + [_route(self._path, dict(each), is_exact=True, may_repeat=self._may_repeat) for each in rest]


def _with_head(methods: Sequence[str]) -> tuple[str, ...]:
    return (*methods, "HEAD") if "GET" in methods else tuple(methods)


def _route(path: str, shares: Shares, *, is_exact: bool, may_repeat: bool, methods: Sequence[str] = ()) -> Route:
    targets = [
        Target(service=service_of(place), version=version_of(place), weight=share) for place, share in shares.items() if share
    ]
    return Route(prefix=path, targets=targets, is_exact=is_exact, methods=methods, idempotent=may_repeat)


def _shape(path: str) -> str:
    """The path without the names of its parameters."""
    return "/".join("{}" if segment.startswith("{") else segment for segment in path.split("/"))
