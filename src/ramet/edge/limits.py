"""What one instance takes from outside, on by default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_body_bytes: int = 1024 * 1024
    """Largest body, in bytes. 1 MiB: over any form or document; an endpoint that takes files says so with its own limit."""

    max_head_bytes: int = 32 * 1024
    """Request line and headers together, in bytes. 32 KiB: twice what browsers with many cookies send, what Envoy refuses
    is 60 KiB. Kept by our own server; another ASGI server has its own."""

    max_headers: int = 100
    """Header lines of a request. 100, as in Envoy and Apache."""

    max_requests: int = 1000
    """Requests in hand at one time; further ones get 503. At 5 ms of work each, a thousand are the 5 s that a request may
    take: what waits longer is late anyway."""

    max_streams: int = 10_000
    """WebSockets and event streams open at one time. A guess: 10 KB each."""

    deadline_s: float = 5.0
    """Time for a request that all calls below it share, in seconds. The default deadline of a call."""

    body_s: float = 5.0
    """Time for a body to arrive, in seconds; then 408. 1 MiB in 5 s is 1.7 Mbit/s."""

    head_s: float = 5.0
    """Time for a request's head to arrive, in seconds, from the connection's or its first byte on; then the connection is
    closed. Against clients that open connections and drip."""

    write_s: float = 20.0
    """Time for a client to take what was written, in seconds; then the connection is closed."""

    keep_alive_s: float = 75.0
    """Silence after which an idle connection is closed, in seconds. Must be over the proxy's idle time, or the proxy sends
    into a closing connection: Envoy gives up after 60 s when it is told so, nginx after 60."""

    heartbeat_s: float = 15.0
    """Silence in an event stream after which a comment is sent, in seconds. Proxies close silent connections after 60."""
