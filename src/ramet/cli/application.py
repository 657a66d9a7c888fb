"""What most verbs begin with: the application of the current folder."""

from pathlib import Path

from ramet.operate.current import Current, find


def current() -> Current:
    """Raises ConfigError. The application's folder is importable from then on."""
    return find(Path.cwd())
