"""Who is at the other end of a connection that came through a proxy.

`X-Forwarded-For` and `X-Forwarded-Proto` are believed if the connection itself comes from a trusted address, and not otherwise:
anyone can write them. Trusted by default are this machine's own addresses and Unix sockets, because that is where Ramet runs
Envoy; a load balancer elsewhere has to be named. Of a chain, the last address that is not a trusted proxy's is the client.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

TRUSTED = ("127.0.0.0/8", "::1/128")
_SCHEMES = {"http", "https"}


class Proxies:
    """trusted: addresses or networks. Raises ValueError for one that is neither."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in trusted]

    def is_trusted(self, address: str | None) -> bool:
        """None: a Unix socket, which only this machine can open."""
        if not address:
            return True
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks if network.version == parsed.version)

    def seen_from_outside(self, scope: dict[str, Any]) -> dict[str, Any]:
        """The scope with the client and scheme of the outermost hop that can be believed."""
        client = scope.get("client")
        if not self.is_trusted(client[0] if client else None):
            return scope
        forwarded: list[str] = []
        scheme = ""
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                forwarded += [each.strip() for each in value.decode("latin-1").split(",")]
            elif name == b"x-forwarded-proto":
                scheme = value.decode("latin-1").strip().lower()
        changes: dict[str, Any] = {}
        if (address := self._client_of(forwarded)) is not None:
            changes["client"] = (address, 0)
        if scheme in _SCHEMES:
            changes["scheme"] = scheme if scope["type"] == "http" else scheme.replace("http", "ws")
        return {**scope, **changes} if changes else scope

    def _client_of(self, forwarded: list[str]) -> str | None:
        hops = [hop for hop in forwarded if hop]
        for hop in reversed(hops):
            if not self.is_trusted(hop):
                return hop
        return hops[0] if hops else None
