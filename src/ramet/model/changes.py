"""Changes of a module's schema as steps, and when they would break what runs. Pure.

A version of the code knows the migrations in its folder. It needs all that are no contract, and whatever the contracts take away
that it does not know. So a contract may be applied once every version that runs knows it; a migration may be taken back while no
version that runs knows it; and a version may be rolled in where each contract that was applied is known to it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from ramet.model.release import Release
from ramet.model.schema_steps import Backfill, Contract, Expand, Retract, SchemaStep

EXPAND, CONTRACT = "expand", "contract"
PHASES = {EXPAND: Expand, "backfill": Backfill, CONTRACT: Contract}


class SchemaChange(msgspec.Struct, frozen=True):
    """A stage of a module's migrations: of one phase, in order, by id."""

    module: str
    phase: str
    revisions: tuple[str, ...]


def steps_of(changes: Iterable[SchemaChange], shards: Mapping[str, int]) -> list[SchemaStep]:
    """shards: module -> how many it has."""
    return [
        PHASES[each.phase](module=each.module, revisions=each.revisions, shards=shards[each.module], why=_WHY[each.phase])
        for each in changes
    ]


_WHY = {
    EXPAND: "it adds; what runs goes on as it is",
    "backfill": "rows from before the dual write, in batches, at rest for half of the time",
    CONTRACT: "every version that runs does without",
}


def retracting(module: str, revisions: tuple[str, ...], shards: int) -> list[SchemaStep]:
    return [Retract(module=module, revisions=revisions, shards=shards, why="you asked for it")]


def possible(
    changes: Sequence[SchemaChange], running: Mapping[str, Release], moving: Collection[str] = ()
) -> tuple[list[SchemaChange], list[str]]:
    """The changes that can be made while these versions run, and why the others cannot. All of a module's after one that cannot
    wait with it. running: by version. moving: modules of which rows are on the way between shards, or may yet go back."""
    done: list[SchemaChange] = []
    reasons: dict[str, str] = {}
    for change in changes:
        if change.module in reasons:
            continue
        if change.phase != EXPAND and (why := _too_early(change, running, moving)):
            reasons[change.module] = why
        else:
            done.append(change)
    return done, list(reasons.values())


def held(missing: Iterable[str], moving: Collection[str]) -> list[str]:
    """Why a roll cannot bring migrations to these modules."""
    why = "are moving, or may yet go back; its schema stays until that is over"
    return [f"rows of {module} {why}" for module in missing if module in moving]


def _too_early(change: SchemaChange, running: Mapping[str, Release], moving: Collection[str]) -> str:
    """Rows that are moving are on two shards, of which one refuses writes, a backfill's too."""
    what = f"{change.phase} {', '.join(change.revisions)} of {change.module} waits"
    if change.module in moving:
        return f"{what}: a move of its rows is under way, or may yet be undone"
    if change.phase != CONTRACT:
        return ""
    old = {
        version: missing
        for version, release in running.items()
        if (missing := [each for each in change.revisions if each not in _known(release, change.module)])
    }
    if not old:
        return ""
    versions = " and ".join(old)
    return f"{what}: {versions} runs and does not know it, so it needs what that takes away; ramet roll"


def kept_from(undone: Sequence[str], module: str, running: Mapping[str, Release]) -> list[str]:
    """Why migrations cannot be taken back while these versions run."""
    return [
        f"{version} runs and needs {', '.join(needed)} of {module}; roll to a version without first: ramet roll --path FOLDER"
        for version, release in running.items()
        if (needed := [each for each in undone if each in _known(release, module)])
    ]


def misfits(release: Release, applied: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Why a version cannot run on the databases as they are, or will be once its own migrations up to a contract are applied.

    applied: module -> migrations that its database has: id -> phase.
    """
    found: list[str] = []
    for module, has in applied.items():
        part = release.modules.get(module)
        if part is None or not part.migrations:
            continue
        if gone := [each for each, phase in has.items() if phase == CONTRACT and each not in part.revisions]:
            found.append(
                f"{release.version} does not know the contract {', '.join(gone)} that the database of {module} has, and needs"
                " what that took away; roll a version that knows it"
            )
        lacks = [each for each in part.revisions if each not in has]
        if late := after_contract(lacks, part.revisions):
            found.append(
                f"{release.version} needs {', '.join(late)} of {module}, which follows a contract that is not applied yet; roll a"
                f" version whose last migration is that contract, then: ramet migrate apply {module}"
            )
    return found


def before_contract(lacks: Iterable[str], phases: Mapping[str, str]) -> list[str]:
    """The first of what a database lacks, in order, up to a contract: what a roll applies."""
    found: list[str] = []
    for each in lacks:
        if phases[each] == CONTRACT:
            break
        found.append(each)
    return found


def after_contract(lacks: Sequence[str], phases: Mapping[str, str]) -> list[str]:
    """What is lacking behind a contract that is lacking too, and is no contract."""
    rest = lacks[len(before_contract(lacks, phases)) :]
    return [each for each in rest if phases[each] != CONTRACT]


def _known(release: Release, module: str) -> Collection[str]:
    part = release.modules.get(module)
    return part.revisions if part is not None else ()
