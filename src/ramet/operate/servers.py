"""The database servers beside the first one: those that plans add, for shards."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ramet.data.address import Address
from ramet.engines.passwords import Passwords
from ramet.engines.postgres_cluster import FIRST, PostgresCluster
from ramet.engines.postgres_remote import RemotePostgres
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.supervision import Change
from ramet.errors import PlanImpossible, StepFailed
from ramet.model.divisions import MAIN
from ramet.model.sharding import ReplicaAt
from ramet.operate.databases import MAX_CONNECTIONS, DatabaseServer, url_of
from ramet.operate.folder import Folder

CATCH_UP_S = 120.0
AGAIN_S = 0.02
Server = PostgresCluster | RemotePostgres


class Servers:
    """urls: servers of the user's own, by name, as in `[servers]` of ramet.toml."""

    def __init__(
        self, main: DatabaseServer, folder: Folder, *, urls: Mapping[str, str], on_change: Callable[[Change], None]
    ) -> None:
        self._main = main
        self._folder = folder.root / "servers"
        self._urls = dict(urls)
        self._on_change = on_change
        self._servers: dict[str, Server] = {}
        self._timelines: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Servers: {', '.join([MAIN, *self._servers])}>"

    async def start(self, names: Iterable[str]) -> None:
        """Those that are not there yet. Raises an EngineError."""
        for name in names:
            if name in self._servers:
                continue
            server: Server
            if name in self._urls:
                server = RemotePostgres(self._urls[name])
            elif not self._main.is_embedded:
                raise PlanImpossible(
                    f"ramet.toml names no database server `{name}`", hint=f'[servers]\n{name} = "postgresql://..."'
                )
            else:
                settings = PostgresSettings(max_connections=MAX_CONNECTIONS)
                server = PostgresCluster(
                    self._directory(name), settings=settings, source=self._main.source, on_change=self._on_change
                )
            await server.start()
            self._servers[name] = server

    async def stop(self, name: str) -> None:
        if (server := self._servers.pop(name, None)) is not None:
            await server.stop()

    async def stop_all(self) -> None:
        for name in list(self._servers):
            await self.stop(name)

    async def release_all(self) -> None:
        """Let them run, for whoever takes over."""
        for server in self._servers.values():
            if isinstance(server, PostgresCluster):
                await server.detach()
        self._servers.clear()

    def admin(self, name: str) -> Address:
        """As its superuser."""
        return Address(dsn=url_of(self._server(name)), application_name="ramet-controller")

    def url(self, name: str, module: str) -> str:
        """With the module's own role and password."""
        return url_of(self._server(name), user=module, password=self.password(name, module))

    def password(self, name: str, module: str) -> str:
        if name == MAIN:
            return self._main.password(module)
        server = self._servers[name]
        if isinstance(server, PostgresCluster):
            return server.primary.server.password(module)
        self._directory(name).mkdir(parents=True, exist_ok=True)
        return Passwords(self._directory(name) / "passwords").make(module)

    def _server(self, name: str) -> Server:
        return self._main.server if name == MAIN else self._servers[name]

    # Replicas, of servers that are ours

    @property
    def clusters(self) -> dict[str, PostgresCluster]:
        found = {MAIN: self._main.server, **self._servers} if self._main.has_started else dict(self._servers)
        return {name: server for name, server in found.items() if isinstance(server, PostgresCluster)}

    @property
    def are_ours(self) -> bool:
        """Whether a server that is added would be."""
        return self._main.is_embedded

    def timeline(self, name: str) -> int:
        """Of the server's log, as it was last seen: another one after each failover."""
        return self._timelines.get(name, 1)

    async def look(self) -> None:
        """Learn the timelines."""
        for name, cluster in self.clusters.items():
            status = (await cluster.statuses())[cluster.primary.name]
            if status is not None:
                self._timelines[name] = status.timeline

    def replicas(self, name: str, nodes: Iterable[str], module: str) -> tuple[ReplicaAt, ...]:
        """Where a module reads, of these nodes: those that run and are not the primary."""
        cluster = self.clusters.get(name)
        if cluster is None:
            return ()
        there = {**cluster.replicas}
        wanted = set(nodes)
        if wanted:
            wanted.add(FIRST)  # the first node, where another one has become the primary
        return tuple(
            ReplicaAt(node, there[node].server.url(user=module, password=self.password(name, module)))
            for node in sorted(wanted)
            if node in there and there[node].is_running
        )

    async def add_replica(self, name: str, node: str, report: Callable[[str], None]) -> str:
        """Returns when it has all that was written before."""
        began = time.monotonic()
        cluster = self.clusters[name]
        await cluster.add_replica(
            node, lambda done, total: report(f"{node}: {done / 2**20:.0f} of {(total or 0) / 2**20:.0f} MB")
        )
        statuses = await cluster.statuses()
        primary = statuses[cluster.primary.name]
        assert primary is not None, "it has just been copied"
        until = time.monotonic() + CATCH_UP_S
        while (status := (await cluster.statuses())[node]) is None or status.replayed < primary.flushed:
            if time.monotonic() > until:
                raise StepFailed(
                    f"the replica {node} of {name} has not caught up after {CATCH_UP_S:g} s", hint="ramet data doctor"
                )
            await asyncio.sleep(AGAIN_S)
        await self.look()
        return f"it streams, and has caught up after {time.monotonic() - began:.1f} s"

    async def remove_replica(self, name: str, node: str) -> None:
        await self.clusters[name].remove_replica(node)

    async def fail_over(self, name: str, to: str) -> str:
        began = time.monotonic()
        cluster = self.clusters[name]
        old = cluster.primary.name
        done = await cluster.fail_over(to or None)
        await self.look()
        if done.keeps_acknowledged:
            lost = "every commit that was acknowledged is there"
        elif done.lost_bytes is None:
            lost = f"the disk of {old} cannot be read, so it is not known what is lost; commits did not wait for a replica"
        else:
            lost = f"{done.lost_bytes} bytes of log of {old} are lost, maybe acknowledged commits"
        return f"{done.primary} is primary on timeline {done.timeline}, {time.monotonic() - began:.1f} s after; {lost}"

    async def rejoin_all(self, name: str) -> None:
        """Old primaries come back as replicas."""
        cluster = self.clusters[name]
        for node, each in cluster.replicas.items():
            if not each.is_running:
                await cluster.rejoin(node)

    async def set_synchronous(self, name: str, on: bool) -> None:
        await self.clusters[name].set_synchronous(on)

    def _directory(self, name: str) -> Path:
        return self._folder / name
