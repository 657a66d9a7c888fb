"""One PostgreSQL of several that have the same data: a primary, or a replica that streams from it.

    node = PostgresNode(directory, name="r1", passwords=primary.directory / "passwords.json")
    await node.join(Upstream(url=primary.url(), name="r1"), print)     # a base backup, then streaming
    await node.promote()                                               # after the primary was fenced

What it is, is written in its directory (`postgres_upstream`); so a node that was killed at any point goes on with `start`.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from ramet.data import replication
from ramet.data.address import Address
from ramet.data.replication import NodeStatus, Slot
from ramet.engines import postgres_binaries, postgres_copy, postgres_rejoin, postgres_upstream
from ramet.engines.postgres import Postgres, StopMode
from ramet.engines.postgres_binaries import Source
from ramet.engines.postgres_copy import Report
from ramet.engines.postgres_making import Place
from ramet.engines.postgres_rejoin import Rejoined
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.postgres_upstream import Begin, Upstream
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import Change, Status


class PostgresNode:
    """settings: those of the primary, whose limits (max_connections and the like) PostgreSQL wants to be no higher than a
    replica's. passwords: the file of the roles, which are the same on all nodes. The rest is as for `Postgres`."""

    def __init__(
        self,
        directory: Path,
        *,
        name: str,
        passwords: Path | None = None,
        settings: PostgresSettings | None = None,
        source: Source = "auto",
        policy: RestartPolicy | None = None,
        on_change: Callable[[Change], None] | None = None,
        cache: Path = postgres_binaries.CACHE,
    ) -> None:
        self.name = name
        self.rejoined: Rejoined | None = None
        """What the last `start` did to data that was fenced; None if it was not."""
        self._report: Report = postgres_copy.unreported
        self._is_home = passwords is None or passwords.parent.absolute() == directory.absolute()
        self.server = Postgres(
            directory,
            settings=settings,
            source=source,
            policy=policy,
            on_change=on_change,
            cache=cache,
            name="postgres" if self._is_home else f"postgres {name}",
            passwords=passwords,
            replicate=self._replicate,
        )

    def __repr__(self) -> str:
        upstream = self.upstream
        return f"<PostgresNode {self.name}: {f'replica of {upstream}' if upstream else 'primary'}, {self.server!r}>"

    @property
    def upstream(self) -> Upstream | None:
        """Whom it follows, or is to follow; None for a primary."""
        return postgres_upstream.read_upstream(self.server.directory)

    @property
    def is_running(self) -> bool:
        return self.server.status is Status.RUNNING

    @property
    def is_fenced(self) -> bool:
        return bool(postgres_upstream.read_fence(self.server.directory))

    @property
    def address(self) -> Address:
        """As the superuser, over the node's own port."""
        return Address(dsn=self.server.url(), application_name="ramet-controller")

    def statistics(self) -> dict[str, int | str | None]:
        return {"name": self.name, "role": "replica" if self.upstream else "primary", **self.server.statistics()}

    async def start(self, report: Report = postgres_copy.unreported) -> None:
        """As `Postgres.start`. A replica without data is copied from its upstream first; one that is fenced is rejoined to it.

        report: told how far a copy is. Raises DatabaseUnavailable too, where the upstream is needed for that.
        """
        self.rejoined, self._report = None, report
        await self.server.start()

    async def join(self, upstream: Upstream, report: Report = postgres_copy.unreported) -> None:
        """Become a replica of that primary, which serves, and start. Killed in between, `start` goes on or `leave` cleans up.

        A replica that was away for so long that the primary has dropped its log (max_slot_wal_keep_size) is copied anew.
        """
        directory = self.server.directory
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        postgres_upstream.write_upstream(directory, upstream)
        if self.server.data.exists() and any(slot.is_lost for slot in await self._slots(upstream)):
            postgres_upstream.begin_rejoin(directory)
        await replication.create_slot(upstream.address, upstream.slot)
        await self.start(report)

    async def follow(self, upstream: Upstream) -> None:
        """Stream from another primary of the same history, or from the same one at another address. Of a node that does not run
        it is only written down. Raises DatabaseUnavailable."""
        await replication.create_slot(upstream.address, upstream.slot)
        postgres_upstream.write_upstream(self.server.directory, upstream)
        if self.is_running:
            self.server.take_configuration()

    async def promote(self) -> int:
        """Make this replica, which runs, a primary; returns its timeline when it accepts writes. A primary stays one.

        The primary that it had must not serve any more: `server.fence` that first. Commits here wait for nobody, until
        `replication.set_synchronous` says so. Raises a DatabaseError.
        """
        await replication.set_synchronous(self.address, ())
        timeline = await replication.promote(self.address)
        postgres_upstream.forget_upstream(self.server.directory)
        return timeline

    async def leave(self) -> None:
        """Stop this replica, drop its slot, remove its data, whole or half made. Safe to repeat.

        A directory that also holds the roles' passwords stays, fenced, so that nobody makes an empty database there. Raises
        DatabaseUnavailable where the primary does not answer: the slot would keep its log for nobody.
        """
        directory = self.server.directory
        if directory.exists():
            await self.server.fence(StopMode.FAST)
        if (upstream := self.upstream) is not None:
            await replication.drop_slot(upstream.address, upstream.slot)
        if directory.exists():
            postgres_upstream.begin_rejoin(directory)  # from here on there is half a data directory
            await asyncio.to_thread(shutil.rmtree, self.server.data, ignore_errors=True)
            postgres_upstream.forget_upstream(directory)
            if not self._is_home:
                await asyncio.to_thread(shutil.rmtree, directory)

    async def status(self) -> NodeStatus:
        """Raises DatabaseUnavailable if it does not answer."""
        return await replication.status(self.address)

    async def _slots(self, upstream: Upstream) -> list[Slot]:
        return [slot for slot in await replication.slots(upstream.address) if slot.name == upstream.slot]

    async def _replicate(self, place: Place, upstream: Upstream, begin: Begin) -> None:
        if begin is Begin.REJOIN:
            self.rejoined = await postgres_rejoin.rejoin(place, upstream, self._report)
        else:
            await postgres_copy.copy(place, upstream, self._report)
