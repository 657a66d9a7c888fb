"""The name of an article in its address, from its title."""

import re
import secrets
from collections.abc import Iterator

MAX_LENGTH = 80
RESERVED = {"feed"}
"""GET /articles/feed is something else."""

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_REST = re.compile(r"[\W_]+")


def slugs_for(title: str) -> Iterator[str]:
    """The best one first; then some that are surely free."""
    plain = _REST.sub("-", title.casefold())[:MAX_LENGTH].strip("-") or "article"
    if plain not in RESERVED:
        yield plain
    while True:
        yield f"{plain}-{''.join(secrets.choice(_LETTERS) for _ in range(6))}"
