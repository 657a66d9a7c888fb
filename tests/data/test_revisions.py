"""Migrations as files."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data import revisions
from ramet.data.errors import MigrationFailed
from ramet.data.revisions import History, Revision
from ramet.errors import ConfigError

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def write(folder: Path, name: str, text: str) -> None:
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "versions" / name).write_text(text)


def test_new_migrations_follow_each_other(tmp_path: Path) -> None:
    first = revisions.new(tmp_path, "Create articles", now=NOW)
    second = revisions.new(tmp_path, 'Add "tags"\\', now=NOW)
    assert first.name == "20261124120000_create_articles.py"
    history = revisions.read(tmp_path)
    assert [revision.id for revision in history.revisions] == ["20261124120000", "20261124120001"]
    assert history.head == "20261124120001"
    assert str(history.revisions[1]) == "20261124120001 (Add 'tags')"
    compile(second.read_text(), str(second), "exec")


def test_a_new_migration_is_blank_until_something_is_written_into_it(tmp_path: Path) -> None:
    """A blank one is refused by `up`; what a user wrote is never taken for one, whatever its shape."""
    made = revisions.new(tmp_path, "Create articles", now=NOW)
    blank = made.read_text()
    assert revisions.read(tmp_path).revisions[0].is_blank
    for upgrade in ['op.execute("SELECT 1")', 'op.create_table("t")', "pass", 'op.execute("")\n    op.execute("SELECT 1")']:
        head, _, rest = blank.partition("def upgrade() -> None:\n")
        made.write_text(f"{head}def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade{rest.partition('def downgrade')[2]}")
        assert not revisions.read(tmp_path).revisions[0].is_blank, upgrade


def test_no_migrations_are_a_history_too(tmp_path: Path) -> None:
    assert revisions.read(tmp_path / "nowhere") == History((), None)


BROKEN = [
    (
        {"a.py": "revision = 'a'\ndown_revision = None", "b.py": "revision = 'a'\ndown_revision = None"},
        "two migrations have the id a",
    ),
    ({"a.py": "revision = 'a'\ndown_revision = 'z'"}, "a follows z, which is not there"),
    (
        {"a.py": "revision = 'a'\ndown_revision = None", "b.py": "revision = 'b'\ndown_revision = None"},
        "2 migrations are the last: a, b",
    ),
    ({"a.py": "revision = 'a'\ndown_revision = 'b'", "b.py": "revision = 'b'\ndown_revision = 'a'"}, "follows itself"),
    ({"a.py": "down_revision = None"}, "names no revision"),
    ({"a.py": "revision = "}, "is no Python"),
]


@pytest.mark.parametrize(("files", "message"), BROKEN, ids=[case[1] for case in BROKEN])
def test_files_that_make_no_sense_are_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, content in files.items():
        write(tmp_path, name, content)
    with pytest.raises(MigrationFailed, match=message) as caught:
        revisions.read(tmp_path)
    assert str(tmp_path) in (caught.value.where or "")


def test_two_lines_may_be_merged_and_types_annotated(tmp_path: Path) -> None:
    """As Alembic's own template writes them."""
    write(tmp_path, "a.py", "revision: str = 'a'\ndown_revision: str | None = None")
    write(tmp_path, "b.py", "revision = 'b'\ndown_revision = 'a'")
    write(tmp_path, "c.py", "revision = 'c'\ndown_revision = 'a'")
    write(tmp_path, "d.py", "'''merge'''\nrevision = 'd'\ndown_revision = ('b', 'c')\nother = len('x')")
    history = revisions.read(tmp_path)
    assert history.head == "d"
    assert [revision.id for revision in history.missing(("b",))] == ["c", "d"]
    assert [revision.id for revision in history.missing(("b", "c"))] == ["d"]


@given(length=st.integers(0, 8), at=st.integers(-1, 9))
def test_a_database_lacks_what_comes_after_its_revision(length: int, at: int) -> None:
    chain = tuple(Revision(str(n), (str(n - 1),) if n else (), "", Path()) for n in range(length))
    history = History(chain, str(length - 1) if length else None)
    current = () if at < 0 else (str(at),)
    missing = [revision.id for revision in history.missing(current)]
    assert missing == ([] if at >= length else [str(n) for n in range(at + 1, length)])


def test_the_folder_is_in_the_modules_package() -> None:
    assert revisions.folder_of("ramet.data").parts[-3:] == ("ramet", "data", "migrations")
    for name in ("nowhere_at_all", "nowhere_at_all.inside"):
        with pytest.raises(ConfigError, match="there is no package"):
            revisions.folder_of(name)
