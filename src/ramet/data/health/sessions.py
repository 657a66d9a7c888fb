"""Who is connected, and whose transaction lasts long: it holds back vacuum, locks, and the start of a move."""

from collections.abc import Mapping
from dataclasses import dataclass

from ramet.data.driver import Driver

_LONG = """\
SELECT pid, coalesce(usename, ''), application_name, coalesce(state, ''), extract(epoch FROM now() - xact_start)::float8,
       extract(epoch FROM now() - state_change)::float8
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
  AND now() - xact_start > $1::float8 * interval '1 second'
ORDER BY xact_start"""
_PREPARED = """\
SELECT gid, owner::text, extract(epoch FROM now() - prepared)::float8 FROM pg_prepared_xacts
WHERE database = current_database() AND now() - prepared > $1::float8 * interval '1 second' ORDER BY prepared"""
_USED = """\
SELECT coalesce(usename, ''), count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1 ORDER BY 1"""
_SEES = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"


@dataclass(frozen=True, slots=True, kw_only=True)
class LongTransaction:
    """age_s: since it began. idle_s: since its last statement ended, 0 while one runs."""

    pid: int
    role: str
    application: str
    age_s: float
    idle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Of a two-phase commit whose second phase did not come."""

    id: str
    role: str
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """used: role -> connections to the server now, in all databases. sees_all: without it others' transactions are not seen."""

    long: tuple[LongTransaction, ...]
    prepared: tuple[Prepared, ...]
    used: Mapping[str, int]
    sees_all: bool


async def read(connection: Driver, *, least_s: float) -> Sessions:
    """least_s: a transaction below that age is left out."""
    return Sessions(
        long=tuple(
            LongTransaction(
                pid=pid,
                role=role,
                application=application or "",
                age_s=age_s,
                idle_s=idle_s if state.startswith("idle") else 0.0,
            )
            for pid, role, application, state, age_s, idle_s in await connection.fetch(_LONG, least_s)
        ),
        prepared=tuple(
            Prepared(id=gid, role=role, age_s=age_s) for gid, role, age_s in await connection.fetch(_PREPARED, least_s)
        ),
        used={row[0]: row[1] for row in await connection.fetch(_USED)},
        sees_all=await connection.fetchval(_SEES),
    )
