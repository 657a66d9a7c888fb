"""Filling in a column of a table that is in use: in batches by keyset, at rest for as long as at work.

A batch is a transaction that also writes down how far it came, so a migrator that is killed goes on after the last batch that
was committed. Its commit need not be on disk at once: a server that crashes loses the last batches and their position together.
A batch is sized to take 100 ms, since its rows stay locked for as long. Rows that are right already are not written. A row that
is written meanwhile is the dual write's (`dual_writes`), which keeps out of a batch's way by the setting `ramet.backfill`.

After the last batch the table is searched for rows that are not right; some are there if it was filled without a dual write, and
then it is gone through again.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ramet.data import driver
from ramet.data.driver import Driver
from ramet.data.errors import MigrationFailed
from ramet.data.schemas import quote

TABLE = "ramet_backfills"
TABLES = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    revision text NOT NULL,
    number int NOT NULL,
    last_key text,
    rows_seen bigint NOT NULL DEFAULT 0,
    rows_set bigint NOT NULL DEFAULT 0,
    rows_total bigint NOT NULL,
    is_done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (revision, number)
)
"""
BATCH_S = 0.1
FIRST_ROWS, LEAST_ROWS, MOST_ROWS = 500, 50, 20_000
LONGEST_PAUSE_S = 2.0
HELD_S = 0.5
"""Until what holds a backfill is looked at again."""
MAX_PASSES = 3
MAX_TRIES = 40
"""Of one batch whose rows others hold."""
IN_THE_WAY = frozenset({"40001", "40P01", "55P03"})
"""Source: PostgreSQL, appendix A: serialization failure, deadlock, lock not available."""

Hold = Callable[[], Awaitable[str]]
"""Why a backfill should wait now, in words; empty if it need not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """set: column -> SQL expression over the row. where: which rows; empty for all. key: columns of a unique index, NOT NULL."""

    table: str
    set: Mapping[str, str]
    where: str = ""
    key: tuple[str, ...] = ("id",)

    @property
    def is_due(self) -> str:
        """The condition of a row that is not right yet."""
        wrong = " OR ".join(f"{quote(column)} IS DISTINCT FROM ({value})" for column, value in self.set.items())
        return f"({wrong})" + (f" AND ({self.where})" if self.where else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """rows_total: the server's estimate at the beginning. left_s: by the speed so far, None before anything is known. held: why
    it waits, empty if it does not."""

    revision: str
    table: str
    rows_seen: int
    rows_set: int
    rows_total: int
    left_s: float | None
    held: str = ""

    def __str__(self) -> str:
        left = f", {self.left_s:.0f} s left" if self.left_s is not None else ""
        held = f"; waits: {self.held}" if self.held else ""
        return f"{self.table}: {self.rows_seen} of about {max(self.rows_total, self.rows_seen)} rows{left}{held}"


_collected: ContextVar[list[Backfill] | None] = ContextVar("ramet_backfills", default=None)


@contextmanager
def collecting() -> Generator[list[Backfill]]:
    """What the revisions that run in this block want to be filled in, in order."""
    found: list[Backfill] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def want(backfill: Backfill) -> None:
    """Raises MigrationFailed outside of `collecting`: plain Alembic would count it as applied and fill in nothing."""
    found = _collected.get()
    if found is None:
        raise MigrationFailed(
            "backfill() runs in batches, which Alembic alone cannot do", revision="", hint="ramet migrate apply"
        )
    found.append(backfill)


async def run(
    connection: Driver,
    revision: str,
    number: int,
    backfill: Backfill,
    *,
    hold: Hold | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    batch_s: float = BATCH_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """To its end, from where it was left. number: of the backfill in its revision. Raises the driver's errors: what was committed
    stays, and this may be called again; MigrationFailed where rows do not stay right."""
    await connection.execute(TABLES)
    await connection.fetchval(
        f"INSERT INTO {TABLE} (revision, number, rows_total) SELECT $1, $2, greatest(reltuples, 0)::bigint FROM pg_class"  # noqa: S608  (our own name)
        " WHERE oid = $3::text::regclass ON CONFLICT DO NOTHING RETURNING 1",
        revision,
        number,
        quote(backfill.table),
    )
    if await connection.fetchval(f"SELECT is_done FROM {TABLE} WHERE revision = $1 AND number = $2", revision, number):  # noqa: S608  (our own name)
        return
    work = _Work(connection, revision, number, backfill, await _types(connection, backfill), batch_s)
    for _ in range(MAX_PASSES):
        await work.go_through(hold, report, sleep)
        if not await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {quote(backfill.table)} WHERE {backfill.is_due})"):  # noqa: S608  (a migration's own SQL)
            await connection.execute(f"ANALYZE {quote(backfill.table)}")
            await connection.fetchval(
                f"UPDATE {TABLE} SET is_done = true WHERE revision = $1 AND number = $2",  # noqa: S608  (our own name)
                revision,
                number,
            )
            return
        await work.start_again()
    raise MigrationFailed(
        f"rows of {backfill.table} are still not as wanted after {MAX_PASSES} passes: somebody writes them otherwise",
        revision=revision,
        hint=f"dual_write() in a revision before keeps both columns; which rows: WHERE {backfill.is_due}",
    )


async def forget(connection: Driver, revision: str) -> None:
    """A revision that is undone begins anew when it is applied again."""
    await connection.execute(TABLES)
    await connection.fetchval(f"DELETE FROM {TABLE} WHERE revision = $1", revision)  # noqa: S608  (our own name)


async def _types(connection: Driver, backfill: Backfill) -> Sequence[str]:
    """Of the key's columns. Raises MigrationFailed where the table or one of them is missing."""
    rows = await connection.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        quote(backfill.table),
    )
    known = {row[0]: row[1] for row in rows}
    if unknown := [column for column in backfill.key if column not in known]:
        raise MigrationFailed(
            f"{backfill.table} has no column {', '.join(unknown)} by which it could be gone through",
            revision="",
            hint="backfill(..., key=(...)) names the columns of its primary key",
        )
    return [str(known[column]) for column in backfill.key]


class _Work:
    """One backfill on one connection. rows: of the next batch."""

    def __init__(
        self, connection: Driver, revision: str, number: int, backfill: Backfill, types: Sequence[str], batch_s: float
    ) -> None:
        self._connection = connection
        self._id = (revision, number)
        self._backfill = backfill
        self._types = types
        self._batch_s = batch_s
        self.rows = FIRST_ROWS

    async def go_through(
        self, hold: Hold | None, report: Callable[[Progress], None], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        began, first, tries = clock(), None, 0
        while True:
            while hold is not None and (why := await hold()):
                report(self._progress(await self._position(), None, why))
                await sleep(HELD_S)
            start = clock()
            try:
                seen = await self._batch()
            except driver.PostgresError as error:
                tries += 1
                if getattr(error, "sqlstate", "") not in IN_THE_WAY or tries == MAX_TRIES:
                    raise
                self.rows = max(LEAST_ROWS, self.rows // 2)
                await sleep(HELD_S)
                continue
            took, tries = clock() - start, 0
            position = await self._position()
            first = position["rows_seen"] - seen if first is None else first
            speed = (position["rows_seen"] - first) / max(clock() - began, 1e-6)
            left = max(0, position["rows_total"] - position["rows_seen"])
            report(self._progress(position, left / speed if speed else None))
            if seen < self.rows:
                return
            factor = min(2.0, max(0.5, self._batch_s / max(took, 1e-4)))
            self.rows = round(min(MOST_ROWS, max(LEAST_ROWS, self.rows * factor)))
            await sleep(min(LONGEST_PAUSE_S, took))

    async def start_again(self) -> None:
        await self._connection.fetchval(
            f"UPDATE {TABLE} SET last_key = NULL, rows_seen = 0 WHERE revision = $1 AND number = $2",  # noqa: S608  (our own name)
            *self._id,
        )

    def _progress(self, position: Any, left_s: float | None, held: str = "") -> Progress:
        return Progress(
            revision=self._id[0],
            table=self._backfill.table,
            rows_seen=position["rows_seen"],
            rows_set=position["rows_set"],
            rows_total=position["rows_total"],
            left_s=left_s,
            held=held,
        )

    async def _position(self) -> Any:
        rows = await self._connection.fetch(
            f"SELECT last_key, rows_seen, rows_set, rows_total FROM {TABLE} WHERE revision = $1 AND number = $2",  # noqa: S608  (our own name)
            *self._id,
        )
        return rows[0]

    async def _batch(self) -> int:
        """The next rows by key; how many there were."""
        last = (await self._position())["last_key"]
        await self._connection.execute("BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL ramet.backfill = 'on'")
        try:
            keys: list[str] = json.loads(last) if last is not None else []
            rows = await self._connection.fetch(self._sql(is_first=last is None), self.rows, *keys)
            seen, written, after = rows[0]
            await self._connection.fetchval(
                f"UPDATE {TABLE} SET last_key = coalesce($3, last_key), rows_seen = rows_seen + $4, rows_set = rows_set + $5"  # noqa: S608  (our own name)
                " WHERE revision = $1 AND number = $2",
                *self._id,
                after,
                seen,
                written,
            )
            await self._connection.execute("COMMIT")
        except BaseException:
            if not self._connection.is_closed():
                await self._connection.execute("ROLLBACK")
            raise
        return int(seen)

    def _sql(self, *, is_first: bool) -> str:
        """$1: how many rows; then the last key, as texts."""
        table, columns = quote(self._backfill.table), [quote(column) for column in self._backfill.key]
        order = ", ".join(columns)
        bounds = ", ".join(f"${number}::text::{kind}" for number, kind in enumerate(self._types, 2))
        after = "" if is_first else f"WHERE ({order}) > ({bounds})"
        same = " AND ".join(f"{table}.{column} = batch.ramet_key_{number}" for number, column in enumerate(columns))
        named = ", ".join(f"{column} AS ramet_key_{number}" for number, column in enumerate(columns))
        renamed = ", ".join(f"ramet_key_{number} DESC" for number in range(len(columns)))
        as_texts = ", ".join(f"ramet_key_{number}::text" for number in range(len(columns)))
        changes = ", ".join(f"{quote(column)} = ({value})" for column, value in self._backfill.set.items())
        return (
            f"WITH batch AS MATERIALIZED (SELECT {named} FROM {table} {after} ORDER BY {order} LIMIT $1::bigint),"  # noqa: S608  (a migration's own SQL)
            f" written AS (UPDATE {table} SET {changes} FROM batch WHERE {same} AND {self._backfill.is_due} RETURNING 1)"
            " SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM written),"
            f" (SELECT json_build_array({as_texts})::text FROM batch ORDER BY {renamed} LIMIT 1)"
        )
