"""What Envoy is to do, as data: which paths lead to which versions of which services, and where these run. Pure."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ramet.errors import ConfigError

_TEMPLATE = re.compile(r"(/([^/{}?#]*|\{\w+\}))+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    """An IP address: instances are found by us, not by DNS."""
    port: int
    health_port: int | None = None
    """Where /readyz is served; None: on `port`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one cluster may hold at most; beyond it requests are refused with 503 at once."""

    max_connections: int = 1024
    """HTTP/1.1 carries one request on a connection, so this also bounds requests at work. Envoy's default."""

    max_pending_requests: int = 256
    """Requests that wait for a connection. A queue longer than a quarter of what is at work only adds latency. A guess."""

    retry_budget: float = 10.0
    """Retries as a percentage of requests at work; 10, as `Settings.retry_budget`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """When an instance is taken out, and put back."""

    path: str = "/readyz"
    interval_s: float = 0.5
    """Half a second and two failures: a draining instance, which serves on for `drain_delay`, is left within a second."""

    timeout_s: float = 1.0
    unhealthy_after: int = 2
    eject_after: int = 5
    """Refused connections, resets, and 502 to 504 in a row after which one is ejected without waiting for a health check.
    A 500 does not count: it is the application's, on every instance alike."""

    ejection_s: float = 5.0
    max_ejected_percent: int = 50
    """As `Settings.max_ejected_share`: the rest could not carry the load of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One version of a service, and where it runs."""

    service: str
    version: str
    endpoints: Sequence[Endpoint]
    limits: Limits = Limits()
    health: Health = Health()
    connect_timeout_s: float = 1.0
    upstream_idle_s: float = 4.0
    """An idle connection to an instance is closed after this, in seconds. Must be less than the instance's own keep-alive
    (uvicorn: 5 s), or requests meet connections that are just being closed."""

    @property
    def name(self) -> str:
        return cluster_name(self.service, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    service: str
    version: str
    weight: int = 1
    """Relative to the route's other targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Requests whose path is `prefix`, or goes on after it with `/`. `/` is every path. The longest prefix wins.

    A prefix with names in braces, `/articles/{slug}/comments`, is a template: each name stands for one segment, and the path must
    end where the template does: `/articles/` is another template than `/articles`. Templates win over prefixes, and one with text
    wins over one with a name in the same place.
    """

    prefix: str
    targets: Sequence[Target]
    is_exact: bool = False
    """Treat it as a template though no name is in it: the path must end where it does."""

    methods: Sequence[str] = ()
    """Only requests with these; none named: all. Of two routes with one prefix the one with methods is asked first."""

    idempotent: bool = False
    """GET, HEAD and OPTIONS under this prefix may be sent again after a connection was lost. Other methods never are."""

    retries: int = 2
    """Times that one request is tried again, each on another instance, within the cluster's retry budget."""

    timeout_s: float | None = None
    """Time for the whole response; None: the application's own deadlines rule, and streams last as long as they like."""

    idle_timeout_s: float = 300.0
    """A stream or WebSocket on which nothing moves for this long is closed. Envoy's default; 0 is never."""

    @property
    def is_template(self) -> bool:
        return self.is_exact or "{" in self.prefix

    @property
    def path(self) -> str:
        """As it is matched: a prefix without its last slash, so that `/` is empty."""
        return self.prefix if self.is_template else self.prefix.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    port: int
    host: str = "127.0.0.1"
    max_request_headers_kb: int = 64
    """Envoy's default is 60; 64 is what uvicorn takes."""

    trusted_proxies: int = 0
    """Proxies in front that append to X-Forwarded-For; 0: the peer is the client, and what it claims is not believed."""

    headers_timeout_s: float = 10.0
    """Time for a client to send its request's headers; against slow senders that hold connections."""

    idle_timeout_s: float = 60.0
    """An idle connection of a client is closed after this."""

    access_log: bool = False
    """One line a request in Envoy's log. Off: the instances record every request already."""


def cluster_name(service: str, version: str) -> str:
    return f"{service}@{version}"


def check(routes: Sequence[Route], clusters: Sequence[Cluster]) -> None:  # noqa: C901  (a list of refusals)
    """Raises ConfigError for what Envoy would refuse, or would take and serve wrongly."""
    names = [cluster.name for cluster in clusters]
    for cluster in clusters:
        if names.count(cluster.name) > 1:
            raise ConfigError(f"cluster {cluster.name} is given twice")
        for word in (cluster.service, cluster.version):
            if not _NAME.fullmatch(word):
                raise ConfigError(f"{word!r} cannot name a service or version", hint="letters, digits and . _ + -")
        for endpoint in cluster.endpoints:
            _check_address(endpoint.host, cluster.name)
    paths = [(route.path, tuple(route.methods)) for route in routes]
    for route in routes:
        if route.is_template and not _TEMPLATE.fullmatch(route.prefix):
            raise ConfigError(f"{route.prefix!r} is not a path template", hint="each name in braces is one whole segment")
        if not route.prefix.startswith("/") or any(mark in route.prefix for mark in "?#"):
            raise ConfigError(f"{route.prefix!r} is not a path prefix", hint="it begins with / and has no ? or #")
        if paths.count((route.path, tuple(route.methods))) > 1:
            raise ConfigError(f"the prefix {route.prefix} is given twice")
        if any(target.weight < 0 for target in route.targets) or not any(target.weight for target in route.targets):
            raise ConfigError(f"route {route.prefix} sends its requests nowhere", hint="one weight at least is above 0")
        for target in route.targets:
            if cluster_name(target.service, target.version) not in names:
                raise ConfigError(
                    f"route {route.prefix} leads to {target.service} {target.version}, which is not among the clusters"
                )


def _check_address(host: str, cluster: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(f"endpoint {host!r} of {cluster} is not an IP address", hint="resolve names first") from None
