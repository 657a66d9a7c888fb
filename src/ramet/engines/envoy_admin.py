"""Envoy's admin interface, over its Unix socket: what it has in force, what it counts, and the order to drain."""

import asyncio
import contextlib
import http.client
import io
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote

from ramet.engines.envoy_config import CLUSTERS, INGRESS, LISTENERS, ROUTES

_SUBSCRIPTIONS = {
    LISTENERS: "listener_manager.lds",
    ROUTES: f"http.{INGRESS}.rds.{INGRESS}",
    CLUSTERS: "cluster_manager.cds",
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """What Envoy says of one file. version: of the content in force, empty before the first."""

    version: str
    refused: int
    """Contents that it refused or could not read, since its start."""


@dataclass(frozen=True, slots=True)
class Loaded:
    subscriptions: dict[str, Subscription]
    """By path of the file."""
    warming: int
    """Clusters that are known, but have not met their instances yet."""
    listeners: int
    """Listeners that accept connections."""


@dataclass(frozen=True, slots=True)
class ClusterCounters:
    """Since Envoy's start, but for the last four. A request that is retried counts once for each try."""

    requests: int
    failures: int
    """Answers with 5xx, and requests that brought none, which Envoy answers so itself."""
    active: int
    instances: int
    healthy: int
    ejected: int
    """Instances that outlier detection keeps out now."""


class Admin:
    def __init__(self, socket: Path, *, timeout_s: float = 3.0) -> None:
        self._socket = socket
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"<Admin {self._socket}>"

    async def is_live(self) -> bool:
        """Whether its initialisation is over: clusters have met their instances. False if it does not answer."""
        with contextlib.suppress(OSError):
            return (await self._ask("GET", "/ready"))[0] == 200
        return False

    async def loaded(self) -> Loaded:
        values = await self.stats("version_text|update_rejected|update_failure|warming_clusters|total_listeners_active")
        prefixes = dict(_SUBSCRIPTIONS)
        for name in values:
            if name.startswith("cluster.") and name.endswith(".version_text"):
                cluster = name.removeprefix("cluster.").removesuffix(".version_text")
                prefixes[f"eds/{cluster}.json"] = f"cluster.{cluster}"
        return Loaded(
            {path: _subscription(values, prefix) for path, prefix in prefixes.items()},
            warming=int(values.get("cluster_manager.warming_clusters", 0)),
            listeners=int(values.get("listener_manager.total_listeners_active", 0)),
        )

    async def counters(self) -> dict[str, ClusterCounters]:
        """By name of the cluster."""
        total, ejected = "upstream_rq_total", "outlier_detection.ejections_active"
        values = await self.stats(
            f"^cluster\\..*\\.({total}|upstream_rq_5xx|upstream_rq_active|membership_total|membership_healthy|{ejected})$"
        )
        names = [name.removeprefix("cluster.").removesuffix(f".{total}") for name in values if name.endswith(f".{total}")]

        def value(cluster: str, name: str) -> int:
            return int(values.get(f"cluster.{cluster}.{name}", 0))

        return {
            name: ClusterCounters(
                requests=value(name, total),
                failures=value(name, "upstream_rq_5xx"),
                active=value(name, "upstream_rq_active"),
                instances=value(name, "membership_total"),
                healthy=value(name, "membership_healthy"),
                ejected=value(name, ejected),
            )
            for name in names
        }

    async def open_connections(self) -> tuple[int, int]:
        """Connections of clients, and requests under way on them."""
        prefix = f"http.{INGRESS}.downstream"
        values = await self.stats(f"^http\\.{INGRESS}\\.downstream_(cx|rq)_active$")
        return int(values.get(f"{prefix}_cx_active", 0)), int(values.get(f"{prefix}_rq_active", 0))

    async def drain(self) -> None:
        """Ask every client to leave after its answer; go on accepting until the drain time is over."""
        await self._ask("POST", "/drain_listeners?graceful")

    def forget(self) -> None:
        """Remove the socket, which Envoy leaves behind."""
        self._socket.unlink(missing_ok=True)

    async def stats(self, pattern: str) -> dict[str, str]:
        """Counters, gauges and texts whose name matches. Raises OSError if it does not answer."""
        _, text = await self._ask("GET", f"/stats?filter={quote(pattern)}")
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    async def _ask(self, method: str, path: str) -> tuple[int, str]:
        try:
            async with asyncio.timeout(self._timeout_s):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                try:
                    writer.write(
                        f"{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()
                    )
                    return _parse(await reader.read())
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except TimeoutError as error:
            raise OSError(f"Envoy's admin interface did not answer within {self._timeout_s:g} s") from error


class _Received:
    """As much of a socket as `http.client` reads from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._content)


def _parse(content: bytes) -> tuple[int, str]:
    response = http.client.HTTPResponse(cast("socket.socket", _Received(content)))
    try:
        response.begin()
        return response.status, response.read().decode()
    except http.client.HTTPException as error:
        raise OSError(f"Envoy's admin interface answered something else than HTTP: {error!r}") from error


def _subscription(values: dict[str, str], prefix: str) -> Subscription:
    refused = int(values.get(f"{prefix}.update_rejected", 0)) + int(values.get(f"{prefix}.update_failure", 0))
    return Subscription(values.get(f"{prefix}.version_text", ""), refused)
