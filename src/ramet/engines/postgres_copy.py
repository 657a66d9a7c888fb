"""A replica's data, copied from its primary while that serves: a base backup by pg_basebackup.

It begins with the replica's slot on the primary, so that the log which it will need is kept from then on. The slot's name follows
from `upstream.json`, which is written before: whatever is killed here, `drop_slot` of it finds what to clean up.
"""

import asyncio
import contextlib
from collections.abc import Callable

from ramet.data import errors, replication
from ramet.engines import postgres_data, postgres_making, postgres_upstream
from ramet.engines.errors import EngineFailed
from ramet.engines.files import read_tail, size_of
from ramet.engines.postgres_making import Place, path_for
from ramet.engines.postgres_upstream import Upstream
from ramet.engines.postgres_url import conninfo, passfile_of, without_password

Report = Callable[[int, int | None], None]
"""Told of the bytes that were copied, and of the bytes in all as the primary estimated them; None before it has."""


def unreported(copied_bytes: int, all_bytes: int | None) -> None: ...


async def copy(place: Place, upstream: Upstream, report: Report) -> None:
    """Make the data, in place of what is there. Whole or not at all. No server may work on it.

    Raises EngineFailed with pg_basebackup's words, EngineUnfit for a primary of another major version, or DatabaseUnavailable.
    """
    await replication.create_slot(upstream.address, upstream.slot)
    start = size_of(place.log)
    async with postgres_making.making(place) as made:
        with postgres_making.secret_file(passfile_of(upstream.url), place.account) as secret:
            name = f"{upstream.name} (copy)"  # not the replica's own: no commit may wait for this one
            arguments = [
                f"--pgdata={path_for(made, place.account)}",
                f"--dbname={conninfo(upstream.url, application_name=name, passfile=f'/dev/fd/{secret}')}",
                f"--slot={upstream.slot}",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-password",
            ]
            async with _watched(upstream, name, report):
                status = await postgres_making.run("pg_basebackup", arguments, place=place, directory=made, pass_fds=[secret])
        if status != 0:
            tail = read_tail(place.log, since=start)
            raise EngineFailed(
                f"pg_basebackup could not copy {without_password(upstream.url)} (status {status})",
                log_tail=tail,
                where=place.data,
                hint=postgres_data.hint_for(tail, place.data),
            )
        postgres_data.check(made, place.binaries)
        postgres_data.include_configuration(made)
        postgres_upstream.mark_standby(made)
        postgres_making.put(made, place)


@contextlib.asynccontextmanager
async def _watched(upstream: Upstream, name: str, report: Report):
    watching = asyncio.create_task(_watch(upstream, name, report))
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _watch(upstream: Upstream, name: str, report: Report) -> None:
    # Without its own failure: progress that cannot be asked for is no reason to give up the copy.
    with contextlib.suppress(errors.DatabaseError):
        await replication.watch_backup(upstream.address, name, report)
