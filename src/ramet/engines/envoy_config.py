"""What Envoy is told, as a function of routes, clusters and a listener: the files of its file-based xDS. No I/O.

    bootstrap.json       who it is, its admin socket, where the rest is found; read once, at start
    lds.json             the listener; seldom changes
    rds.json             routes and weights; changes with every step of a shift
    cds.json             clusters: one for each version of a service
    eds/<cluster>.json   the instances of one cluster, so that adding one neither re-creates the cluster nor forgets its health

Paths inside are relative to Envoy's working directory. The version of a file is a hash of its content: the same content is the
same version, and whether Envoy has taken a file can be seen by asking it for the version.

What a request meets on its way is what it would meet in one process, as far as a proxy can keep to that: paths are not
normalised, headers with underscores pass, `server` and `traceparent` are left alone, no timeout is added that nobody asked for,
nothing is cached, and nothing is sent twice that may have run, unless a route says that this is safe.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ramet.engines.envoy_model import Cluster, Endpoint, Listener, Route, check, cluster_name

BOOTSTRAP, LISTENERS, ROUTES, CLUSTERS = "bootstrap.json", "lds.json", "rds.json", "cds.json"
INGRESS = "ingress"
"""Name of the listener, of its routes, and the prefix of its statistics."""

_TYPE = "type.googleapis.com/envoy"
_MONITORS = f"{_TYPE}.extensions.resource_monitors"
_SAFE_METHODS = "GET|HEAD|OPTIONS"
_SENDS_NOTHING_TWICE = "connect-failure,refused-stream,reset-before-request"
"""Retried for every request: it provably did not reach the application."""


Files = Mapping[str, bytes]
"""Content by path, relative to Envoy's directory."""


def endpoints_file(cluster: str) -> str:
    return f"eds/{cluster}.json"


def version_of(content: bytes) -> str:
    """The version that a rendered file carries. Raises ValueError if it carries none."""
    document: Any = json.loads(content)
    return str(document["version_info"])


def render(*, routes: Sequence[Route], clusters: Sequence[Cluster], listener: Listener) -> Files:
    """All files but the bootstrap. Raises ConfigError for what Envoy would refuse, or would take and serve wrongly."""
    check(routes, clusters)
    ordered = sorted(routes, key=_rank)
    return {
        LISTENERS: _resources([_listener(listener)]),
        ROUTES: _resources([_route_table(ordered)]),
        CLUSTERS: _resources([_cluster(cluster) for cluster in clusters]),
        **{endpoints_file(cluster.name): _resources([_assignment(cluster)]) for cluster in clusters},
    }


def render_bootstrap(*, node: str, admin_socket: Path) -> bytes:
    """As JSON: YAML reads a node named `n` as false."""
    return _json(
        {
            "node": {"id": node, "cluster": "ramet"},
            "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
            "dynamic_resources": {"lds_config": _from_file(LISTENERS), "cds_config": _from_file(CLUSTERS)},
            # Envoy warns without a bound, and dies of open files before it refuses.
            "overload_manager": {
                "resource_monitors": [
                    {
                        "name": "envoy.resource_monitors.global_downstream_max_connections",
                        "typed_config": {
                            "@type": f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                            "max_active_downstream_connections": 20_000,
                        },
                    }
                ]
            },
        }
    )


def _listener(listener: Listener) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": INGRESS,
        "rds": {"route_config_name": INGRESS, "config_source": _from_file(ROUTES)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPE}.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "codec_type": "AUTO",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "use_remote_address": True,
        "xff_num_trusted_hops": listener.trusted_proxies,
        # Nobody is internal (the one address is nobody's): a client's x-envoy-* headers could order retries or lift timeouts.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "request_id_extension": {
            "typed_config": {
                "@type": f"{_TYPE}.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,  # else Envoy writes into the id that it was given
            }
        },
        "max_request_headers_kb": listener.max_request_headers_kb,
        "request_headers_timeout": _duration(listener.headers_timeout_s),
        "common_http_protocol_options": {"idle_timeout": _duration(listener.idle_timeout_s)},
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": 1_048_576,
        },
    }
    if listener.access_log:
        manager["access_log"] = [
            {
                "name": "envoy.access_loggers.stdout",
                "typed_config": {"@type": f"{_TYPE}.extensions.access_loggers.stream.v3.StdoutAccessLog"},
            }
        ]
    return {
        "@type": f"{_TYPE}.config.listener.v3.Listener",
        "name": INGRESS,
        "address": _address(listener.host, listener.port),
        "enable_reuse_port": False,  # with it a second Envoy on this port starts without complaint, and takes half the traffic
        "per_connection_buffer_limit_bytes": 262_144,
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def _route_table(routes: Sequence[Route]) -> dict[str, Any]:
    rendered: list[dict[str, Any]] = []
    for route in routes:
        only = [_method("|".join(route.methods))] if route.methods else []
        if route.idempotent:
            rendered.append(_route(route, f"{_SENDS_NOTHING_TWICE},reset", headers=[*only, _method(_SAFE_METHODS)]))
        rendered.append(_route(route, _SENDS_NOTHING_TWICE, headers=only))
    return {
        "@type": f"{_TYPE}.config.route.v3.RouteConfiguration",
        "name": INGRESS,
        "virtual_hosts": [{"name": INGRESS, "domains": ["*"], "routes": rendered}],
        "request_headers_to_remove": ["x-envoy-external-address"],  # the same is in x-forwarded-for
        "validate_clusters": False,  # clusters come in a file of their own, before this one
    }


def _method(regex: str) -> dict[str, Any]:
    return {"name": ":method", "string_match": {"safe_regex": {"regex": regex}}}


def _route(route: Route, retry_on: str, *, headers: list[dict[str, Any]]) -> dict[str, Any]:
    match = _match(route)
    if headers:
        match["headers"] = headers
    action: dict[str, Any] = {
        "weighted_clusters": {
            "clusters": [
                {"name": cluster_name(target.service, target.version), "weight": target.weight} for target in route.targets
            ]
        },
        "timeout": _duration(route.timeout_s or 0),
        "idle_timeout": _duration(route.idle_timeout_s),
    }
    if route.retries:
        action["retry_policy"] = {
            "retry_on": retry_on,
            "num_retries": route.retries,
            "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.100s"},
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {"@type": f"{_TYPE}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                }
            ],
            "host_selection_retry_max_attempts": 10,  # picks by chance: of two hosts, 3 tries find the other 7 times in 8
        }
    return {"match": match, "route": action}


def _cluster(cluster: Cluster) -> dict[str, Any]:
    limits, health = cluster.limits, cluster.health
    return {
        "@type": f"{_TYPE}.config.cluster.v3.Cluster",
        "name": cluster.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _from_file(endpoints_file(cluster.name))},
        "connect_timeout": _duration(cluster.connect_timeout_s),
        "lb_policy": "LEAST_REQUEST",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": _duration(cluster.upstream_idle_s)},
            }
        },
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": limits.max_connections,
                    "max_pending_requests": limits.max_pending_requests,
                    "max_requests": limits.max_connections,
                    "retry_budget": {"budget_percent": {"value": limits.retry_budget}, "min_retry_concurrency": 3},
                }
            ]
        },
        "health_checks": [
            {
                "timeout": _duration(health.timeout_s),
                "interval": _duration(health.interval_s),
                "no_traffic_interval": _duration(health.interval_s),  # a new version has none, and must be known before it has
                "unhealthy_threshold": health.unhealthy_after,
                "healthy_threshold": 1,
                "http_health_check": {"path": health.path, "host": cluster.name},
            }
        ],
        "ignore_health_on_host_removal": True,  # else an instance that we took out stays as long as it looks healthy
        "outlier_detection": {
            # Not split from what the instance answers: split, each connection that opens forgives the resets before it.
            "split_external_local_origin_errors": False,
            "consecutive_gateway_failure": health.eject_after,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": _duration(health.ejection_s),
            "max_ejection_percent": health.max_ejected_percent,
        },
    }


def _assignment(cluster: Cluster) -> dict[str, Any]:
    return {
        "@type": f"{_TYPE}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster.name,
        "endpoints": [{"lb_endpoints": [{"endpoint": _endpoint(endpoint)} for endpoint in cluster.endpoints]}],
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    rendered: dict[str, Any] = {"address": _address(endpoint.host, endpoint.port)}
    if endpoint.health_port is not None:
        rendered["health_check_config"] = {"port_value": endpoint.health_port}
    return rendered


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _from_file(path: str) -> dict[str, Any]:
    # Without `watched_directory`: a rename to this very file reloads it, and not every rename in the directory.
    # The `./` is needed: Envoy refuses a path without a directory.
    return {"path_config_source": {"path": f"./{path}"}, "resource_api_version": "V3"}


def _duration(seconds: float) -> str:
    return f"{seconds:.3f}s"


def _resources(resources: list[dict[str, Any]]) -> bytes:
    version = hashlib.sha256(_json(resources)).hexdigest()[:16]
    return _json({"version_info": version, "resources": resources})


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


def _match(route: Route) -> dict[str, Any]:
    if route.is_template:
        segments = ["[^/]+" if segment.startswith("{") else re.escape(segment) for segment in route.path.split("/")[1:]]
        return {"safe_regex": {"regex": "".join(f"/{segment}" for segment in segments)}}
    return {"path_separated_prefix": route.path} if route.path else {"prefix": "/"}


def _rank(route: Route) -> tuple[Any, ...]:
    """Envoy takes the first that matches: templates before prefixes, text before a name, the longer before the shorter."""
    path = route.path
    if route.is_template:
        segments = [(segment.startswith("{"), "" if segment.startswith("{") else segment) for segment in path.split("/")]
        return (0, segments, not route.methods, path)
    return (1, [], -len(path), not route.methods, path)
