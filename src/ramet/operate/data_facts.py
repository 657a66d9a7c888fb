"""What `ramet data doctor` asks the databases. Reads only; what it means is for `data_diagnosis`."""

from collections.abc import Mapping
from dataclasses import dataclass

from ramet.data.address import Address
from ramet.data.administering import session
from ramet.data.budget import Demand, Server
from ramet.data.driver import Driver
from ramet.data.health import indexes, keys, replication, sequences, sessions
from ramet.data.health.indexes import Indexes
from ramet.data.health.keys import Table
from ramet.data.health.replication import Replication
from ramet.data.health.sequences import Sequence
from ramet.data.health.sessions import Sessions

STATEMENT_S = 60
"""For one question, in seconds: the buckets of a large table are counted in a sample, and that may be slow on a cold disk."""
LEAST_TRANSACTION_S = 30.0
LEAST_INDEX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """Of one physical database. name: for a person. tables: of all modules with a key. replication: None where only some modules
    were asked for."""

    name: str
    indexes: Indexes
    sessions: Sessions
    sequences: tuple[Sequence, ...]
    tables: tuple[Table, ...]
    replication: Replication | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """demands: of the topology. is_pooled: web pools go to a pooler, and are not among them."""

    topology: str
    server: Server
    demands: tuple[Demand, ...]
    is_pooled: bool = False


async def gather(name: str, address: Address, modules: Mapping[str, str | None], *, is_whole: bool = True) -> DatabaseFacts:
    """Ask one database. address: of a role that sees all, on the primary. modules: schema -> the key of its rows, or None.

    is_whole: also what concerns the server and not one module. Raises DatabaseUnavailable, StatementRefused, PoolerUnfit.
    """
    async with session(address, default_transaction_read_only="on", statement_timeout=f"{STATEMENT_S}s") as connection:
        return DatabaseFacts(
            name=name,
            indexes=await indexes.read(connection, modules, least_bytes=LEAST_INDEX_BYTES),
            sessions=await sessions.read(connection, least_s=LEAST_TRANSACTION_S),
            sequences=await sequences.read(connection, modules),
            tables=await _tables(connection, modules),
            replication=await replication.read(connection) if is_whole else None,
        )


async def _tables(connection: Driver, modules: Mapping[str, str | None]) -> tuple[Table, ...]:
    found: list[Table] = []
    for schema, key in modules.items():
        if key is not None:
            found += await keys.read(connection, schema, key)
    return tuple(found)
