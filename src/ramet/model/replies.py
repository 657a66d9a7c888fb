"""Results that say more of the response than their value: status, headers, cookies, the name of an event.

They are Structs, so that a call which returns one still crosses the wire. Light: `import ramet` re-exports this.
"""

from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")


class SetCookie(msgspec.Struct, frozen=True, kw_only=True):
    """A cookie to set. The defaults are the safe ones: no script reads it, no plain HTTP and no other site sends it."""

    name: str
    value: str
    max_age_s: int | None = None
    """None: until the browser is closed. 0 removes it."""
    path: str = "/"
    domain: str | None = None
    http_only: bool = True
    secure: bool = True
    same_site: Literal["lax", "strict", "none"] = "lax"


class Reply(msgspec.Struct, Generic[T], frozen=True):
    """A result with its own status, headers or cookies.

        async def sign_in(name: str) -> Reply[Account]:
            return Reply(account, status=201, cookies=[SetCookie(name="session", value=token)])

    status: None for the one that the endpoint declares. headers: values as they are sent, also a content-type for a body of
    `bytes` or `str`, which is sent as it is then.
    """

    body: T
    status: int | None = None
    headers: dict[str, str] = {}
    cookies: list[SetCookie] = []


class ServerEvent(msgspec.Struct, Generic[T], frozen=True, omit_defaults=True):
    """An item of a stream of server-sent events, with a name or an id. Other items are sent as data alone."""

    data: T
    event: str = ""
    id: str = ""
    retry_ms: int | None = None
