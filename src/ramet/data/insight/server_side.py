"""What the server itself has measured of a module's queries, by pg_stat_statements where it is there."""

from dataclasses import dataclass

from ramet.data.address import Address
from ramet.data.insight.explaining import reading
from ramet.data.insight.fingerprint import fingerprint

EXTENSION = "pg_stat_statements"
PAGE_MB = 8192 / 2**20

_CAN = """
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)
   AND EXISTS (SELECT FROM pg_settings WHERE name = 'shared_preload_libraries'
               AND $1 = ANY (string_to_array(replace(setting, ' ', ''), ',')))
"""
_TOLD = """
SELECT query, calls, total_exec_time, shared_blks_read, temp_blks_written FROM pg_stat_statements
WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True, slots=True)
class ServerSide:
    """Of one fingerprint since the extension's counts began. total_s: without the way there and back. read_mb: from outside of
    the server's memory. spilled_mb: written to temporary files."""

    executions: int
    total_s: float
    read_mb: float
    spilled_mb: float


async def can_measure(admin: Address) -> bool:
    """Whether the extension can be made in the admin's database, and would count. Raises a DatabaseError."""
    async with reading(admin) as connection:
        return bool(await connection.fetchval(_CAN, EXTENSION))


async def server_side(address: Address) -> dict[str, ServerSide]:
    """By fingerprint, of the module's own role; empty without the extension. Raises a DatabaseError."""
    async with reading(address) as connection:
        if not await connection.fetchval("SELECT to_regclass($1)", EXTENSION):
            return {}
        rows = await connection.fetch(_TOLD)
    found: dict[str, ServerSide] = {}
    for row in rows:
        name = fingerprint(row[0])
        before = found.get(name, ServerSide(0, 0.0, 0.0, 0.0))
        found[name] = ServerSide(
            before.executions + row[1],
            before.total_s + row[2] / 1e3,
            before.read_mb + row[3] * PAGE_MB,
            before.spilled_mb + row[4] * PAGE_MB,
        )
    return found
