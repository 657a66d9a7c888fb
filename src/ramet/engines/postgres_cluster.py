"""The PostgreSQLs of one folder: one primary, its replicas, and which is which when one of them dies.

    .ramet/postgres/              the first node, `node-1`: the whole of an application without replicas
    .ramet/postgres/replicas/r1/  another node
    .ramet/postgres/passwords.json   of the roles, on all nodes the same
    .ramet/postgres/cluster.json  who is primary, whether commits wait for a replica, and a failover that is under way

Nothing here decides that a primary is dead: whoever calls `fail_over` does. It goes in steps, each of which is on disk before the
next, so that it is finished by the next `start` wherever it was killed:

    failing over    the old primary is fenced: written down, ended, its orphans killed. Nobody serves writes
    promoting r1    the replica with the most log was chosen. Until here a failure puts everything back
    primary r1      it accepts writes. The others follow it; the old one is rejoined when it is started

Every node is supervised here, so that no other process can start one while this holds its lock; a node that another process
supervises is EngineBusy, before anything is done.
"""

import asyncio
import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ramet.data import replication
from ramet.data.errors import DatabaseError, DatabaseUnavailable
from ramet.data.replication import NodeStatus
from ramet.engines import postgres_binaries, postgres_copy, postgres_failover, postgres_rejoin, postgres_upstream
from ramet.engines.errors import EngineError, EngineFailed, EngineUnfit
from ramet.engines.files import write_durably
from ramet.engines.postgres import StopMode
from ramet.engines.postgres_binaries import Source
from ramet.engines.postgres_copy import Report
from ramet.engines.postgres_failover import FailedOver
from ramet.engines.postgres_log import LogEnd
from ramet.engines.postgres_node import PostgresNode
from ramet.engines.postgres_probe import Answer, probe
from ramet.engines.postgres_rejoin import Rejoined
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.postgres_upstream import Upstream
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import Change

FIRST = "node-1"
SETTLE_S = 5.0
"""How long replicas are waited for to take in what they received from a primary that has ended, in seconds. Their connection
breaks with its process, so this takes milliseconds."""
ANSWER_S = 2.0
"""For a node to answer, in seconds, before it counts as one that does not."""
_POLL_S = 0.005
_LATER = "see that the replicas stream, and ask again"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What cluster.json says.

    waited_for: the replicas of which one has every commit that was acknowledged; empty where that cannot be said. promoting: who
    was chosen in a failover; None where none is under way, or nobody was chosen yet.
    """

    primary: str = FIRST
    is_synchronous: bool = False
    waited_for: tuple[str, ...] = ()
    is_failing_over: bool = False
    promoting: str | None = None


class PostgresCluster:
    """settings: of every node, but the port, which is the first node's. The rest is as for `Postgres`.

    Its methods take turns, and each can be called again after it failed or was killed. A copy may take long: to fail over from a
    primary that hangs, cancel the `add_replica` that waits for it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: PostgresSettings | None = None,
        source: Source = "auto",
        policy: RestartPolicy | None = None,
        on_change: Callable[[Change], None] | None = None,
        cache: Path = postgres_binaries.CACHE,
    ) -> None:
        self._folder = folder.absolute()
        self._settings = settings or PostgresSettings()
        self._source: Source = source
        self._policy = policy
        self._on_change = on_change
        self._cache = cache
        self._turn = asyncio.Lock()
        self._record = self._read_record()
        self._nodes = {name: self._make_node(name) for name in self._find_names()}

    def __repr__(self) -> str:
        return f"<PostgresCluster in {self._folder}: {self._record}, {', '.join(map(repr, self._nodes.values()))}>"

    @property
    def primary(self) -> PostgresNode:
        """Who serves writes, or did until a failover began."""
        return self._nodes[self._record.primary]

    @property
    def replicas(self) -> Mapping[str, PostgresNode]:
        """All others by name, whether they run or not."""
        return {name: node for name, node in self._nodes.items() if name != self._record.primary}

    @property
    def is_synchronous(self) -> bool:
        return self._record.is_synchronous

    def statistics(self) -> dict[str, dict[str, int | str | None]]:
        return {name: node.statistics() for name, node in self._nodes.items()}

    async def start(self, report: Report = postgres_copy.unreported) -> Mapping[str, Exception]:
        """Finish or undo a failover that was under way, start the primary and then its replicas, rejoin those that are fenced.

        Returns the replicas that did not start, and why. report: of a replica that is copied. Raises what kept the primary from
        starting, with those replicas running that can without it: one of them can be failed over to.
        """
        async with self._turn:
            try:
                await self._start_primary()
            except (EngineError, DatabaseError):
                await self._start_replicas(report, with_primary=False)
                raise
            failed = await self._start_replicas(report, with_primary=True)
            if self.replicas:
                await self._apply_synchronous()
            return failed

    def use_running(self) -> None:
        """As `Postgres.use_running`, for the primary and for the replicas that run: to connect to them."""
        self.primary.server.use_running()
        for node in self.replicas.values():
            with contextlib.suppress(EngineFailed):
                node.server.use_running()

    async def stop(self, mode: StopMode = StopMode.FAST) -> None:
        """The primary first: stopped in order, it waits until the replicas that stream have all of its log."""
        async with self._turn:
            for node in (self.primary, *self.replicas.values()):
                await node.server.stop(mode)

    async def detach(self) -> None:
        """Leave all running, for the next supervisor to adopt."""
        async with self._turn:
            for node in self._nodes.values():
                await node.server.detach()

    async def add_replica(self, name: str, report: Report = postgres_copy.unreported) -> PostgresNode:
        """Copy the primary and stream from it. One that is there is started; one that is half made is made anew.

        Raises EngineUnfit for a name that cannot be one, EngineFailed or DatabaseUnavailable where it could not be copied; then
        `remove_replica` cleans up, or the same call goes on.
        """
        if not _NAME.fullmatch(name):
            raise EngineUnfit(f"`{name}` cannot be the name of a replica", hint="lower case letters, digits and -, 40 at most")
        async with self._turn:
            if name == self._record.primary:
                raise EngineUnfit(f"`{name}` is the primary", hint="choose another name")
            node = self._nodes.setdefault(name, self._make_node(name))
            if not node.is_running:
                await node.join(self._upstream(name), report)
            await self._apply_synchronous()
            return node

    async def remove_replica(self, name: str) -> None:
        """Stop it, drop its slot, remove its data. Nothing happens if there is none.

        Raises DatabaseUnavailable where the primary does not answer, or commits wait for this one and no other has caught up.
        """
        async with self._turn:
            if name in self._nodes:
                node = self._replica(name)
                if not await self._apply_synchronous(without=name):
                    raise DatabaseUnavailable(f"no replica but `{name}` has caught up, and commits wait for one", hint=_LATER)
                await node.leave()
                del self._nodes[name]

    async def set_synchronous(self, is_synchronous: bool) -> None:
        """Whether a commit waits until one replica has it on disk. Kept over restarts and failovers.

        Then commits wait until there is one that streams. Where there is none but fenced ones, they do not wait. Raises
        DatabaseUnavailable where no replica has caught up with what was committed before: then it is set, and not yet sure.
        """
        async with self._turn:
            self._save(dataclasses.replace(self._record, is_synchronous=is_synchronous))
            if not await self._apply_synchronous():
                raise DatabaseUnavailable("no replica has caught up with the primary yet", hint=_LATER)

    async def fail_over(self, to: str | None = None) -> FailedOver:
        """Make a replica the primary, whether the old primary lives or not; `to`: which one, else that with the most log.

        Returns when it accepts writes and the other replicas follow it. A primary that lives is stopped in order, and nothing is
        lost. Raises FailoverRefused, with the old primary started again. The old primary is a replica once it is rejoined.
        """
        async with self._turn:
            if self._record.promoting is None:
                postgres_failover.check_candidates(await self._statuses(), to)  # before anything is interrupted
            return await self._fail_over(to)

    async def rejoin(self, name: str, report: Report = postgres_copy.unreported) -> Rejoined | None:
        """Make a node a replica of the primary, whatever its data are: an old primary, or a replica that lost the connection for
        too long. Returns what that took; None if it was copied because its data was not whole."""
        async with self._turn:
            node = self._replica(name)
            await node.server.fence(StopMode.FAST)
            await self._apply_synchronous(patience_s=0.0)  # nobody waits for it meanwhile
            await node.join(self._upstream(name), report)
            await self._apply_synchronous()
            return node.rejoined

    async def repoint(self) -> None:
        """Let all running replicas follow the primary to where it is. For when it was started again at another port."""
        async with self._turn:
            for name, node in self.replicas.items():
                if node.is_running and node.upstream != self._upstream(name):
                    await node.follow(self._upstream(name))

    async def statuses(self) -> Mapping[str, NodeStatus | None]:
        """Of all nodes; None for one that does not answer. The primary is asked first, as `replication.lag_of` wants it."""
        first = {self.primary.name: await _status(self.primary)}
        return {**first, **await self._statuses()}

    # Failing over

    async def _fail_over(self, wanted: str | None) -> FailedOver:
        self._save(dataclasses.replace(self._record, is_failing_over=True))
        nodes: Mapping[str, NodeStatus | None] = {}
        try:
            answer = await probe("127.0.0.1", self.primary.server.port, timeout_s=ANSWER_S)
            end = await self.primary.server.fence(StopMode.FAST if answer is Answer.ACCEPTS else StopMode.IMMEDIATE)
            if self._record.promoting is None:
                nodes = await self._settled()
                chosen = postgres_failover.choose_successor(nodes, wanted)
                self._save(dataclasses.replace(self._record, promoting=chosen))
        except BaseException:
            if self._record.promoting is None:
                await self._put_back()
            raise
        return await self._promote(end, nodes)

    async def _put_back(self) -> None:
        """Nobody was promoted: the primary is still the primary."""
        self.primary.server.lift_fence()
        self._save(dataclasses.replace(self._record, is_failing_over=False))
        await self.primary.start()

    async def _promote(self, end: LogEnd | None, nodes: Mapping[str, NodeStatus | None]) -> FailedOver:
        old, chosen = self.primary, self._nodes[self._record.promoting or ""]
        if not chosen.is_running:
            await chosen.start()
        waited_for = self._record.waited_for
        timeline = await chosen.promote()
        postgres_upstream.write_upstream(old.server.directory, Upstream(url=chosen.server.url(), name=old.name))
        self._save(Record(primary=chosen.name, is_synchronous=self._record.is_synchronous))
        for name, node in self.replicas.items():
            await node.follow(self._upstream(name))  # of the old one, that only keeps the log which it will need
        await self._apply_synchronous(patience_s=0.0)
        lost = None if end is None else await postgres_rejoin.lost_bytes(end, self._upstream(old.name))
        return FailedOver(
            primary=chosen.name,
            timeline=timeline,
            lost_bytes=lost,
            keeps_acknowledged=postgres_failover.keeps_acknowledged(
                lost, waited_for=waited_for, asked=[name for name, node in nodes.items() if node is not None]
            ),
        )

    async def _settled(self) -> Mapping[str, NodeStatus | None]:
        """The replicas, when none of them receives any more."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_S
        while True:
            nodes = await self._statuses()
            if loop.time() > deadline or not any(node is not None and node.is_streaming for node in nodes.values()):
                return nodes
            await asyncio.sleep(_POLL_S)

    async def _statuses(self) -> Mapping[str, NodeStatus | None]:
        replicas = self.replicas
        found = await asyncio.gather(*(_status(node) for node in replicas.values()))
        return dict(zip(replicas, found, strict=True))

    # Starting

    async def _start_primary(self) -> None:
        if self._record.promoting is not None:
            await self._fail_over(None)
        elif self._record.is_failing_over:
            await self._put_back()
        elif not self.primary.is_running:
            await self.primary.start()

    async def _start_replicas(self, report: Report, *, with_primary: bool) -> dict[str, Exception]:
        failed: dict[str, Exception] = {}
        for name, node in self.replicas.items():
            if node.is_running:
                continue
            try:
                if with_primary:
                    await node.join(self._upstream(name), report)
                elif node.server.data.exists() and not node.is_fenced:
                    await node.start()
            except (EngineError, DatabaseError) as error:
                failed[name] = error
        return failed

    async def _apply_synchronous(self, *, without: str = "", patience_s: float = SETTLE_S) -> bool:
        """Let commits wait for the replicas that there are now. False: not yet for sure, as none of them has all that was
        acknowledged before."""
        names = {name for name, node in self.replicas.items() if not node.is_fenced and name != without}
        if not self._record.is_synchronous or not names:
            self._save(dataclasses.replace(self._record, waited_for=()))
            await replication.set_synchronous(self.primary.address, ())
            return True
        known = set(self._record.waited_for)
        if known and known <= names:
            self._save(dataclasses.replace(self._record, waited_for=tuple(sorted(names))))
        await replication.set_synchronous(self.primary.address, names)
        if known and known <= names:
            return True
        if not await replication.wait_flushed(self.primary.address, names, deadline_s=patience_s):
            return False
        self._save(dataclasses.replace(self._record, waited_for=tuple(sorted(names))))
        return True

    def _replica(self, name: str) -> PostgresNode:
        if name == self._record.primary:
            raise EngineUnfit(f"`{name}` is the primary", hint="fail over to a replica first")
        if name not in self._nodes:
            raise EngineUnfit(f"there is no replica `{name}`, but {', '.join(sorted(self.replicas)) or 'none'}")
        return self._nodes[name]

    def _upstream(self, name: str) -> Upstream:
        return Upstream(url=self.primary.server.url(), name=name)

    # On disk

    def _make_node(self, name: str) -> PostgresNode:
        return PostgresNode(
            self._folder if name == FIRST else self._folder / "replicas" / name,
            name=name,
            passwords=self._folder / "passwords.json",
            settings=self._settings if name == FIRST else dataclasses.replace(self._settings, port=None),
            source=self._source,
            policy=self._policy,
            on_change=self._on_change,
            cache=self._cache,
        )

    def _find_names(self) -> list[str]:
        """The primary, and every directory that says of whom it is a replica, half made or not."""
        homes = {FIRST: self._folder, **{path.name: path for path in sorted((self._folder / "replicas").glob("*"))}}
        return [
            name
            for name, home in homes.items()
            if name in (self._record.primary, self._record.promoting) or postgres_upstream.read_upstream(home) is not None
        ]

    def _read_record(self) -> Record:
        path = self._folder / "cluster.json"
        try:
            content: Any = json.loads(path.read_bytes())
            return Record(
                primary=content["primary"],
                is_synchronous=content["is_synchronous"],
                waited_for=tuple(content["waited_for"]),
                is_failing_over=content["is_failing_over"],
                promoting=content["promoting"],
            )
        except FileNotFoundError:
            return Record()
        except (ValueError, TypeError, KeyError):
            raise EngineUnfit(
                "the file that names the primary is damaged", where=str(path), hint="restore it from a backup"
            ) from None

    def _save(self, record: Record) -> None:
        if record == self._record:
            return
        write_durably(self._folder / "cluster.json", json.dumps(dataclasses.asdict(record), indent=1).encode())
        self._record = record


async def _status(node: PostgresNode) -> NodeStatus | None:
    if not node.is_running:
        return None
    try:
        async with asyncio.timeout(ANSWER_S):
            return await node.status()
    except (DatabaseError, TimeoutError):
        return None
