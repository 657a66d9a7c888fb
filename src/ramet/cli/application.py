"""What most verbs begin with: the application of the current folder, and a name that must be one of those there are."""

from collections.abc import Iterable
from pathlib import Path

from ramet.errors import ConfigError
from ramet.kit.near import did_you_mean
from ramet.operate.current import Current, find


def current() -> Current:
    """Raises ConfigError. The application's folder is importable from then on."""
    return find(Path.cwd())


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Raises ConfigError, with the name that was meant or all that there are, for one that is not among them."""
    known = list(known)
    if name not in known:
        hint = did_you_mean(name, known) or (f"known: {', '.join(known)}" if known else None)
        raise ConfigError(f"there is no {what} `{name}`", hint=hint)
