"""The connections of one module to its database.

Last in, first out: the connection used last is the warmest, and the ones at the bottom get old and are closed. A clean
connection goes from hand to hand without a round trip; a flawed one (see `connection`) is mended by a task of the pool, out
of the way of whoever gave it back. Taking one needs no `await` while one is free:

    closed ──connect──> idle ──take──> busy ──give──> idle, or straight to the oldest waiter
                          ^              └──give, flawed──> mending ──┐
                          └───────────────────────────────────────────┴──beyond it──> closed, and a new one if somebody waits

All connections are to one server, which `entry` finds. A connection that is lost, and one whose server has another role now,
make it look again; when that ends at another server, those to the old one are closed as they come back.

Whoever finds none free waits in a bounded queue, for at most the checkout timeout or until its deadline, and is then told who
holds them. Everything here belongs to one event loop.
"""

import asyncio
import contextlib
import os
import random
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ramet.data import connection as connections
from ramet.data import driver, errors, refusals
from ramet.data.address import Address
from ramet.data.connection import Connection, Texts, monotonic
from ramet.data.deadlines import Alarm, task_reader
from ramet.data.entry import Entry
from ramet.data.hosts import Role
from ramet.data.insight.collecting import QueryLog
from ramet.errors import ConfigError
from ramet.observe.record import Recorder
from ramet.wire.context import current


def default_max() -> int:
    """Four times the cores. Measured: throughput is flat from 3 to 5 times the server's cores, and half of it at 32 times."""
    return 4 * (os.cpu_count() or 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    min_connections: int = 1
    """Kept open, and opened before the pool is ready: a wrong password shows at the start."""
    max_connections: int = 0
    """0: four times the cores. Every instance counts against the server's own limit, see `budget`."""
    checkout_s: float = 5.0
    """How long to wait for a free connection, in seconds, if the deadline is not nearer. As long as a call may take."""
    max_waiting: int = 1000
    """Tasks that may wait for a connection; further ones are refused at once. At 1 ms a statement they wait for a second or
    less."""
    connect_s: float = 10.0
    """Time to connect and log in, in seconds."""
    failover_s: float = 3.0
    """How long to look for a server of the wanted role among several hosts, in seconds. Less than a checkout, so that who waits
    is told what the hosts said."""
    role_check_s: float = 1.0
    """How often idle connections are looked at for a server that has changed its role, in seconds; with several hosts. It costs
    no round trip."""
    ask_hosts_s: float = 10.0
    """How often all of several hosts are asked for a newer primary, in seconds: a connection to each. For a switchover that
    leaves the old primary running."""
    lifetime_s: float = 3600.0
    """Age at which a connection is replaced, in seconds, spread by a tenth. An hour: server memory of old sessions, moved
    addresses."""
    idle_s: float = 300.0
    """Idle time after which a connection above the minimum is closed, in seconds."""
    check_after_s: float = 30.0
    """Idle time after which a connection is tried before it is given out, in seconds. Below the least common NAT timeout of a
    minute."""
    mend_s: float = 5.0
    """Time for a cancelled statement to stop and a session to be reset, in seconds; then the connection is closed."""

    def __post_init__(self) -> None:
        if self.max_connections == 0:
            object.__setattr__(self, "max_connections", default_max())
        if not 0 <= self.min_connections <= self.max_connections:
            raise ConfigError(f"a pool of {self.min_connections} to {self.max_connections} connections cannot be")


def connects_wanted(*, waiting: int, connecting: int, total: int, limits: Limits) -> int:
    """How many more connections to open: one for each that waits, and no more than may be open. `total` counts those being
    opened."""
    return max(0, min(waiting - connecting, limits.max_connections - total))


def flaws_of_age(*, now: float, opened_at: float, used_at: float, spread: float, surplus: bool, limits: Limits) -> int:
    """What an idle connection has become with time. spread: 0 to 1, so that those opened together do not end together."""
    if now - opened_at > limits.lifetime_s * (1 - 0.1 * spread) or (surplus and now - used_at > limits.idle_s):
        return connections.RETIRED
    return connections.STALE if now - used_at > limits.check_after_s else 0


class Pool:
    """queries: where its statements are counted. role: what the server is to be. tracked: the name under which writers note
    positions, see `replicas`. open_connection: how to get one; tests put their own."""

    def __init__(
        self,
        address: Address,
        *,
        module: str,
        limits: Limits | None = None,
        recorder: Recorder | None = None,
        queries: QueryLog | None = None,
        role: Role = Role.ANY,
        tracked: str = "",
        open_connection: Callable[[], Coroutine[Any, Any, driver.Driver]] | None = None,
    ) -> None:
        self.address = address
        self.module = module
        self.limits = limits or Limits()
        self.recorder = recorder or Recorder()
        self.all: set[Connection] = set()
        self.reroutes = False
        self.tracked = tracked
        self.queries = queries or QueryLog(module)
        self.texts = Texts(self.recorder, module, self.queries)
        self.current_task: Callable[[], asyncio.Task[Any] | None] = asyncio.current_task
        self.entry = Entry(
            address,
            module=module,
            role=role,
            connect_s=self.limits.connect_s,
            failover_s=self.limits.failover_s,
            on_moved=self._moved,
        )
        self._open_connection = open_connection or self.entry.connect
        self._alarm = Alarm(self.all)
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting = 0
        self._is_open = False
        self._emptied: asyncio.Event | None = None
        self._upkeep: asyncio.TimerHandle | None = None
        self._asked_at = monotonic()
        self._counts = {"opened": 0, "discarded": 0, "mended": 0, "waited": 0, "timed_out": 0, "refused": 0, "moved": 0}

    def __repr__(self) -> str:
        s = self.statistics()
        state = "" if self._is_open else ", closed"
        return (
            f"<Pool {self.module}: {s['busy']} of {s['max']} connections busy, {s['idle']} idle, {s['waiting']} waiting{state}>"
        )

    def statistics(self) -> dict[str, int]:
        """Counts. open: connections now; busy: in somebody's hands, or being mended; the rest since the start."""
        return {
            "max": self.limits.max_connections,
            "open": len(self.all),
            "idle": len(self._idle),
            "busy": len(self.all) - len(self._idle),
            "waiting": len(self._waiters),
            "connecting": self._connecting,
            **self._counts,
        }

    async def open(self, *, is_required: bool = True) -> None:
        """Connect the minimum. Raises DatabaseUnavailable, PoolerUnfit or InsufficientPrivilege; then nothing is left open. Where
        it is not required, as a replica is not, it connects when somebody asks."""
        self._is_open = True
        self.current_task = task_reader()
        try:
            for _ in range(self.limits.min_connections if is_required else 0):
                self._idle.append(await self._new())
        except BaseException:
            await self.close(drain_s=0)
            raise
        self._schedule_upkeep()

    async def close(self, *, drain_s: float = 5.0) -> None:
        """Refuse new work, wait for what is under way, at most `drain_s` seconds, and close. Safe to call twice."""
        self._is_open = False
        if self._upkeep is not None:
            self._upkeep.cancel()
        while self._waiters:
            self._answer(self._waiters.popleft(), self._closed())
        while self._idle:
            self._discard(self._idle.pop())
        if self.all and drain_s > 0:
            self._emptied = asyncio.Event()
            with contextlib.suppress(TimeoutError):  # what is still under way is cut off below, and its tasks are told
                await asyncio.wait_for(self._emptied.wait(), drain_s)
        for each in list(self.all):
            each.driver.terminate()
            self._forget(each)
        self._alarm.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.entry.close()
        await asyncio.sleep(0)  # transports are closed by the loop's next turn

    # ---- the hot path: neither of these two waits

    def take(self) -> Connection | None:
        """A clean connection that is free, or None: then await `wait_connection`."""
        idle = self._idle
        while idle:
            taken = idle.pop()
            if not taken.flaws:
                return taken
            self._spawn(self._mend(taken))
        return None

    def give(self, connection: Connection) -> None:
        """Take it back, in whatever state. held_since and may_have_run are the block's to undo."""
        if connection.flaws or self._waiters or not self._is_open:
            self._give_slowly(connection)
        else:
            self._idle.append(connection)

    # ---- the rest

    async def wait_connection(self) -> Connection:
        """Raises PoolExhausted, or DatabaseUnavailable if none can be opened."""
        if not self._is_open:
            raise self._closed()
        if len(self._waiters) >= self.limits.max_waiting:
            self._counts["refused"] += 1
            raise self._exhausted(f"{self.limits.max_waiting} tasks wait already")
        left_s = current.get().deadline - monotonic()
        timeout_s = min(self.limits.checkout_s, left_s)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Connection] = loop.create_future()
        self._waiters.append(future)
        self._counts["waited"] += 1
        self._grow()
        timer = loop.call_later(max(timeout_s, 0), self._expire, future, timeout_s, left_s <= self.limits.checkout_s)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give(future.result())
            raise
        finally:
            timer.cancel()
            if future in self._waiters:
                self._waiters.remove(future)

    def _expire(self, future: "asyncio.Future[Connection]", waited_s: float, is_deadline: bool) -> None:
        if future.done():
            return
        self._counts["timed_out"] += 1
        if is_deadline:
            future.set_exception(
                errors.StatementDeadline(
                    f"the deadline passed while waiting for a connection; {self._holders()}", may_have_run=False
                )
            )
        else:
            future.set_exception(self._exhausted(f"none was free for {waited_s:g} s"))

    def _exhausted(self, why: str) -> errors.PoolExhausted:
        return errors.PoolExhausted(
            f"no connection to the database of `{self.module}`: {why}; {self._holders()}",
            hint="end blocks before awaiting anything else; then raise max_connections, if the server has room",
        )

    def _holders(self) -> str:
        busy = [each for each in self.all if each not in self._idle]
        if not busy:
            return f"{self._connecting} are being opened"
        shown = sorted((each.holder() for each in busy), reverse=True)[:8]
        return f"{len(busy)} of {self.limits.max_connections} are held: {'; '.join(shown)}"

    def _closed(self) -> errors.DatabaseUnavailable:
        return errors.DatabaseUnavailable(f"the pool of `{self.module}` is closed")

    def _give_slowly(self, connection: Connection) -> None:
        if not self._is_open or connection.flaws & connections.UNUSABLE:
            self._discard(connection)
            self._grow()
        elif connection.flaws:
            self._spawn(self._mend(connection))
        else:
            self._hand_on(connection)

    def _hand_on(self, connection: Connection) -> None:
        while self._waiters:
            if self._answer(self._waiters.popleft(), connection):
                return
        self._idle.append(connection)

    @staticmethod
    def _answer(future: "asyncio.Future[Connection]", answer: Connection | Exception) -> bool:
        if future.done():
            return False
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return True

    def _grow(self) -> None:
        if not self._is_open:
            return
        total = len(self.all) + self._connecting
        for _ in range(connects_wanted(waiting=len(self._waiters), connecting=self._connecting, total=total, limits=self.limits)):
            self._connecting += 1
            self._spawn(self._add())

    async def _add(self) -> None:
        try:
            made = await self._new()
        except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer to whoever waits for this connection)
            self._connecting -= 1
            while self._waiters and not self._answer(self._waiters.popleft(), error):
                pass
            self._grow()
        except BaseException:
            self._connecting -= 1
            raise
        else:
            self._connecting -= 1
            self._give_slowly(made)

    async def _new(self) -> Connection:
        try:
            opened = await self._open_connection()
        except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError, driver.InternalClientError) as error:
            raise self._cannot_connect(error) from error
        made = Connection(opened, self._alarm, self.texts, self.recorder.finish)
        opened.add_termination_listener(lambda _: self._ended(made))
        self.all.add(made)
        self._counts["opened"] += 1
        return made

    def _cannot_connect(self, error: BaseException) -> errors.DatabaseError:
        text = str(error) or f"no answer within {self.limits.connect_s:g} s"
        known = refusals.ours(error)
        return errors.DatabaseUnavailable(
            f"cannot connect `{self.module}` to {self.address}: {text}",
            sqlstate=known.sqlstate if isinstance(known, errors.DatabaseError) else "",
            hint="is the server running, and is the role provisioned?",
        )

    async def _mend(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(self.limits.mend_s):
                await connection.mend()
        except Exception:  # noqa: BLE001  (whatever is wrong with it, the remedy is the same: a new one)
            self._discard(connection)
            self._grow()
        except BaseException:
            self._discard(connection)
            raise
        else:
            self._counts["mended"] += 1
            self.give(connection)

    def _discard(self, connection: Connection) -> None:
        """Close it at once, with a goodbye that waits for no answer."""
        if connection not in self.all:
            return
        self._counts["discarded"] += 1
        connection.driver.terminate()
        self._forget(connection)

    def _ended(self, connection: Connection) -> None:
        """The server, or the network, has closed it."""
        connection.flaws |= connections.LOST
        if connection.driver.host == self.entry.host:
            self.entry.doubt()
        if connection in self._idle:
            self._idle.remove(connection)
            self._discard(connection)

    def _forget(self, connection: Connection) -> None:
        self.all.discard(connection)
        if not self.all and self._emptied is not None:
            self._emptied.set()

    def _moved(self, host: str) -> None:
        """All connections belong to this host now. Those that somebody holds end when they come back."""
        old = [each for each in self.all if each.driver.host != host]
        self._counts["moved"] += bool(old)
        for connection in old:
            connection.flaws |= connections.RETIRED
            if connection in self._idle:
                self._idle.remove(connection)
                self._discard(connection)

    def _check_roles(self, now: float) -> None:
        for connection in [each for each in self._idle if self.entry.is_misplaced(each.driver)]:
            self.entry.doubt()
            self._idle.remove(connection)
            self._discard(connection)
        if now - self._asked_at > self.limits.ask_hosts_s:
            self._asked_at = now
            self._spawn(self._ask_hosts())

    async def _ask_hosts(self) -> None:
        await self.entry.locate()

    def _schedule_upkeep(self) -> None:
        limits = self.limits
        every_s = min(limits.check_after_s, limits.idle_s, limits.lifetime_s) / 4
        if self.entry.is_several:
            every_s = min(every_s, limits.role_check_s)
        self._upkeep = asyncio.get_running_loop().call_later(every_s, self._keep_up)

    def _keep_up(self) -> None:
        now = monotonic()
        self.age(now)
        if self.entry.is_several:
            self._check_roles(now)
        self._schedule_upkeep()

    def age(self, now: float) -> None:
        """Mark what has become old by `now`, and close what is not wanted any more."""
        surplus = len(self.all) - self.limits.min_connections
        for connection in list(self._idle):
            flaw = flaws_of_age(
                now=now,
                opened_at=connection.opened_at,
                used_at=connection.used_at,
                spread=random.Random(id(connection)).random(),  # noqa: S311  (spreads ages, guards nothing)
                surplus=surplus > 0,
                limits=self.limits,
            )
            connection.flaws |= flaw
            if flaw == connections.RETIRED:
                surplus -= 1
                self._idle.remove(connection)
                self._discard(connection)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
