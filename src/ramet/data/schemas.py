"""A schema and a login role for each module, so that the server itself refuses one module the data of another.

The role owns its schema and has no right to anything else: not to the other schemas, not to `public`. Extensions live in a
schema of their own, `extensions`, which all roles may use and none may change. Safe to run again, and by two at once.

Passwords come from the caller and reach the server as SCRAM verifiers, so that they are in no log.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from ramet.data import driver, errors, refusals
from ramet.data.address import READ_ONLY, Address, search_path
from ramet.data.claims import LEDGER_TABLE, OWNER_TABLES
from ramet.data.driver import Driver
from ramet.data.entry import open_session

EXTENSIONS = "extensions"
_LOCK = 0x72616D65_74000001
"""'ramet' and a number: the advisory lock under which roles are made."""
_ITERATIONS = 4096
"""The server's own scram_iterations."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A module that is to have a schema and a role, both by its name."""

    module: str
    password: str = field(repr=False)


async def provision(
    admin: Address,
    owners: Iterable[Owner],
    *,
    extensions: Iterable[str] = (),
    is_pooled: bool = False,
    connect_s: float = 10.0,
) -> None:
    """Make what is missing in the admin's database, all or nothing. admin: a superuser, or a role with CREATEROLE and CREATE
    here.

    extensions: names, to be installed for all. is_pooled: the roles log in behind a transaction pooler, which passes on no
    settings: so their sessions get theirs from the role, in this database. Raises a DatabaseError, PoolerUnfit.
    """
    try:
        connection = await open_session(admin, connect_s=connect_s)
    except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
        raise errors.DatabaseUnavailable(
            f"cannot connect to {admin}: {error or 'no answer'}", hint="is the server running?"
        ) from error
    try:
        await connection.execute("BEGIN")
        await connection.fetchval("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await _common(connection, extensions)
        for owner in owners:
            await _own(connection, owner)
            if is_pooled:
                await _give_settings(connection, owner)
        await connection.execute("COMMIT")
    except (driver.PostgresError, driver.InterfaceError, OSError) as error:
        raise refusals.ours(error) from error
    finally:
        await connection.close(timeout=connect_s)


async def _common(connection: Driver, extensions: Iterable[str]) -> None:
    database = quote(str(await connection.fetchval("SELECT current_database()")))
    await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    if await connection.fetchval("SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public'"):
        await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {EXTENSIONS}; GRANT USAGE ON SCHEMA {EXTENSIONS} TO PUBLIC")
    for extension in extensions:
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {quote(extension)} SCHEMA {EXTENSIONS}")


async def _own(connection: Driver, owner: Owner) -> None:
    name, verifier = quote(owner.module), scram_verifier(owner.password, os.urandom(16))
    exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", owner.module)
    await connection.execute(f"{'ALTER' if exists else 'CREATE'} ROLE {name} LOGIN PASSWORD '{verifier}'")
    if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        await connection.execute(f"GRANT {name} TO CURRENT_USER")
    database = quote(str(await connection.fetchval("SELECT current_database()")))
    await connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {name}")
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name} AUTHORIZATION {name}")
    await connection.execute(
        f"SET LOCAL ROLE {name}; SET LOCAL search_path TO {name}; {LEDGER_TABLE}; {OWNER_TABLES}; RESET ROLE; RESET search_path"
    )


async def _give_settings(connection: Driver, owner: Owner) -> None:
    database = quote(str(await connection.fetchval("SELECT current_database()")))
    who = f"ALTER ROLE {quote(owner.module)} IN DATABASE {database}"
    settings = " ".join(f"{who} SET {name} = {value};" for name, value in READ_ONLY.items())
    await connection.execute(f"{settings} {who} SET search_path = {search_path(owner.module)}")


def quote(identifier: str) -> str:
    """As in SQL, so that `user` and `order` can be modules too. Raises ValueError for what no identifier can hold."""
    if not identifier or "\0" in identifier:
        raise ValueError(f"{identifier!r} cannot be an identifier")
    return '"' + identifier.replace('"', '""') + '"'


def scram_verifier(password: str, salt: bytes, iterations: int = _ITERATIONS) -> str:
    """What pg_authid holds. Source: RFC 5803; PostgreSQL's scram_build_secret. ASCII passwords, which SASLprep leaves as they
    are."""
    if not password.isascii() or not password.isprintable():
        raise ValueError("a generated password has printable ASCII characters only")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
