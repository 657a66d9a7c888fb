"""One connection to the server, and the way of a statement over it.

Theory of operation. A session is read-only by default (`address.READ_ONLY`), so a read is one round trip with nothing around
it. What writes sends a *prefix* in the same packet as its first statement: `BEGIN READ WRITE` for a block, `SET
transaction_read_only = off` for a single statement. The prefix is Parse, Bind, Execute without a Sync, so the server runs it
first and answers all together; asyncpg takes the additional BindComplete and CommandComplete for parts of the statement's own
answer. A block thus costs two round trips, not three:

    idle ──(pool gives it out; a block sets `prefix`)──> held ──(first statement: prefix + statement)──> in a transaction
      ^                                                   │                                                   │
      └──────(no statement: nothing to end)───────────────┴────────────────(COMMIT or ROLLBACK)───────────────┘

`flaws` says what keeps a connection from being given out again as it is: a cancelled statement, a session with settings left
behind. Zero is clean, which is nearly always; the pool mends the others. A statement that is prepared here for the first time
leaves the server in an implicit transaction until the next Sync, in which no prefix may come: hence `_learn`.

Behind a pooler that mixes up prepared statements (`Pooling.UNNAMED`) a statement is prepared without a name, each time anew for
what it returns; asyncpg then sends it once more together with its arguments, so that any session can answer. What would stay in
the session is refused behind any pooler, since the next transaction is in another one.

A failed statement raises one of `ramet.data.errors`, with asyncpg's as the cause. A cancelled one leaves at once, and the
server is told.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple

from ramet.data import driver, errors, refusals
from ramet.data.address import Pooling
from ramet.data.deadlines import Alarm, is_ours, task_reader
from ramet.data.driver import Driver
from ramet.data.insight.collecting import QueryLog, Watched
from ramet.data.statements import Facts, Leaves, facts_of, is_script
from ramet.observe import names
from ramet.observe.record import Recorder, Series, new_span_id
from ramet.wire.context import Context, current

# Flaws. Plain integers: an enum's operators cost more than all else here.
SESSION = int(Leaves.SESSION)
CONNECTION = int(Leaves.CONNECTION)
INTERRUPTED = 4
"""A statement was cancelled; the server may not have noticed yet."""
UNSYNCED = 8
"""A prefix was sent and no statement after it."""
IN_TRANSACTION = 16
STALE = 32
"""Idle for so long that it may be dead without our knowing."""
LOST = 64
RETIRED = 128
"""Past its lifetime, or the pool is closing."""
UNUSABLE = CONNECTION | LOST | RETIRED

RESET = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
    "DISCARD TEMP; DISCARD SEQUENCES"
)
"""DISCARD ALL without DEALLOCATE and PLANS: our own prepared statements stay."""

MAX_PREPARED = 256
"""Statements kept prepared. A guess: more than a module's code has; text made at run time displaces the oldest."""
MAX_TEXTS = 4096

monotonic = time.monotonic


class Prefix(NamedTuple):
    """text: as a script, for where it is sent by itself."""

    text: str
    message: bytes
    is_transaction: bool
    writes: bool

    def then(self, text: str) -> "Prefix":
        """With one more statement after it."""
        more = prefix(text, is_transaction=False, writes=False)
        return self._replace(text=f"{self.text}; {text}", message=self.message + more.message)


def prefix(text: str, *, is_transaction: bool, writes: bool) -> Prefix:
    """Parse, Bind and Execute of the unnamed statement, without Sync. Source: PostgreSQL 18, 54.7, Message Formats."""
    parse = b"\0" + text.encode() + b"\0\0\0"
    bind = b"\0\0" + b"\0\0" * 3
    execute = b"\0" + b"\0\0\0\0"
    message = b"".join(
        kind + (len(body) + 4).to_bytes(4, "big") + body for kind, body in ((b"P", parse), (b"B", bind), (b"E", execute))
    )
    return Prefix(text, message, is_transaction, writes)


_COMMIT = prefix("COMMIT", is_transaction=False, writes=False)
POSITION = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
"""Where the log of a primary is, in bytes. Source: PostgreSQL 18, 9.28.3."""


class Known(NamedTuple):
    """watched: where its executions are counted; None where they are not."""

    series: Series
    facts: Facts
    watched: Watched | None


class Texts:
    """What is known of each statement's text, for all connections of a pool."""

    def __init__(self, recorder: Recorder, module: str, queries: QueryLog | None = None) -> None:
        self._recorder = recorder
        self._module = module
        self.queries = queries or QueryLog(module)
        self._known: dict[str, Known] = {}

    def series(self, summary: str) -> Series:
        return self._recorder.series(names.QUERY, module=self._module, summary=summary)

    def of(self, text: str) -> Known:
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= MAX_TEXTS:
                self._known.clear()
            facts = facts_of(text)
            known = self._known[text] = Known(self.series(facts.summary), facts, self.queries.of(text))
        return known


class Statement:
    """A prepared statement of one connection. leaves: flaws that it makes."""

    __slots__ = ("leaves", "prepared", "series", "state", "watched")

    def __init__(self, prepared: driver.Prepared, known: Known) -> None:
        self.prepared = prepared  # asyncpg closes it on the server when it is collected
        self.state = driver.state_of(prepared)
        self.series = known.series
        self.watched = known.watched
        self.leaves = int(known.facts.leaves)


class Connection:
    """driver: asyncpg's own. prefix: sent with the next statement. may_have_run: what is said of a failure now. has_failed: a
    statement of the block has.

    context, series, used_at: of the last statement, for those who ask who holds it. held_since: begin of the block, 0 without
    one. Times are monotonic seconds.
    """

    __slots__ = (
        "_alarm", "_begins", "_bind_execute", "_commits", "_current_task", "_finish", "_is_unnamed", "_pid", "_prepared",
        "_prepares", "_query", "_rollbacks", "_texts", "_write", "cancelling", "context", "deadline", "driver", "flaws",
        "has_failed",
        "held_since", "may_have_run", "opened_at", "prefix", "series", "task", "used_at",
    )  # fmt: skip

    def __init__(self, opened: Driver, alarm: Alarm, texts: Texts, finish: Callable[..., None]) -> None:
        self.driver = opened
        self._pid = opened.get_server_pid()
        self._is_unnamed = opened.pooling is Pooling.UNNAMED
        self._current_task = task_reader()
        self._alarm = alarm
        self._texts = texts
        self._finish = finish
        self._bind_execute = opened.wire.bind_execute
        self._query = opened.wire.query
        self._write = opened.write
        self._prepared: dict[str, Statement] = {}
        self._begins, self._commits, self._rollbacks, self._prepares = map(
            texts.series, ("BEGIN", "COMMIT", "ROLLBACK", "PREPARE")
        )
        self.task: asyncio.Task[Any] | None = None
        self.deadline = math.inf
        self.cancelling = -1
        self.context: Context | None = None
        self.series: Series | None = None
        self.prefix: Prefix | None = None
        self.may_have_run = False
        self.has_failed = False
        self.flaws = 0
        self.opened_at = self.used_at = monotonic()
        self.held_since = 0.0

    def __repr__(self) -> str:
        state = "closed" if self.driver.is_closed() else "busy" if self.task else f"flaws {self.flaws}" if self.flaws else "clean"
        return f"<Connection {self._pid} {state}, {len(self._prepared)} prepared>"

    def holder(self) -> str:
        """Who has it, for a person."""
        module = (self.context and self.context.module) or "outside of all modules"
        what = self.series.labels["summary"] if self.series else "no statement yet"
        since = self.held_since or self.used_at
        return f"{module} for {monotonic() - since:.2f} s, {'in' if self.task else 'after'} {what}"

    def left(self) -> None:
        """The block or statement is over, whichever way."""
        self.prefix = None
        self.held_since = 0.0
        self.may_have_run = False
        self.has_failed = False
        if self.driver.is_in_transaction():
            self.flaws |= IN_TRANSACTION

    def series_of(self, text: str) -> Series:
        return self._texts.of(text).series

    def time_left_s(self) -> float:
        """Until the deadline of the work around; a minute where there is none."""
        return min(current.get().deadline - monotonic(), 60.0)

    def rows(self, query: str, args: Sequence[Any], limit: int) -> Coroutine[Any, Any, list[Any]]:
        """Run one statement; at most `limit` rows, 0 for all."""
        known = self._prepared.get(query)
        if known is None:
            return self._first_rows(query, args, limit)
        if known.leaves:
            self.flaws |= known.leaves
        return self.run(known.series, self._bind_execute(known.state, args, "", limit, False, None), known.watched, args)

    async def status(self, query: str, args: Sequence[Any]) -> str:
        """Run a statement, or without args a script of several, for the command tag of the (last) one."""
        if not args and is_script(query):
            series, facts, watched = self._texts.of(query)
            self._check_leaves(facts)
            self.flaws |= int(facts.leaves)
            return await self.run(series, self._query(query, None), watched)
        _, tag = await self.rows_and_tag(await self.learned(query), args)
        return tag

    async def learned(self, query: str) -> Statement:
        return self._prepared.get(query) or await self._learn(query)

    async def rows_and_tag(self, known: Statement, args: Sequence[Any]) -> tuple[list[Any], str]:
        self.flaws |= known.leaves
        operation = self._bind_execute(known.state, args, "", 0, True, None)
        rows, tag, _ = await self.run(known.series, operation, known.watched, args)
        return rows, tag.decode()

    async def many(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        """Run a statement once per item, pipelined; outside of a block all or none take effect. `args` must not be empty."""
        await self.begin_now()
        known = await self.learned(query)
        self.flaws |= known.leaves
        await self.run(known.series, self.driver.wire.bind_execute_many(known.state, args, "", None, False), known.watched)

    async def run(
        self,
        series: Series,
        operation: Coroutine[Any, Any, Any],
        watched: Watched | None = None,
        args: Sequence[Any] = (),
    ) -> Any:
        """Await one message sequence: within the deadline, with its record, its errors as ours. All statements come here.

        watched: of the statement, None for what is not the user's own. args: its parameters, where it has one set of them.
        """
        context = current.get()
        now = monotonic()
        deadline = context.deadline
        if self.task is not None or deadline <= now:
            operation.close()
            raise self._not_now(series)
        if deadline < self._alarm.next_at:
            self._alarm.arm(deadline)
        self.deadline = deadline
        self.context = context
        self.series = series
        self.task = self._current_task()
        begun = self.prefix
        if begun is not None:
            self._write(begun.message)
            self.prefix = None
            self.held_since = self.held_since or now
        try:
            result = await operation
        except BaseException as error:
            failure = self._failed(error, has_prefix=begun is not None)
            self.used_at = end = monotonic()
            self._finish(series, context.trace_id, new_span_id(), context.span_id, now, end, type(failure).__name__)
            if watched is not None:
                watched.fail(context, end - now, args)
            if failure is error:
                raise
            raise failure from error
        self.task = None
        self.used_at = end = monotonic()
        self._finish(series, context.trace_id, new_span_id(), context.span_id, now, end)
        if watched is not None:
            watched.add(context, end - now, args, result)
        return result

    def _check_leaves(self, facts: Facts) -> None:
        if facts.leaves and self.driver.pooling is not Pooling.NONE:
            raise errors.StatementRefused(
                f"{facts.summary} would change the session, which behind a pooler is everybody's",
                hint="SET LOCAL and pg_advisory_xact_lock, in a block of `db.write()`",
            )

    def _not_now(self, series: Series) -> Exception:
        if self._is_unnamed:
            self.flaws |= UNSYNCED  # a statement may have been prepared, and the pooler waits for its end
        if self.task is not None:
            return errors.BlockMisuse(
                "two tasks use one block at the same time", hint="one block for each task, or one statement after the other"
            )
        return errors.StatementDeadline(f"no time was left for {series.labels['summary']}", may_have_run=False)

    def _failed(self, error: BaseException, *, has_prefix: bool) -> BaseException:
        task, self.task = self.task, None
        self.has_failed = True
        summary = self.series.labels["summary"] if self.series else ""
        if isinstance(error, asyncio.CancelledError):
            self.flaws |= INTERRUPTED
            if task is not None and is_ours(self, task):
                return errors.StatementDeadline(f"the deadline passed in {summary}", may_have_run=self.may_have_run)
            return error
        if task is not None:
            is_ours(self, task)  # if the alarm has fired as well, its request to cancel is taken back
        if has_prefix and not driver.is_of_server(error):
            self.flaws |= UNSYNCED
        is_closed = self.driver.is_closed()
        if is_closed:
            self.flaws |= LOST
        failure = refusals.ours(error, may_have_run=self.may_have_run, is_closed=is_closed)
        if isinstance(failure, errors.SchemaChanged):
            self._prepared.clear()
            if not failure.sqlstate:
                self.flaws |= CONNECTION  # asyncpg's cache of types is out of date as well
        return failure

    async def _first_rows(self, query: str, args: Sequence[Any], limit: int) -> list[Any]:
        known = await self._learn(query)
        self.flaws |= known.leaves
        return await self.run(known.series, self._bind_execute(known.state, args, "", limit, False, None), known.watched, args)

    async def _learn(self, query: str) -> Statement:
        """Prepare a statement, with the prefix out of its way: a block's before it, a single statement's after it."""
        of_text = self._texts.of(query)
        if of_text.facts.controls:
            raise errors.BlockMisuse(
                f"{of_text.facts.controls} in a statement: a transaction begins and ends with its block",
                hint="`async with db.write(...) as tx:`; a savepoint is `tx.transaction()`",
            )
        self._check_leaves(of_text.facts)
        await self.begin_now()
        waiting, self.prefix = self.prefix, None
        if waiting is not None:
            self.held_since = self.held_since or monotonic()
        prepared = await self.run(self._prepares, self.driver.prepare(query))
        if waiting is not None:
            await self.run(self._prepares, self._query("SELECT", None))
            self.prefix = waiting
        if self._is_unnamed:
            return Statement(prepared, of_text)
        while len(self._prepared) >= MAX_PREPARED:
            del self._prepared[next(iter(self._prepared))]
        known = self._prepared[query] = Statement(prepared, of_text)
        return known

    async def begin_now(self) -> None:
        """Send a block's BEGIN by itself, before what cannot carry it."""
        if self.prefix is not None and self.prefix.is_transaction:
            text, self.prefix = self.prefix.text, None
            self.held_since = self.held_since or monotonic()
            await self.run(self._begins, self._query(text, None))

    def commit(self) -> Coroutine[Any, Any, str]:
        """COMMIT, for `check_committed`. Only if the block has begun."""
        self.may_have_run = True
        return self.run(self._commits, self._query("COMMIT", None))

    async def commit_at(self) -> int:
        """COMMIT, and where the log of the server is after it, in one round trip. Raises what `check_committed` raises."""
        if self.has_failed:  # only the answer to COMMIT itself tells whether it was one
            self.check_committed(await self.commit())
            return (await self.rows(POSITION, (), 1))[0][0]
        known = await self.learned(POSITION)
        self.may_have_run = True
        self.prefix = _COMMIT
        return (await self.run(self._commits, self._bind_execute(known.state, (), "", 1, False, None)))[0][0]

    @staticmethod
    def check_committed(tag: str) -> None:
        """The server answers ROLLBACK to the COMMIT of a transaction in which a statement has failed."""
        if tag != "COMMIT":
            raise errors.TransactionAborted(
                "nothing was committed: a statement of the block had failed, and its error was caught inside",
                sqlstate="25P02",
                hint="let the error leave the block, or put the statement into `async with tx.transaction():`",
            )

    async def rollback(self) -> None:
        """Never raises an error of the database: a connection that cannot roll back is closed, which does it too."""
        if self.prefix is not None or self.flaws & (INTERRUPTED | UNSYNCED | LOST):
            self.prefix = None
            return
        try:
            await self.run(self._rollbacks, self._query("ROLLBACK", None))
        except (errors.DatabaseError, errors.StatementDeadline):
            self.flaws |= INTERRUPTED

    async def command(self, text: str) -> None:
        """A savepoint's statement: its texts are few, and have no parameters."""
        await self.run(self._texts.of(text).series, self._query(text, None))

    async def mend(self) -> None:
        """Make it clean again. Raises what the driver raises; then it is beyond mending."""
        if self.flaws & UNUSABLE or self.driver.is_closed():
            raise errors.DatabaseUnavailable("the connection is to be closed")
        if not self.driver.is_in_transaction():
            with contextlib.suppress(driver.PostgresError):  # the cancelled statement was the first of its block, ended below
                # This waits for a cancellation under way, ends an implicit transaction, and finds a dead peer.
                await self.driver.execute("SELECT")
        if self.driver.is_in_transaction():
            await self.driver.execute("ROLLBACK")
        if self.flaws & SESSION:
            await self.driver.execute(RESET)
        self.flaws = 0
        self.used_at = monotonic()
