"""Whether a database is under pressure that work which can wait should not add to."""

from ramet.data import driver, errors
from ramet.data.address import Address

MAX_LAG_BYTES = 16 * 2**20
"""Of a replica that is connected: what it has yet to replay. One WAL segment, so that a healthy replica never holds it up."""
MAX_LOCK_WAITS = 4
"""Queries that wait for a lock at the same moment."""
_SQL = """
SELECT (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint FROM pg_stat_replication),
       (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock')
"""


async def why_wait(admin: Address) -> str:
    """In words; empty if there is no pressure. admin: one who may see others' sessions, else nothing is seen. Raises
    DatabaseUnavailable."""
    try:
        connection = await driver.connect(admin.dsn, timeout_s=5.0, server_settings=admin.session_settings())
    except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
        raise errors.DatabaseUnavailable(f"cannot connect to {admin}: {error or 'no answer'}", hint="is it running?") from error
    try:
        rows = await connection.fetch(_SQL)
    finally:
        await connection.close(timeout=5.0)
    lag, waiting = rows[0]
    if lag is not None and lag > MAX_LAG_BYTES:
        return f"a replica is {lag / 2**20:.0f} MB behind"
    return f"{waiting} queries wait for locks" if waiting > MAX_LOCK_WAITS else ""
