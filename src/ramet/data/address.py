"""Where a module's database is, and as whom to go there."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

READ_ONLY = {"default_transaction_read_only": "on"}
"""A session reads; what writes says so in its BEGIN. So a read needs no BEGIN to be safe, and the server refuses what slips
through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """dsn: a libpq URL, `postgresql://role:password@host:port/database?host=/socket/directory`.

    schema: of the module; becomes the search_path. application_name: seen in pg_stat_activity.
    """

    dsn: str = field(repr=False)
    schema: str = ""
    application_name: str = "ramet"
    statement_cache_size: int = 100
    """Prepared statements that a connection keeps. 0 for a pooler between that cannot keep them apart."""
    server_settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        """For messages: without the password."""
        parts = urlsplit(self.dsn)
        netloc = parts.netloc
        if parts.password is not None:
            netloc = f"{parts.username or ''}:...@{netloc.rpartition('@')[2]}"
        return urlunsplit(parts._replace(netloc=netloc))

    def as_role(self, role: str, password: str, *, schema: str | None = None) -> "Address":
        """The same server and database for another role."""
        parts = urlsplit(self.dsn)
        netloc = f"{quote(role, safe='')}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
        return dataclasses.replace(self, dsn=urlunsplit(parts._replace(netloc=netloc)), schema=role if schema is None else schema)

    def session_settings(self, *, is_read_only: bool = True) -> dict[str, str]:
        path = {"search_path": f'"{self.schema}", extensions'} if self.schema else {}
        return {"application_name": self.application_name, **path, **(READ_ONLY if is_read_only else {}), **self.server_settings}
