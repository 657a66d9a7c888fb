"""The fence around what has one owner: `ramet_owner` and `ramet_schedules` in the module's own schema.

Who the owner is, the routing table says; but an instance may go on with an old table, because it was stopped (SIGSTOP) or cut
off. So the module's database has the last word, by three means:

    the epoch    `ramet_owner` has the newest that was taken. Taking an older one is refused, and a run whose epoch is not the
                 newest does not begin
    the lock     a run holds an advisory lock on a session of its instance, and the epoch is read under that lock. So the first
                 run of a new owner waits for the last run of the one before, and no other can begin after it
    its end      the server ends a session with such locks that was idle for longer than a run may take. So an owner that was
                 stopped in the middle of a run keeps the next one waiting for no longer than the deadline of its schedules

What an owner that is woken after that still tries to write is refused (`Fence.writes`): each write block of a run begins by
locking the row of its epoch, so it commits before the next owner takes over, or not at all. What it does elsewhere (a mail, a
call) is not covered; its deadline is over, so that is at most what it does until its next `await`.

The epoch grows over controllers: `reserve` raises it in the database before an owner is named, so no two of them ever name owners
with the same epoch. A module without a database has no fence: there the table alone decides.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from ramet.data import driver, errors, refusals
from ramet.data.address import Address
from ramet.data.claims import Fenced, current_claim
from ramet.data.database import Database
from ramet.data.entry import open_session
from ramet.data.queries import Blocks, Opened
from ramet.data.reads import Read
from ramet.data.transactions import Transaction
from ramet.wire.context import current

SCHEDULES = "schedules"
"""The role that is owned. Others get rows of their own."""
STATEMENT_S = 2.0
"""Time for a statement about ownership, in seconds."""
GRACE_S = 1.0
"""How long a session may be idle beyond the longest deadline, before the server ends it, in seconds."""

_TAKE = """\
INSERT INTO ramet_owner (role, epoch, instance) VALUES ($1, $2, $3)
ON CONFLICT (role) DO UPDATE SET epoch = EXCLUDED.epoch, instance = EXCLUDED.instance
WHERE ramet_owner.epoch < EXCLUDED.epoch
   OR (ramet_owner.epoch = EXCLUDED.epoch AND ramet_owner.instance IN ('', EXCLUDED.instance))
RETURNING epoch"""
_AGES = "SELECT schedule, extract(epoch FROM clock_timestamp() - began)::float8 FROM ramet_schedules"
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0)), set_config('idle_session_timeout', $2, false)"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"
_BEGIN = """\
INSERT INTO ramet_schedules (schedule, began)
SELECT $1, clock_timestamp() FROM ramet_owner WHERE role = $2 AND epoch = $3 AND instance = $4
ON CONFLICT (schedule) DO UPDATE SET began = EXCLUDED.began
RETURNING schedule"""
_RESERVE = """\
INSERT INTO ramet_owner (role, epoch, instance) VALUES ($1, 1, '')
ON CONFLICT (role) DO UPDATE SET epoch = ramet_owner.epoch + 1, instance = ''
RETURNING epoch"""


async def reserve(address: Address, *, connect_s: float = 10.0) -> int:
    """Raise the module's epoch and return it: whoever owned its schedules does no more. Raises a DatabaseError."""
    try:
        connection = await open_session(address, connect_s=connect_s)
    except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
        raise errors.DatabaseUnavailable(f"cannot connect to {address}: {error or 'no answer'}") from error
    try:
        return await connection.fetchval(_RESERVE, SCHEDULES)
    except (driver.PostgresError, driver.InterfaceError, OSError) as error:
        raise refusals.ours(error) from error
    finally:
        await connection.close(timeout=connect_s)


class Fence:
    """One instance's side of it, for one module. longest_s: the longest deadline of its schedules. sessions: for the pool of the
    module's home the one whose sessions stay, which is itself unless a pooler is between.

    All runs of the module in this instance share one session, which is taken with the first and given back with the last.
    """

    def __init__(
        self,
        database: Database,
        module: str,
        instance: str,
        *,
        longest_s: float,
        sessions: Callable[[Blocks], Blocks] = lambda pool: pool,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._module = module
        self._instance = instance
        self._idle_ms = str(round((longest_s + GRACE_S) * 1000))
        self._session: Any = None
        self._pool: Any = None
        self._held: set[str] = set()
        self._turn = asyncio.Lock()

    @property
    def _opened(self) -> Opened:
        """Its home is where the owner's row is. Read at the primary: a replica may not know the owner yet."""
        return self._database.opened._replace(reader=None)

    def __repr__(self) -> str:
        return f"<Fence of {self._module} in {self._instance}: {', '.join(sorted(self._held)) or 'no'} runs>"

    async def take(self, epoch: int) -> Mapping[str, float]:
        """Become the owner. Returns each schedule's age: seconds since its last run began, wherever that was.

        Safe to repeat. Raises OwnershipOver where a newer epoch was taken, or this one by another instance; a DatabaseError or
        StatementDeadline where that is not known.
        """
        with _soon():
            if await self._write(_TAKE, SCHEDULES, epoch, self._instance) is None:
                raise self._over(epoch)
            return {row[0]: row[1] for row in await Read(self._opened).fetch(_AGES)}

    async def begin(self, schedule: str, epoch: int) -> bool:
        """Begin a run, which `end` ends. False, and nothing begun, while another owner's run is in hand.

        Raises OwnershipOver where the epoch is not the newest; a DatabaseError or StatementDeadline where that is not known. Then
        the run has not begun.
        """
        if not await self._lock(schedule):
            return False
        begun = None
        try:
            with _soon():
                begun = await self._write(_BEGIN, schedule, SCHEDULES, epoch, self._instance)
        finally:
            if begun is None:
                await self.end(schedule)
        if begun is None:
            raise self._over(epoch)
        return True

    @contextmanager
    def writes(self, epoch: int) -> Generator[None]:
        """The module's write blocks inside of this are refused once the epoch is over. They raise OwnershipOver."""
        outer = current_claim.set(Fenced(self._opened.pool, SCHEDULES, epoch, self._instance, self._idle_ms))
        try:
            yield
        finally:
            current_claim.reset(outer)

    async def end(self, schedule: str) -> None:
        """Let the next run begin. Never raises an error of the database: a session that cannot unlock is reset or closed, which
        does it."""
        async with self._turn:
            if schedule not in self._held:
                return  # its session was lost meanwhile, and the lock with it
            self._held.discard(schedule)
            try:
                await self._ask(_UNLOCK, self._key(schedule))
            except (errors.DatabaseError, errors.StatementDeadline):
                return
            if not self._held:
                self._give_back()

    async def _lock(self, schedule: str) -> bool:
        async with self._turn:
            if self._session is None:
                with _soon():
                    self._pool = pool = self._sessions(self._opened.pool)
                    self._session = pool.take() or await pool.wait_connection()
            row = await self._ask(_LOCK, self._key(schedule), self._idle_ms)
            if row[0]:
                self._held.add(schedule)
            elif not self._held:
                self._give_back()
            return bool(row[0])

    async def _ask(self, query: str, *args: Any) -> Any:
        """A statement in the session of the locks. If it fails, the session is given up, with all that it holds."""
        try:
            with _soon():
                rows = await self._session.rows(query, args, 1)
        except BaseException:
            self._held.clear()
            self._give_back()
            raise
        return rows[0]

    def _give_back(self) -> None:
        """The pool resets it, or closes it; either way its locks end."""
        session, self._session = self._session, None
        session.left()
        self._pool.give(session)

    async def _write(self, query: str, *args: Any) -> Any:
        return await Transaction(self._opened, self._opened.begin_write[None]).fetchval(query, *args)

    def _key(self, schedule: str) -> str:
        return f"ramet {SCHEDULES} {self._module}.{schedule}"

    def _over(self, epoch: int) -> errors.OwnershipOver:
        return errors.OwnershipOver(
            f"{self._instance} does not own the schedules of `{self._module}`: epoch {epoch} is over, another one was taken",
            hint="nothing: the owner's instance runs them. `ramet status` names it",
        )


@contextmanager
def _soon() -> Generator[None]:
    """Statements about ownership have their own time, and not what a run has left; nor its fence."""
    outer = current.get()
    fence = current_claim.set(None)
    current.set(outer.derive(deadline=time.monotonic() + STATEMENT_S, budget_s=STATEMENT_S))
    try:
        yield
    finally:
        current.set(outer)
        current_claim.reset(fence)
