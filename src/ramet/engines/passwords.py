"""Passwords of an engine's roles: made once by chance, kept in one file that only we can read."""

import json
import secrets
from pathlib import Path
from typing import Any

from ramet.engines.errors import EngineUnfit
from ramet.engines.files import write_whole


class Passwords:
    """Not for two processes at once: the engine's lock is held by whoever makes passwords."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"<Passwords {self._path}>"

    def get(self, role: str) -> str | None:
        return self._read().get(role)

    def make(self, role: str) -> str:
        """The role's password; a new one if it has none. On disk before this returns, so that no role can have a lost one."""
        passwords = self._read()
        if role not in passwords:
            passwords[role] = secrets.token_urlsafe(24)
            write_whole(self._path, json.dumps(passwords, indent=1, sort_keys=True).encode())
        return passwords[role]

    def _read(self) -> dict[str, str]:
        try:
            content: Any = json.loads(self._path.read_bytes())
            return {str(role): str(password) for role, password in content.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError):
            raise EngineUnfit(
                "the file of passwords is damaged", where=str(self._path), hint="restore it from a backup"
            ) from None
