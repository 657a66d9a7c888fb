"""A module's migrations as files: their order, what a database lacks of them, and a new one. Pure but for reading and writing
the folder.

They are Alembic's own files, in `<package>/migrations/versions`, and are read here without running them: an instance that
only has to know whether its database is up to date loads neither Alembic nor SQLAlchemy.
"""

import ast
import importlib.util
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from ramet.data.errors import MigrationFailed
from ramet.errors import ConfigError

_TEMPLATE = '''\
"""{message}"""

from alembic import op

revision = "{revision}"
down_revision = {after}


def upgrade() -> None:
    op.execute(
        """
        """
    )


def downgrade() -> None:
    op.execute(
        """
        """
    )
'''


@dataclass(frozen=True, slots=True)
class Revision:
    """after: ids of those that come before; more than one where two lines were merged. is_blank: as `new` wrote it."""

    id: str
    after: tuple[str, ...]
    message: str
    path: Path
    is_blank: bool = False

    def __str__(self) -> str:
        return f"{self.id} ({self.message})" if self.message else self.id


@dataclass(frozen=True, slots=True)
class History:
    """All revisions of a module, each after those that it needs. head: the id of the last one, None without any."""

    revisions: tuple[Revision, ...]
    head: str | None

    def missing(self, current: Collection[str]) -> tuple[Revision, ...]:
        """What a database at `current` lacks, in order. Nothing where it is ahead of this code.

        current: usually one id; several between two lines and their merge.
        """
        if self.is_behind(current):
            return ()
        done = self._with_ancestors(current)
        return tuple(revision for revision in self.revisions if revision.id not in done)

    def is_behind(self, current: Collection[str]) -> bool:
        """Whether the database has a revision that this code does not know."""
        return not all(map(self.knows, current))

    def knows(self, revision: str) -> bool:
        return any(each.id == revision for each in self.revisions)

    def _with_ancestors(self, current: Collection[str]) -> set[str]:
        after = {each.id: each.after for each in self.revisions}
        found: set[str] = set()
        waiting = list(current)
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting.extend(after.get(each, ()))
        return found


def folder_of(package: str) -> Path:
    """`migrations` in a module's package, which need not exist. Raises ConfigError where there is no such package."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not (spec.submodule_search_locations or spec.origin):
        raise ConfigError(f"there is no package {package}")
    root = Path(next(iter(spec.submodule_search_locations))) if spec.submodule_search_locations else Path(str(spec.origin)).parent
    return root / "migrations"


def read(folder: Path) -> History:
    """Raises MigrationFailed for a file that cannot be read, two of one id, one that follows none, or two that nothing
    follows."""
    found = [_read_one(path) for path in sorted((folder / "versions").glob("*.py")) if path.name != "__init__.py"]
    by_id: dict[str, Revision] = {}
    for revision in found:
        if revision.id in by_id:
            raise MigrationFailed(
                f"two migrations have the id {revision.id}",
                revision=revision.id,
                where=f"{revision.path} and {by_id[revision.id].path}",
            )
        by_id[revision.id] = revision
    for revision in found:
        for before in revision.after:
            if before not in by_id:
                raise MigrationFailed(
                    f"{revision} follows {before}, which is not there", revision=revision.id, where=str(revision.path)
                )
    ordered = tuple(_ordered(found, by_id))
    followed = {before for revision in found for before in revision.after}
    heads = [revision for revision in ordered if revision.id not in followed]
    if len(heads) > 1:
        raise MigrationFailed(
            f"{len(heads)} migrations are the last: {', '.join(map(str, heads))}",
            revision=heads[0].id,
            where=str(folder),
            hint=f"let one follow the other: down_revision = {heads[0].id!r} in {heads[1].path.name}",
        )
    return History(ordered, heads[0].id if heads else None)


def new(folder: Path, message: str, *, now: datetime) -> Path:
    """Write an empty migration after the last one; returns its path. now: becomes its id, so that files sort by age."""
    return add(folder, message, _TEMPLATE, now=now)


def add(folder: Path, message: str, template: str, *, now: datetime) -> Path:
    """Write a migration after the last one from a template of `{message}`, `{revision}` and `{after}`; returns its path."""
    history = read(folder)
    revision = now.strftime("%Y%m%d%H%M%S")
    while history.knows(revision):
        revision = str(int(revision) + 1)
    versions = folder / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:40]
    path = versions / f"{revision}_{slug}.py"
    after = f'"{history.head}"' if history.head else "None"
    text = message.replace("\\", "").replace('"', "'")
    path.write_text(template.format(message=text, revision=revision, after=after), encoding="utf-8")
    return path


def _read_one(path: Path) -> Revision:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise MigrationFailed(f"{path.name} is no Python: {error}", revision="", where=str(path)) from error
    named = dict(_assigned(tree.body))
    revision, after = named.get("revision"), named.get("down_revision")
    if not isinstance(revision, str):
        raise MigrationFailed(
            f"{path.name} names no revision", revision="", where=str(path), hint='revision = "..." at the top level'
        )
    ids = [after] if isinstance(after, str) else cast("Iterable[object]", after) if isinstance(after, (tuple, list)) else []
    message = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Revision(revision, tuple(map(str, ids)), message, path, is_blank=_is_blank(tree.body))


def _is_blank(body: Iterable[ast.stmt]) -> bool:
    """Whether `upgrade` executes an empty text and does nothing else."""
    upgrade = [each for each in body if isinstance(each, ast.FunctionDef) and each.name == "upgrade"]
    match upgrade:
        case [ast.FunctionDef(body=[ast.Expr(ast.Call(ast.Attribute(attr="execute"), [ast.Constant(str(text))]))])]:
            return not text.strip()
        case _:
            return False


def _assigned(body: Iterable[ast.stmt]) -> Iterator[tuple[str, object]]:
    """Top-level names with literal values."""
    for statement in body:
        targets = (
            statement.targets
            if isinstance(statement, ast.Assign)
            else [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else []
        )
        value = getattr(statement, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                try:
                    yield target.id, ast.literal_eval(value)
                except ValueError:
                    continue


def _ordered(revisions: Iterable[Revision], by_id: dict[str, Revision]) -> Iterator[Revision]:
    """Each after those that it follows. Raises MigrationFailed for a circle."""
    done: set[str] = set()
    waiting = list(revisions)
    while waiting:
        ready = [revision for revision in waiting if done.issuperset(revision.after)]
        if not ready:
            raise MigrationFailed(f"{waiting[0]} follows itself", revision=waiting[0].id, where=str(by_id[waiting[0].id].path))
        for revision in ready:
            done.add(revision.id)
            yield revision
        waiting = [revision for revision in waiting if revision.id not in done]
