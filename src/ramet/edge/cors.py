"""Which pages of other origins may call this API from a browser. Off unless given: browsers then allow none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ramet.edge import responses
from ramet.edge.work import Receive, Scope, Send


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """origins: `https://shop.example`, or `*` for any. credentials: whether cookies are sent along; not with `*`, for then any
    page could act as its visitor (ValueError). max_age_s: how long a browser may remember the answer; 600 s is what all take."""

    origins: tuple[str, ...]
    credentials: bool = False
    headers: tuple[str, ...] = ("authorization", "content-type")
    expose: tuple[str, ...] = ("traceparent",)
    max_age_s: int = 600

    def __post_init__(self) -> None:
        if self.credentials and "*" in self.origins:
            raise ValueError("Cors: credentials with the origin `*` would let any page act as its visitor; list the origins")

    def serve(
        self, scope: Scope, receive: Receive, send: Send, path: str, handler: Callable[[Scope, Receive, Send, str], Any]
    ) -> Any:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is None:
            return handler(scope, receive, send, path)
        allowed = self._allowed(origin)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            return responses.send_whole(send, 204, self._preflight(allowed), b"")

        async def send_with(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {
                    **message,
                    "headers": [
                        *message["headers"],
                        *allowed,
                        (b"access-control-expose-headers", ", ".join(self.expose).encode()),
                    ],
                }
            await send(message)

        # The short way of our own server would pass these headers by.
        return handler({key: value for key, value in scope.items() if key != "ramet.exchange"}, receive, send_with, path)

    def _allowed(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        if "*" in self.origins:
            return [(b"access-control-allow-origin", b"*")]
        vary = (b"vary", b"origin")
        if origin.decode("latin-1") not in self.origins:
            return [vary]
        pairs = [(b"access-control-allow-origin", origin), vary]
        return [*pairs, (b"access-control-allow-credentials", b"true")] if self.credentials else pairs

    def _preflight(self, allowed: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [
            *allowed,
            (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", ", ".join(self.headers).encode()),
            (b"access-control-max-age", str(self.max_age_s).encode()),
        ]
