"""A module's migrations on all of its shards: stage after stage, and a stage on all shards before the next.

A stage is a run of migrations of one phase that follow each other. So no shard has a contract while another still lacks what the
new version needs; and a stage that stopped half way is taken again, since each shard does what it lacks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ramet.data import migrations, revisions
from ramet.data.address import Address
from ramet.data.backfilling import Hold, Progress
from ramet.data.migrations import Status
from ramet.data.revisions import Phase, Revision

AT_ONCE = 2
"""Shards that are migrated at the same time. Two: a backfill is at rest for half of its time."""

Shards = Sequence[tuple[int, Address]]
"""Number and address of each."""
Told = Callable[[int, Revision | Progress], None]
"""Shard and what happened there."""


def nobody(_shard: int, _what: Revision | Progress) -> None:
    """Told, and keeps it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Migrations of one phase, in order; at least one."""

    phase: Phase
    revisions: tuple[Revision, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(each.id for each in self.revisions)


def stages(missing: Iterable[Revision]) -> list[Stage]:
    """missing: in order."""
    return [Stage(phase, tuple(group)) for phase, group in groupby(missing, key=lambda each: each.phase)]


def up_to(found: Sequence[Stage], phase: Phase | None) -> list[Stage]:
    """Those before the first that goes further than a phase. None: all."""
    order = list(Phase)
    kept: list[Stage] = []
    for stage in found:
        if phase is not None and order.index(stage.phase) > order.index(phase):
            break
        kept.append(stage)
    return kept


def last_sequence(applied: Sequence[Revision]) -> tuple[Revision, ...]:
    """What one undo takes back: the last migration, with those before it of the same sequence. applied: in order."""
    if not applied:
        return ()
    last = applied[-1]
    taken = [last]
    for revision in reversed(applied[:-1]):
        if not last.sequence or revision.sequence != last.sequence:
            break
        taken.append(revision)
    return tuple(reversed(taken))


async def statuses(module: str, folder: Path, shards: Shards) -> dict[int, Status]:
    """By shard. Raises as `migrations.status`."""
    found = await asyncio.gather(*(migrations.status(module, folder, address) for _, address in shards))
    return {number: status for (number, _), status in zip(shards, found, strict=True)}


def missing(folder: Path, found: Mapping[int, Status]) -> tuple[Revision, ...]:
    """What at least one shard lacks, in order."""
    lacked = {revision.id for status in found.values() for revision in status.missing}
    return tuple(revision for revision in revisions.read(folder).revisions if revision.id in lacked)


async def apply(module: str, folder: Path, shards: Shards, last: str, *, told: Told = nobody, hold: Hold | None = None) -> None:
    """Bring all shards to a revision. Where one fails the others come to their end; then the first error is raised, and this may
    be called again."""

    async def one(number: int, address: Address) -> None:
        def tell(what: Revision | Progress) -> None:
            told(number, what)

        await migrations.up(module, folder, address, to=last, report=tell, progress=tell, hold=hold)

    await _on_all(shards, one)


async def undo(module: str, folder: Path, shards: Shards, undone: Collection[str], *, told: Told = nobody) -> None:
    """Take these back from all shards, as `apply`. Raises MigrationRefused for a contract."""

    async def one(number: int, address: Address) -> None:
        await migrations.down(module, folder, address, undone, report=lambda revision: told(number, revision))

    await _on_all(shards, one)


async def _on_all(shards: Shards, one: Callable[[int, Address], Awaitable[None]]) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def guarded(number: int, address: Address) -> None:
        async with free:
            await one(number, address)

    outcomes = await asyncio.gather(*(guarded(*shard) for shard in shards), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
