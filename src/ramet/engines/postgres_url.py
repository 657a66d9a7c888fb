"""Addresses of a PostgreSQL database, as libpq and every driver take them."""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from ramet.data.address import Address
from ramet.errors import ConfigError

SCHEMES = ("postgresql", "postgres")


def make_url(*, host: str, port: int, database: str, user: str, password: str | None) -> str:
    """host: a name or address, or the directory of a Unix socket."""
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
    if host.startswith("/"):
        return f"postgresql://{who}@/{quote(database, safe='')}?{urlencode({'host': host, 'port': port})}"
    named = f"[{host}]" if ":" in host else host
    return f"postgresql://{who}@{named}:{port}/{quote(database, safe='')}"


def with_parts(url: str, *, database: str | None = None, user: str | None = None, password: str | None = None) -> str:
    """The same server, with some parts replaced; None keeps what is there. Another user does not inherit the password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    kept = parts.netloc.rpartition("@")[0] if "@" in parts.netloc else ""
    if user is not None:
        kept = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
    elif password is not None:
        kept = f"{kept.partition(':')[0]}:{quote(password, safe='')}"
    path = parts.path if database is None else f"/{quote(database, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{kept}@{host}" if kept else host, path=path))


def addresses_of(url: str) -> list[tuple[str, int]]:
    """Of each of its hosts the name (or socket directory) and port. Raises ConfigError if it is not the URL of a PostgreSQL."""
    try:
        parts = urlsplit(url)
        found: list[tuple[str, int]] = []
        for each in Address(dsn=url).hosts if parts.netloc.rpartition("@")[2] or "host" in dict(parse_qsl(parts.query)) else ():
            host, _, port = each.rpartition(":")
            found.append((host.strip("[]"), int(port)))
    except ValueError as error:
        raise ConfigError(f"not the URL of a PostgreSQL: {error}", hint="postgresql://user:password@host:5432/database") from None
    if parts.scheme not in SCHEMES or not found or not all(host for host, _ in found):
        raise ConfigError(
            f"not the URL of a PostgreSQL: its scheme is {parts.scheme!r}, its host {parts.netloc.rpartition('@')[2]!r}",
            hint="postgresql://user:password@host:5432/database",
        )
    return found


def address_of(url: str) -> tuple[str, int]:
    """Of a URL with one host. Raises ConfigError as `addresses_of`, and where it names several."""
    found = addresses_of(url)
    if len(found) > 1:
        raise ConfigError(f"{len(found)} hosts where one is needed: {without_password(url)}", hint="name the one that is meant")
    return found[0]


def without_role(url: str) -> str:
    """The same server and database, as nobody yet."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urlunsplit(bare) if bare.netloc else f"{parts.scheme}://{parts.path}?{parts.query}"


def without_password(url: str) -> str:
    """For people and logs."""
    parts = urlsplit(url)
    who, at, host = parts.netloc.rpartition("@")
    shown = f"{who.partition(':')[0]}{':***' if ':' in who else ''}{at}{host}"
    return urlunsplit(parts._replace(netloc=shown))


def conninfo(url: str, **more: str) -> str:
    """The same as libpq's `key='value'` pairs, without database and password. `more` wins over the options of the URL."""
    host, port = address_of(url)
    parts = urlsplit(url)
    user = {"user": unquote(parts.username)} if parts.username else {}
    values = {**dict(parse_qsl(parts.query)), "host": host, "port": str(port), **user, **more}
    return " ".join(f"{name}='{_escaped(value)}'" for name, value in values.items())


def passfile_of(url: str) -> str:
    """The content of a passfile with which libpq reaches this server. Source: PostgreSQL's documentation, "The Password File"."""
    password = unquote(urlsplit(url).password or "")
    return "*:*:*:*:" + password.replace("\\", "\\\\").replace(":", "\\:") + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
