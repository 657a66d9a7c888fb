"""The causal token as text, for HTTP: which log positions a client has seen, `articles-1.1=3C40112&main.2=1F00`.

Each part is a server and its timeline, and a position in hexadecimal. It names no row and no user. Who invents one has his own
reads made at the primary, and no more.
"""

import re
from collections.abc import Mapping

HEADER = "ramet-causal"
"""Of requests and responses; also the cookie's name, for browsers."""
MAX_AGE_S = 30
"""How long a browser keeps it: by then every replica that is read has what it names, or is not read."""
MAX_PARTS = 32
MAX_CHARACTERS = 2048
_PART = re.compile(r"([A-Za-z0-9_-]{1,80}\.[0-9]{1,9})=([0-9A-Fa-f]{1,16})")
_COOKIE = re.compile(rf"(?:^|;)\s*{HEADER}=([^;]*)")


def encode(positions: Mapping[str, int]) -> str:
    """The parts with the highest positions, where there are too many."""
    parts = sorted(positions.items(), key=lambda each: -each[1])[:MAX_PARTS]
    return "&".join(f"{name}={position:X}" for name, position in sorted(parts))


def decode(text: str) -> dict[str, int] | None:
    """None for what is no token: it comes from outside, and one that is not understood is as none."""
    if not text or len(text) > MAX_CHARACTERS:
        return None
    parts = [_PART.fullmatch(part) for part in text.split("&")]
    if len(parts) > MAX_PARTS or not all(parts):
        return None
    return {part[1]: min(int(part[2], 16), 2**63 - 1) for part in parts if part is not None}


def of_request(header: bytes | None, cookies: bytes | None) -> dict[str, int] | None:
    """What a request brings: the header, else the cookie."""
    if header is not None:
        return decode(header.decode("latin-1").strip())
    if cookies is not None and (found := _COOKIE.search(cookies.decode("latin-1"))):
        return decode(found[1].strip())
    return None


def set_cookie(token: str) -> str:
    return f"{HEADER}={token}; Max-Age={MAX_AGE_S}; Path=/; HttpOnly; SameSite=Lax"
