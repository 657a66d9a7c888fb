"""Where a module's database is, and as whom to go there."""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

READ_ONLY = {"default_transaction_read_only": "on"}
"""A session reads; what writes says so in its BEGIN. So a read needs no BEGIN to be safe, and the server refuses what slips
through."""
READ_WRITE = {"default_transaction_read_only": "off"}
"""Said outright, since behind a pooler the role itself is read-only by default (`schemas.provision`)."""


class Pooling(enum.Enum):
    """What is between us and the server."""

    NONE = "the server itself"
    UNNAMED = "a transaction pooler that mixes up prepared statements"
    NAMED = "a transaction pooler that keeps prepared statements apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """dsn: a libpq URL, `postgresql://role:password@host:port/database?host=/socket/directory`. It may name several hosts,
    `host:port,host:port`, of which `entry` finds the one that is wanted.

    schema: of the module; becomes the search_path. application_name: seen in pg_stat_activity. is_pooled: a transaction pooler
    is declared to be there; where it is not, one is noticed all the same.
    """

    dsn: str = field(repr=False)
    schema: str = ""
    application_name: str = "ramet"
    statement_cache_size: int = 100
    """Prepared statements that asyncpg keeps for itself. Always 0 behind a pooler that mixes them up."""
    server_settings: Mapping[str, str] = field(default_factory=dict[str, str])
    is_pooled: bool = False

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

    @property
    def hosts(self) -> tuple[str, ...]:
        """Each `host:port`, or `/socket/directory:port`."""
        parts = urlsplit(self.dsn)
        options = dict(parse_qsl(parts.query))
        named = parts.netloc.rpartition("@")[2]
        ports = options.get("port", "5432").split(",")
        if named:
            return tuple(each if _has_port(each) else f"{each}:{ports[0]}" for each in named.split(","))
        hosts = options.get("host", "localhost").split(",")
        return tuple(f"{host}:{ports[index % len(ports)]}" for index, host in enumerate(hosts))

    def at(self, *hosts: str) -> "Address":
        """The same on other hosts, each as in `hosts`. Sockets and names do not mix."""
        parts = urlsplit(self.dsn)
        who = parts.netloc.rpartition("@")[0]
        options = {key: value for key, value in parse_qsl(parts.query) if key not in {"host", "port"}}
        is_socket = hosts[0].startswith("/")
        if is_socket:
            split = [host.rpartition(":") for host in hosts]
            options |= {"host": ",".join(host for host, _, _ in split), "port": ",".join(port for _, _, port in split)}
        netloc = f"{who}@" * bool(who) + ("" if is_socket else ",".join(hosts))
        made = parts._replace(netloc=netloc, query=urlencode(options, safe="/,:"))
        # urlunsplit would leave out the two slashes of an empty netloc
        text = urlunsplit(made) if netloc else f"{parts.scheme}://{parts.path}?{made.query}"
        return dataclasses.replace(self, dsn=text)

    def session_settings(self, *, is_read_only: bool = True) -> dict[str, str]:
        path = {"search_path": search_path(self.schema)} if self.schema else {}
        mode = READ_ONLY if is_read_only else READ_WRITE
        return {"application_name": self.application_name, **path, **mode, **self.server_settings}


def search_path(schema: str) -> str:
    return f'"{schema}", extensions'


def _has_port(host: str) -> bool:
    return host.rpartition("]")[2].rpartition(":")[1] == ":"
