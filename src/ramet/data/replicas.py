"""Reading at replicas: which one has seen what this request has seen.

A request carries a causal token, positions in the logs of servers (`ramet.wire.context.Causal`): a write notes where the log is
after its commit, a call and an HTTP response hand it on. A replica may be read when it has replayed up to the request's position.
That is checked before the read, in a round trip of its own, never in the statement that reads: there the snapshot is older than
the check. A replica's position only grows, so one that was high enough once needs no asking.

    a replica is known to be there        read it; of several the one that is the trace's own, so that what a request reads does
                                          not go back in time, or outside of a trace the less busy of two by chance
    none is known to be                   ask one, and ask again, for 20 ms
    still none, or all late or gone       the primary; so many at once, so that it is not run over by those who missed a replica

Positions of another timeline of the same server, before a failover, cannot be compared: such a request reads the primary.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import Any

from ramet.data import errors
from ramet.data.pool import Pool
from ramet.observe import names
from ramet.wire.context import BEYOND, current

WAIT_S = 0.02
"""How long a read waits for a replica, in seconds."""
AGAIN_S = 0.001
WATCH_S = 0.5
"""How often each replica is asked how late it is."""
MAX_LAG_S = 5.0
"""A replica that is later than this is not read, until it has caught up to half of it."""
SMOOTHING = 0.2

_REPLAYED = "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint"
_STATE = """\
SELECT (coalesce(pg_last_wal_replay_lsn(), '0/0') - '0/0')::bigint, pg_is_in_recovery(),
       CASE WHEN pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
            ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0) END::float8,
       EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL)"""
"""Position, whether it is a replica, seconds behind, whether it receives: of the receiver a module's role sees no more than that
it runs. Nothing to replay is no lag, however old the last transaction is."""
_LOST = (errors.DatabaseUnavailable, errors.TransactionConflict, errors.PoolExhausted)
_UNDEFINED = ("42P01", "42703", "42883")
"""A table, column or function that a migration has made, and the replica has not replayed yet."""


class Replica:
    """One server that is read. position: replayed at least so far. is_in: whether it is to be read at all."""

    def __init__(self, name: str, pool: Pool) -> None:
        self.name = name
        self.pool = pool
        self.position = 0
        self.lag_s = 0.0
        self.is_in = False
        self.in_flight = 0
        self.latency_s = 0.001
        self._asking: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        state = f"{self.lag_s:.1f} s behind" if self.is_in else "out"
        return f"<Replica {self.name}: {state}, {self.in_flight} in flight>"

    @property
    def cost(self) -> float:
        return (self.in_flight + 1) * self.latency_s

    async def ask(self) -> None:
        """Learn its position; those who ask at the same time share one answer. Raises a DatabaseError."""
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
            self._asking.add_done_callback(self._asked)
        await asyncio.shield(self._asking)

    def _asked(self, task: asyncio.Future[None]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # whoever asked has it

    async def _ask(self) -> None:
        (row,) = await self.rows(_REPLAYED, (), 1)
        self.position = max(self.position, row[0] or 0)

    async def look(self) -> None:
        """Whether it is to be read."""
        try:
            async with asyncio.timeout(WATCH_S * 4):
                (row,) = await self.rows(_STATE, (), 1)
        except (errors.DatabaseError, errors.StatementDeadline, TimeoutError):
            self.is_in = False
            return
        self.position, is_replica, self.lag_s, is_streaming = max(self.position, row[0]), row[1], row[2], row[3]
        limit_s = MAX_LAG_S if self.is_in else MAX_LAG_S / 2
        self.is_in = is_replica and is_streaming and self.lag_s <= limit_s

    async def rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        connection = self.pool.take() or await self.pool.wait_connection()
        began = time.monotonic()
        self.in_flight += 1
        try:
            return await connection.rows(query, args, limit)
        finally:
            self.in_flight -= 1
            self.latency_s += SMOOTHING * (time.monotonic() - began - self.latency_s)
            connection.left()
            self.pool.give(connection)


class Reader:
    """The replicas of one shard. server, timeline: of the primary, by which positions are noted."""

    def __init__(self, primary: Pool, server: str, timeline: int, replicas: Sequence[Replica]) -> None:
        self.primary = primary
        self.replicas = list(replicas)
        self._server = f"{server}."
        self._name = name_of(server, timeline)
        self._missed = asyncio.Semaphore(max(primary.limits.max_connections // 2, 1))
        self._watch: asyncio.Task[None] | None = None
        count = primary.recorder.counter
        self.at_replica = count(names.READS, module=primary.module, at="replica")
        self.at_primary = count(names.READS, module=primary.module, at="primary")
        self.waited = count(names.READ_WAITS, module=primary.module)

    def __repr__(self) -> str:
        return f"<Reader of {self._name}: {self.replicas}>"

    async def open(self) -> None:
        """Returns when it is known of each replica whether it is to be read."""
        await asyncio.gather(*(each.look() for each in self.replicas))
        self._watch = asyncio.create_task(self._keep_looking(), name=f"replicas of {self._name}")

    async def close(self, *, drain_s: float = 5.0) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.gather(*(each.pool.close(drain_s=drain_s) for each in self.replicas))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            await asyncio.gather(*(each.look() for each in self.replicas))

    async def choose(self) -> Replica | None:
        """A replica that has seen what this request has; None for the primary."""
        context = current.get()
        causal = context.seen
        needed = 0
        if causal is not None:
            needed = causal.positions.get(self._name, 0)
            if needed == BEYOND or any(name.startswith(self._server) and name != self._name for name in causal.positions):
                return None
        there = [each for each in self.replicas if each.is_in]
        if not there:
            return None
        own = there[context.trace_id[-1] % len(there)] if context.trace_id else None
        fresh = [each for each in there if each.position >= needed]
        if not fresh:
            chosen = own or _less_busy(there)
            return chosen if await self._reaches(chosen, needed) else None
        return own if own is not None and own in fresh else _less_busy(fresh)

    async def _reaches(self, replica: Replica, needed: int) -> bool:
        """Within 20 ms, by asking again and again."""
        self.waited.value += 1
        until = time.monotonic() + WAIT_S
        with contextlib.suppress(errors.DatabaseError, errors.StatementDeadline):
            while True:
                await replica.ask()
                if replica.position >= needed:
                    return True
                if time.monotonic() >= until:
                    return False
                await asyncio.sleep(AGAIN_S)
        replica.is_in = False
        return False

    async def rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        """One statement that reads. At the primary where a replica cannot be read, or fails on its own account."""
        chosen = await self.choose()
        if chosen is not None:
            try:
                rows = await chosen.rows(query, args, limit)
            except errors.DatabaseError as error:
                if isinstance(error, errors.DatabaseUnavailable):
                    chosen.is_in = False
                elif not isinstance(error, _LOST) and error.sqlstate not in _UNDEFINED:
                    raise
            else:
                self.at_replica.value += 1
                return rows
        self.at_primary.value += 1
        async with self._missed:
            connection = self.primary.take() or await self.primary.wait_connection()
            try:
                return await connection.rows(query, args, limit)
            finally:
                connection.left()
                self.primary.give(connection)

    async def pool(self) -> Any:
        """For a block of one snapshot: the pool that it is begun at."""
        chosen = await self.choose()
        if chosen is None:
            self.at_primary.value += 1
            return self.primary
        self.at_replica.value += 1
        return chosen.pool


def name_of(server: str, timeline: int) -> str:
    """Under which positions are noted."""
    return f"{server}.{timeline}"


def _less_busy(replicas: Sequence[Replica]) -> Replica:
    """The less busy of two by chance. Source: Mitzenmacher, The Power of Two Choices, 2001."""
    if len(replicas) == 1:
        return replicas[0]
    return min(random.sample(list(replicas), 2), key=lambda each: each.cost)
