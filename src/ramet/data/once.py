"""The durable ledger of `once` calls: `ramet_once` in the module's own schema.

What is promised. A `once` call has its effect at most once, however often it is asked for under one key, by whom, at which
instance, and whatever dies in between. Whoever repeats it gets the outcome of the run that had the effect: its result, its
failure, or its error.

How. The call's first write block inserts (call, key) before anything else, so the key commits with the effect or vanishes
with it. The primary key does the rest: a second run of the same call waits in that INSERT for the first to commit, and then
ends (`Replay`), or finds that the first was rolled back, and is the one. The outcome follows in a statement of its own when
the function has returned, since no one knows it sooner; `tx.result(value)` writes it with the effect's own commit. A
repetition finds

    nothing                     the call did not run, or was undone: it runs now
    the key and an outcome      that is the answer
    the key alone               the run has committed, and is about to store its outcome: wait for it
    the key alone, past `due`   its instance died in that moment: OutcomeUnknown, `may_have_run`. Never with `tx.result`

What is not promised. A call with two write blocks can die between them; the first one's effect stays, as without `once`. A call
that writes nothing leaves no key, and runs again. What it does elsewhere (a mail, another service) is not covered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ramet.data import errors
from ramet.data.claims import RESULT, Claim, Replay, current_claim
from ramet.data.database import Database
from ramet.data.queries import Opened
from ramet.data.reads import Read
from ramet.data.transactions import Transaction

logger = logging.getLogger("ramet.data")

FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.2
SLACK = "interval '1 second'"
"""Past `due`, for an outcome that is just being stored."""
KEPT_S = 24 * 3600.0
"""Age at which `purge` forgets an outcome, in seconds. A day: a caller that repeats later has a person behind it."""

_LOOK = f"SELECT result, due + {SLACK} < clock_timestamp() AS is_overdue FROM ramet_once WHERE call = $1 AND key = $2"  # noqa: S608  (a constant)
_RETURNED, _RAISED = b"R", b"E"


class Outcomes(Protocol):
    """A call's outcome as bytes and back, by its qualified name. The calls part knows the types."""

    def encode_result(self, call: str, value: Any) -> bytes: ...
    def decode_result(self, call: str, data: bytes) -> Any: ...
    def encode_error(self, call: str, error: Exception) -> bytes: ...
    def decode_error(self, call: str, data: bytes) -> Exception: ...


class DurableLedger:
    """A `ramet.calls.ledger.Ledger`. database: of the module whose calls these are. A key is in the shard that its call
    wrote to."""

    is_durable = True

    def __init__(
        self, database: Database, outcomes: Outcomes, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._database = database
        self._outcomes = outcomes
        self._sleep = sleep
        self._running: dict[tuple[str, str], asyncio.Future[None]] = {}

    def __repr__(self) -> str:
        return f"<DurableLedger of {self._database!r}: {len(self._running)} calls running>"

    async def once(self, call: str, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """The result of `work`, or of the run that had this key before. Raises what that run raised, or OutcomeUnknown."""
        name = (call, key)
        while (running := self._running.get(name)) is not None:
            await asyncio.wait([running])
        ended = self._running[name] = asyncio.get_running_loop().create_future()
        try:
            return await self._once(call, key, work)
        finally:
            del self._running[name]
            ended.set_result(None)

    async def purge(self, *, older_than_s: float = KEPT_S) -> int:
        """Forget outcomes by age. Returns how many."""
        query = "DELETE FROM ramet_once WHERE created < clock_timestamp() - $1 * interval '1 second'"
        tags = [await _write(opened, query, older_than_s) for opened in self._database.all_opened]
        return sum(int(tag.rpartition(" ")[2]) for tag in tags)

    async def _once(self, call: str, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        if (at := await self._find(call, key)) is not None:
            return await self._outcome_of(at, call, key)
        claim = Claim(self._database, call, key, lambda value: _RETURNED + self._outcomes.encode_result(call, value))
        try:
            value = await _under(claim, work)
        except Replay:
            if claim.state is not Claim.REPLAY:
                raise
        except Exception as error:
            if claim.state is not Claim.REPLAY:  # else it is of a run without effect, which has caught Replay
                await self._store_error(claim, error)
                raise
        else:
            if claim.state is not Claim.REPLAY:
                await self._store_result(claim, value)
                return value
        return await self._outcome_of(claim.at, call, key)

    async def _find(self, call: str, key: str) -> Opened | None:
        """The shard that has the key; None where none has."""
        shards = self._database.all_opened
        rows = await asyncio.gather(*(_look(opened, call, key) for opened in shards))
        return next((opened for opened, row in zip(shards, rows, strict=True) if row is not None), None)

    async def _store_result(self, claim: Claim, value: Any) -> None:
        if claim.state is Claim.CLAIMED:
            try:
                data = claim.encode(value)
            except Exception as error:
                await self._store_error(claim, error)
                raise
            if data != claim.stored:
                await self._store(claim, data)

    async def _store_error(self, claim: Claim, error: Exception) -> None:
        if claim.state is Claim.CLAIMED:
            await self._store(claim, _RAISED + self._outcomes.encode_error(claim.call, error))

    async def _store(self, claim: Claim, data: bytes) -> None:
        try:
            await _write(claim.at, RESULT, claim.call, claim.key, data)
        except (errors.DatabaseError, errors.StatementDeadline) as error:
            # The effect is there and this caller can be told the outcome; only a repetition will not learn it.
            logger.warning(
                "once.outcome_not_stored", extra={"call": claim.call, "key": claim.key, "error_type": type(error).__name__}
            )

    async def _outcome_of(self, at: Opened, call: str, key: str) -> Any:
        pause_s = FIRST_PAUSE_S
        while True:
            row = await _look(at, call, key)
            if row is not None and row["result"] is not None:
                return self._answer(call, bytes(row["result"]))
            if row is None or row["is_overdue"]:
                raise errors.OutcomeUnknown(
                    f"it ran under the key {key}, and its outcome was not stored", may_have_run=True, call=call
                )
            await self._sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _answer(self, call: str, stored: bytes) -> Any:
        if stored[:1] == _RAISED:
            raise self._outcomes.decode_error(call, stored[1:])
        return self._outcomes.decode_result(call, stored[1:])


async def _look(at: Opened, call: str, key: str) -> Any:
    """At the primary: a replica may not have the row yet."""
    return await Read(at._replace(reader=None)).fetchrow(_LOOK, call, key)


async def _write(at: Opened, query: str, *args: Any) -> str:
    return await Transaction(at, at.begin_write[None]).execute(query, *args)


async def _under(claim: Claim, work: Callable[[], Awaitable[Any]]) -> Any:
    outer = current_claim.get()
    current_claim.set(claim)
    try:
        return await work()
    finally:
        current_claim.set(outer)
