"""How many connections a server has: asked, for `budget`."""

from ramet.data.address import Address
from ramet.data.administering import session
from ramet.data.budget import Server

_ASK = """\
SELECT current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
       + coalesce(current_setting('reserved_connections', true), '0')::int"""
"""The second reserve is there from PostgreSQL 16 on."""


async def ask(address: Address, *, name: str) -> Server:
    """Raises a DatabaseError, PoolerUnfit."""
    async with session(address) as connection:
        total, kept = (await connection.fetch(_ASK))[0]
    return Server(name=name, max_connections=total, kept=kept)
