"""A session of the controller's own at a server: connect, and what goes wrong as one of ours."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ramet.data import driver, errors, refusals
from ramet.data.address import Address
from ramet.data.driver import Driver
from ramet.data.entry import open_session

CONNECT_S = 10.0


@asynccontextmanager
async def session(address: Address, **settings: str) -> AsyncGenerator[Driver]:
    """Read and write, on the primary. settings: of the session. Raises a DatabaseError, also for what a statement inside of it
    raises; PoolerUnfit."""
    try:
        connection = await open_session(address, connect_s=CONNECT_S, settings=settings)
    except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
        raise errors.DatabaseUnavailable(
            f"cannot connect to {address}: {error or 'no answer'}", hint="is the server running?"
        ) from error
    try:
        yield connection
    except (driver.PostgresError, driver.InterfaceError, driver.InternalClientError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise refusals.ours(error, is_closed=connection.is_closed()) from error
    finally:
        if not connection.is_closed():
            await connection.close(timeout=CONNECT_S)
