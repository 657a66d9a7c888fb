"""A node that was a primary becomes a replica of the new one: rewound to where their logs part, or copied anew.

pg_rewind copies only what differs. It needs the old node's log back to where they part, which `wal_keep_size` keeps for a while;
where it refuses, for this or any other reason, a base backup takes its place. Data of a replica is always copied anew: it was
fenced because it does not find back to its primary, and a rewind would find nothing to do.
"""

import asyncio
import shutil
from dataclasses import dataclass

from ramet.data import replication
from ramet.engines import postgres_copy, postgres_data, postgres_log, postgres_making, postgres_upstream
from ramet.engines.errors import EngineFailed
from ramet.engines.postgres_copy import Report
from ramet.engines.postgres_log import LogEnd
from ramet.engines.postgres_making import Place, path_for
from ramet.engines.postgres_upstream import Upstream
from ramet.engines.postgres_url import conninfo, passfile_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoined:
    """is_copied: by a base backup, else rewound. lost_bytes: of its log that the new primary does not have, and that is gone now;
    None if it could not be told."""

    is_copied: bool
    lost_bytes: int | None


async def rejoin(place: Place, upstream: Upstream, report: Report) -> Rejoined:
    """Make fenced data a replica's of `upstream`, whatever it was. No server may work on it.

    Killed in between, the next start copies. Raises as `postgres_copy.copy` does.
    """
    was_primary = not postgres_upstream.is_standby(place.data)
    end = await asyncio.to_thread(postgres_log.read_end, place)
    lost = None if end is None else await lost_bytes(end, upstream)
    await replication.create_slot(upstream.address, upstream.slot)
    await replication.checkpoint(upstream.address)  # before PostgreSQL 16, pg_rewind sees a new timeline only after it
    postgres_upstream.begin_rejoin(place.directory)
    is_rewound = was_primary and await _rewind(place, upstream)
    if is_rewound:
        for slot in (place.data / "pg_replslot").iterdir():  # of its former replicas: they would keep its log for nobody
            shutil.rmtree(slot)
        postgres_data.include_configuration(place.data)
        postgres_upstream.mark_standby(place.data)
    else:
        await postgres_copy.copy(place, upstream, report)
    return Rejoined(is_copied=not is_rewound, lost_bytes=lost)


async def lost_bytes(end: LogEnd, upstream: Upstream) -> int | None:
    """Of a log that ends there, what this primary does not have; None if its timeline does not descend from that one."""
    fork = await replication.fork(upstream.address, end.timeline)
    return None if fork is None else max(0, end.lsn - fork)


async def _rewind(place: Place, upstream: Upstream) -> bool:
    """False if it could not. The data is then of no use."""
    with postgres_making.secret_file(passfile_of(upstream.url), place.account) as secret:
        source = conninfo(upstream.url, dbname="postgres", passfile=f"/dev/fd/{secret}")
        arguments = [f"--target-pgdata={path_for(place.data, place.account)}", f"--source-server={source}"]
        try:
            status = await postgres_making.run("pg_rewind", arguments, place=place, directory=place.data, pass_fds=[secret])
        except EngineFailed:  # this PostgreSQL came without it
            return False
    return status == 0
