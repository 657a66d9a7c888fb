"""The control schema, `ramet`: who may change the running system, what it is, and the journal of every plan.

    ramet.lease      one row: who holds it, with a fencing number that grows with each holder, and until when
    ramet.system     one row: the running system as its controller last wrote it down
    ramet.plans      each plan with its steps
    ramet.journal    what happened to each step of each plan, in order

Every write names the fencing number of its writer, in the same statement: a controller that has lost the lease, and does not know
it yet, cannot write, and so does not act. The row of the lease is locked for as long as the statement runs.

Only the controller's own role, which is no module's, can see the schema.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ramet.data import driver, refusals
from ramet.data.address import Address
from ramet.data.driver import Driver
from ramet.data.entry import open_session
from ramet.data.errors import DatabaseUnavailable, ReadOnly
from ramet.errors import JournalUnreadable, PlanBusy

FORMAT = 1
"""Of the tables and of what is in them. A controller refuses those of a later one."""
LEASE_S = 15.0
"""How long a lease holds without being renewed: two renewals may fail. A holder that is known to be dead is not waited for."""
PATIENCE_S = 30.0
"""How long a statement is tried again while the server is away, as it is when it starts again."""
STATEMENT_S = 5.0
"""How long one statement may take: all are small. A server that is silent for longer is asked anew, maybe at another node."""
_AGAIN_S = 0.1
_REFUSALS = (driver.PostgresError, driver.InterfaceError, driver.InternalClientError, OSError, DatabaseUnavailable)
_LOCK = 0x72616D65_74000003

_TABLES = """
CREATE SCHEMA IF NOT EXISTS ramet;
CREATE TABLE IF NOT EXISTS ramet.format (one boolean PRIMARY KEY DEFAULT true CHECK (one), version int NOT NULL);
CREATE TABLE IF NOT EXISTS ramet.lease (one boolean PRIMARY KEY DEFAULT true CHECK (one), holder text NOT NULL,
    fence bigint NOT NULL, until timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS ramet.system (one boolean PRIMARY KEY DEFAULT true CHECK (one), body bytea NOT NULL,
    fence bigint NOT NULL);
CREATE TABLE IF NOT EXISTS ramet.plans (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text UNIQUE, title text NOT NULL,
    body bytea NOT NULL, state text NOT NULL, why text NOT NULL DEFAULT '',
    began timestamptz NOT NULL DEFAULT clock_timestamp(), ended timestamptz);
CREATE TABLE IF NOT EXISTS ramet.journal (plan bigint NOT NULL REFERENCES ramet.plans, entry int NOT NULL, step int NOT NULL,
    event text NOT NULL, detail text NOT NULL DEFAULT '', fence bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (plan, entry));
"""


_PLAN = (
    "SELECT id, title, body, state, why, extract(epoch FROM began)::float8, extract(epoch FROM ended)::float8 FROM ramet.plans"
)


class PlanRow(NamedTuple):
    """body: the plan as it was encoded. state: running, paused, undoing, done, undone or stuck. began, ended: seconds
    since the epoch; ended is None for one that has not."""

    id: int
    title: str
    body: bytes
    state: str
    why: str
    began: float
    ended: float | None


class Entry(NamedTuple):
    """entry: its number in its plan. step: which step, from 0; -1 for the plan as a whole. event: begun, done, failed, ..."""

    entry: int
    step: int
    event: str
    detail: str
    at: float


@dataclass(frozen=True, slots=True)
class Lease:
    holder: str
    fence: int


class ControlSchema:
    """One connection for its controller. address: where the primary is now. is_alive: whether the holder of a lease may
    still live; False where it is known dead."""

    def __init__(self, address: Callable[[], Address], *, holder: str, is_alive: Callable[[str], bool]) -> None:
        self._where = address
        self._holder = holder
        self._is_alive = is_alive
        self._connection: Driver | None = None
        self._held_until = 0.0
        self._one = asyncio.Lock()
        self.lease: Lease | None = None

    @property
    def _address(self) -> Address:
        return self._where()

    def __repr__(self) -> str:
        return f"<ControlSchema at {self._address}: {self.lease or 'no lease'}>"

    # Opening

    async def open(self) -> None:
        """Make what is missing, and take the lease. Raises DatabaseUnavailable, JournalUnreadable, PlanBusy."""
        connection = await self._connected()
        try:
            await connection.execute("BEGIN")
            await connection.fetchval("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(_TABLES)
            await connection.fetchval("INSERT INTO ramet.format (version) VALUES ($1) ON CONFLICT DO NOTHING", FORMAT)
            version: int = await connection.fetchval("SELECT version FROM ramet.format")
            await connection.execute("COMMIT")
        except (driver.PostgresError, driver.InterfaceError, OSError) as error:
            raise refusals.ours(error) from error
        if version > FORMAT:
            await self.close()
            raise JournalUnreadable(
                f"the journal in {self._address} is of format {version}, this Ramet reads up to {FORMAT}",
                hint="nothing was changed; use the newer version of Ramet",
            )
        await self._take_lease()

    async def _take_lease(self) -> None:
        found = await self._fetch("SELECT holder, until > now() FROM ramet.lease")
        if found:
            holder, holds = found[0]
            if holds and holder != self._holder and self._is_alive(holder):
                raise PlanBusy(f"the controller {holder} holds the lease", hint="ramet status")
        taken = await self._fetch(
            "INSERT INTO ramet.lease (holder, fence, until) VALUES ($1, 1, now() + make_interval(secs => $2))"
            " ON CONFLICT (one) DO UPDATE SET holder = $1, fence = ramet.lease.fence + 1,"
            " until = now() + make_interval(secs => $2) RETURNING fence",
            self._holder,
            LEASE_S,
        )
        self.lease = Lease(self._holder, int(taken[0][0]))
        self._held_until = time.monotonic() + LEASE_S - STATEMENT_S

    @property
    def holds(self) -> bool:
        """Whether the lease cannot be another's: for when its own server is silent."""
        return self.lease is not None and time.monotonic() < self._held_until

    async def renew(self) -> None:
        """Raises PlanBusy where another controller has taken it."""
        asked = time.monotonic()
        await self._fenced(
            "UPDATE ramet.lease SET until = now() + make_interval(secs => $2) WHERE fence = $1 RETURNING 1", LEASE_S
        )
        self._held_until = asked + LEASE_S

    async def give_up(self) -> None:
        """So that the next one need not wait."""
        if self.lease is not None:
            await self._fetch("UPDATE ramet.lease SET until = now() WHERE fence = $1", self.lease.fence)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=5.0)
            self._connection = None

    # The system

    async def save_system(self, body: bytes) -> None:
        await self._fenced(
            "WITH mine AS (SELECT fence FROM ramet.lease WHERE fence = $1 FOR SHARE)"
            " INSERT INTO ramet.system (body, fence) SELECT $2, fence FROM mine"
            " ON CONFLICT (one) DO UPDATE SET body = $2, fence = $1 RETURNING 1",
            body,
        )

    async def load_system(self) -> bytes | None:
        rows = await self._fetch("SELECT body FROM ramet.system")
        return bytes(rows[0][0]) if rows else None

    # Plans

    async def add_plan(self, key: str, title: str, body: bytes) -> int:
        """key: of the caller's making, so that one that is added again after a lost reply is the same."""
        rows = await self._fenced(
            "WITH mine AS (SELECT fence FROM ramet.lease WHERE fence = $1 FOR SHARE)"
            " INSERT INTO ramet.plans (key, title, body, state) SELECT $2, $3, $4, 'running' FROM mine"
            " ON CONFLICT (key) DO UPDATE SET title = $3 RETURNING id",
            key,
            title,
            body,
        )
        return int(rows[0][0])

    async def mark(self, plan: int, state: str, why: str = "") -> None:
        await self._fenced(
            "WITH mine AS (SELECT fence FROM ramet.lease WHERE fence = $1 FOR SHARE)"
            " UPDATE ramet.plans SET state = $3, why = $4,"
            " ended = CASE WHEN $3 IN ('done', 'undone') THEN clock_timestamp() END"
            " FROM mine WHERE id = $2 RETURNING 1",
            plan,
            state,
            why,
        )

    async def write(self, plan: int, entry: int, step: int, event: str, detail: str = "") -> None:
        """One line of the journal; written again after a lost reply it is the same line."""
        await self._fenced(
            "WITH mine AS (SELECT fence FROM ramet.lease WHERE fence = $1 FOR SHARE)"
            " INSERT INTO ramet.journal (plan, entry, step, event, detail, fence) SELECT $2, $3, $4, $5, $6, fence FROM mine"
            " ON CONFLICT (plan, entry) DO UPDATE SET fence = $1 RETURNING 1",
            plan,
            entry,
            step,
            event,
            detail,
        )

    async def plans(self, limit: int = 50) -> list[PlanRow]:
        """The newest first."""
        return [PlanRow(*row) for row in await self._fetch(f"{_PLAN} ORDER BY id DESC LIMIT $1", limit)]

    async def plan(self, number: int) -> PlanRow | None:
        rows = await self._fetch(f"{_PLAN} WHERE id = $1", number)
        return PlanRow(*rows[0]) if rows else None

    async def entries(self, plan: int) -> list[Entry]:
        rows = await self._fetch(
            "SELECT entry, step, event, detail, extract(epoch FROM at)::float8 FROM ramet.journal WHERE plan = $1 ORDER BY entry",
            plan,
        )
        return [Entry(*row) for row in rows]

    # Statements

    async def _fenced(self, statement: str, *parameters: Any) -> list[Any]:
        """`$1` is the fencing number. Raises PlanBusy where the lease is another's by now."""
        assert self.lease is not None, "open comes first"
        rows = await self._fetch(statement, self.lease.fence, *parameters)
        if not rows:
            raise PlanBusy(
                f"the lease of controller {self.lease.holder} (fence {self.lease.fence}) was taken by another",
                hint="ramet status",
            )
        return rows

    async def _fetch(self, statement: str, *parameters: Any) -> list[Any]:
        """Tried again while the server is away: every statement here may run twice without harm."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        async with self._one:
            while True:
                try:
                    connection = await self._connected()
                    async with asyncio.timeout(STATEMENT_S):
                        return await connection.fetch(statement, *parameters)
                except _REFUSALS as raised:
                    # One statement at a time: a driver whose state does not fit has lost its connection and not yet said so.
                    is_closed = isinstance(raised, driver.InternalClientError)
                    error = refusals.ours(raised, is_closed=is_closed)
                    if isinstance(raised, TimeoutError):
                        error = DatabaseUnavailable(f"no answer within {STATEMENT_S:g} s")
                    # A replica was the primary when this connection was made.
                    if not isinstance(error, (DatabaseUnavailable, ReadOnly)) or asyncio.get_running_loop().time() > deadline:
                        raise error from raised
                    if self._connection is not None:
                        self._connection.terminate()
                        self._connection = None
                await asyncio.sleep(_AGAIN_S)

    async def _connected(self) -> Driver:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await open_session(self._address)
            except (driver.PostgresError, driver.InterfaceError, OSError, TimeoutError) as error:
                raise DatabaseUnavailable(
                    f"cannot connect to {self._address}: {error or 'no answer'}", hint="is the server running?"
                ) from error
        return self._connection
