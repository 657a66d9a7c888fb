"""A materialised result in the database: how far behind it is, what brings it up to date. Light: `import ramet` loads this.

One refresh is one transaction, under an advisory lock that belongs to the result: it removes changes that it sees, computes what
they concern with a newer snapshot, and commits both. So a change is removed with the commit that has it in the result, or not at
all: a refresh that is killed at any point has done nothing, and is done again by the next. What commits meanwhile is seen by the
next one, because its own note is still there.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from ramet.data import materialized_sql as sql
from ramet.data.database import Database
from ramet.data.errors import DatabaseError, KeyMisuse, MaterializedMismatch
from ramet.data.queries import Opened
from ramet.data.reads import Read
from ramet.data.transactions import Transaction
from ramet.model.materialized import Materialized

MAX_CHANGES = 2000
"""That one incremental refresh takes. A guess: tens of milliseconds of work, after which others see it."""


class Look(NamedTuple):
    """stale_s: since the oldest change that the result lacks, 0 for none. It counts from the begin of the change's transaction.
    is_due: all is to be computed anew."""

    stale_s: float
    is_due: bool


class MaterializedResult:
    """What `@module.materialized` makes of a function. Its rows are a table of the module's schema: `db.read()` reads it by name.

    declared: what it is. db: the module's own.
    """

    def __init__(self, declared: Materialized, db: Database) -> None:
        self.declared = declared
        self._db = db

    def __repr__(self) -> str:
        kind = f"by {self.declared.key}" if self.declared.key else "whole"
        return f"<MaterializedResult {self.declared.module}.{self.declared.name}, {kind}>"

    async def staleness(self) -> float:
        """Seconds since the oldest change that it lacks, 0 for none; of the change whose transaction began first."""
        return max([(await look(opened, self.declared)).stale_s for opened in self.places])

    async def recompute(self, keys: Iterable[Any] | None = None) -> None:
        """Let the refresher compute the rows of these keys anew, or all. It returns when that is noted.

        For a result that is in doubt: rows were changed where no trigger fires, or the query looks at something else.
        """
        given = None if keys is None else list(keys)
        if given is not None and not self.declared.key:
            raise KeyMisuse(f"{self!r} has no key: all of it is computed anew", hint="await result.recompute()")
        for opened in self.places:
            if given is None:
                await note_all(opened, self.declared)
            else:
                await Transaction(opened, opened.begin_write[None]).execute(sql.note_keys(self.declared), given)

    async def refresh(self) -> None:
        """Bring it up to date here and now: for tests and scripts. Beside an instance that does the same, the one waits for the
        other. Returns when all that was committed before is in it."""
        for opened in self.places:
            seen = await look(opened, self.declared)
            if seen.is_due:
                await begin_anew(opened, self.declared)
            while await refresh_once(opened, self.declared) >= MAX_CHANGES and self.declared.key:
                pass

    @property
    def places(self) -> Sequence[Opened]:
        """The shards, each of which has the rows that are made of its own; as primaries, since a replica is behind."""
        return [opened._replace(reader=None) for opened in self._db.all_opened]


async def look(opened: Opened, result: Materialized) -> Look:
    row = await Read(opened).fetchrow(sql.look(result), result.name, result.query, result.every_s)
    return Look(max(row[0] or 0.0, 0.0 if row[0] is None else 1e-6), row[1])


async def note_all(opened: Opened, result: Materialized) -> None:
    await Transaction(opened, opened.begin_write[None]).execute(sql.note_all(result))


async def begin_anew(opened: Opened, result: Materialized) -> None:
    """Note all that there is, and by which query. Readers keep the rows that are there, until they are computed anew."""
    async with Transaction(opened, opened.begin_write["read_committed"]) as tx:
        await tx.fetchval(sql.LOCK, result.name)
        await tx.execute(sql.REMEMBER, result.name, result.query)
        await tx.execute(sql.note_all(result))


async def refresh_once(opened: Opened, result: Materialized) -> int:
    """Returns how many changes it took. Fewer than MAX_CHANGES, or any of a whole result: none was left when it looked.

    READ COMMITTED, whatever the server's default is: each statement needs a snapshot of its own, after the lock.
    """
    async with Transaction(opened, opened.begin_write["read_committed"]) as tx:
        await tx.fetchval(sql.LOCK, result.name)
        taken, keys = await tx.fetchrow(sql.take(result), *([MAX_CHANGES] if result.key else []))
        if taken:
            await tx.execute(sql.refresh(result), *([keys] if result.key else []))
    return taken


async def verify(opened: Opened, result: Materialized) -> None:
    """What an instance does at its start. Raises MaterializedMismatch with all that is not as declared."""
    problems = [*await _columns(opened, result), *await _triggers(opened, result)]
    hint = f"ramet migrate new {result.module} --materialized {result.name}; ramet migrate up {result.module}"
    if not problems:
        try:
            await Read(opened).fetch(sql.probe(result), *([[]] if result.key else []))
        except DatabaseError as error:
            problems.append(f"its query is refused: {error.message}")
            hint = "change the query or `columns`, until they agree"
    if problems:
        raise MaterializedMismatch(
            f"materialised {result.module}.{result.name}: {'; '.join(problems)}", where=result.where, hint=hint
        )


async def undeclared(opened: Opened, declared: Container[str]) -> list[str]:
    """Names of results that the database has and this code does not."""
    return [row[0] for row in await Read(opened).fetch(sql.RESULTS) if row[0] not in declared]


async def _columns(opened: Opened, result: Materialized) -> list[str]:
    kinds = list(result.columns.items())
    rows = await Read(opened).fetch(sql.COLUMNS, result.name, [name for name, _ in kinds], [kind for _, kind in kinds])
    if not rows[0][3]:
        return [f"there is no table {result.name}"]
    found = [
        f"column {name} is {f'of type {has}' if has else 'not there'}, declared as {declared}"
        for name, declared, has, _, is_same in rows
        if not is_same
    ]
    unique = await Read(opened).fetchval(sql.UNIQUE, result.name)
    if sorted(unique or []) != sorted(result.unique):
        found.append(f"its primary key is ({', '.join(unique or [])}), declared as ({', '.join(result.unique)})")
    return found


async def _triggers(opened: Opened, result: Materialized) -> list[str]:
    tables = list(result.tables.items())
    rows = await Read(opened).fetch(sql.TRIGGERS, result.note, [name for name, _ in tables], [column for _, column in tables])
    return [
        f"table {table} has no trigger {result.note} that always fires" if is_table else f"there is no table {table}"
        for table, is_table, is_noted in rows
        if not is_noted
    ]
