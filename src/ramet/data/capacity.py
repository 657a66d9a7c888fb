"""How many connections a server has: asked, for `budget`."""

from ramet.data import driver, errors, refusals
from ramet.data.address import Address
from ramet.data.budget import Server
from ramet.data.entry import open_session

_ASK = """\
SELECT current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true), '0')::int"""
"""The second reserve is there from PostgreSQL 16 on."""


async def ask(address: Address, *, name: str) -> Server:
    """Raises DatabaseUnavailable, PoolerUnfit."""
    try:
        connection = await open_session(address)
        try:
            total, kept = (await connection.fetch(_ASK))[0]
        finally:
            await connection.close(timeout=5.0)
    except (driver.PostgresError, driver.InterfaceError, OSError, TimeoutError) as error:
        ours = refusals.ours(error)
        raise errors.DatabaseUnavailable(f"cannot ask {address}: {ours or 'no answer'}") from error
    return Server(name=name, max_connections=total, kept=kept)
