"""Faults in migrations, each planted alone: it is found, and nothing else is; and what is clean passes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ramet.check import migration_lint
from ramet.data import revisions, sequences
from ramet.data.errors import MigrationFailed
from ramet.data.revisions import Phase
from ramet.data.sequences import Part

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def found(folder: Path, *parts: Part, key: str | None = None, comment: str = "") -> list[str]:
    """Rules of what is wrong with one migration after the other, in the module `orders`."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    for path in sequences.write(folder, "change", parts, now=NOW):
        path.write_text(f"{path.read_text()}{comment}\n")
    findings = migration_lint.lint("orders", key, folder, revisions.read(folder).revisions)
    return [each.fault.rule for each in findings]


def sql(*statements: str, phase: Phase = Phase.EXPAND) -> Part:
    return Part(phase, tuple(f"op.execute({statement!r})" for statement in statements))


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE t DROP COLUMN a", "contract-in-expand"),
        ("DROP TABLE t", "contract-in-expand"),
        ("UPDATE t SET a = 1", "rows-at-once"),
        ("DELETE FROM t", "rows-at-once"),
        ("INSERT INTO t SELECT * FROM u", "rows-at-once"),
        ("ALTER TABLE t ADD COLUMN a uuid REFERENCES people.people (id)", "foreign-key-at-home"),
        ("CREATE INDEX i ON t (a)", "require-concurrent-index-creation"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "constraint-missing-not-valid"),
        ("ALTER TABLE t ADD COLUMN a text NOT NULL", "adding-required-field"),
        ("ALTER TABLE t ADD COLUMN a bigint DEFAULT random()", "adding-field-with-default"),
        ("CREATE TABLE u (id uuid PRIMARY KEY, at timestamp)", "prefer-timestamp-tz"),
        ("CREATE TABLE u (id uuid PRIMARY KEY, n int)", "prefer-bigint-over-int"),
        ("ALTER TABLE t ADD COLUMN", "syntax-error"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, statement: str, rule: str) -> None:
    """By its own rule; another one may see it too, from another side."""
    assert rule in found(tmp_path, sql(statement))


@pytest.mark.parametrize(
    ("statement", "rules"),
    [
        ("ALTER TABLE t RENAME COLUMN a TO b", {"contract-in-expand", "renaming-column"}),
        ("ALTER TABLE t ALTER COLUMN a TYPE bigint", {"contract-in-expand", "changing-column-type"}),
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", {"contract-in-expand", "adding-not-nullable-field"}),
    ],
)
def test_what_breaks_code_and_blocks_is_told_as_both(tmp_path: Path, statement: str, rules: set[str]) -> None:
    """Two reasons, two safe forms."""
    assert set(found(tmp_path, sql(statement))) == rules


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE TABLE u (id uuid PRIMARY KEY, author_id uuid)", "key-in-primary-key"),
        ("CREATE TABLE u (id uuid, author_id uuid, PRIMARY KEY (id, author_id))", "key-in-primary-key"),
        ("CREATE TABLE u (id uuid)", "key-in-primary-key"),
        ("CREATE TABLE u (id uuid, author_id uuid, slug text UNIQUE, PRIMARY KEY (author_id, id))", "key-in-unique"),
        ("CREATE TABLE u (id uuid, author_id uuid, slug text, PRIMARY KEY (author_id, id), UNIQUE (slug))", "key-in-unique"),
        (
            "CREATE TABLE u (id bigint GENERATED ALWAYS AS IDENTITY, author_id uuid, PRIMARY KEY (author_id, id))",
            "no-sequence",
        ),
    ],
)
def test_what_only_one_shard_could_keep_is_found_where_there_is_a_key(tmp_path: Path, statement: str, rule: str) -> None:
    """And is right in a database without one, which has one shard for ever."""
    assert found(tmp_path / "keyed", sql(statement), key="author_id") == [rule]
    assert found(tmp_path / "plain", sql(statement)) == []


@pytest.mark.parametrize(
    "parts",
    [
        [
            sql(
                "CREATE TABLE u (author_id uuid, id uuid, slug text, PRIMARY KEY (author_id, id), UNIQUE (author_id, slug))",
                "CREATE INDEX ON u (slug)",
            )
        ],
        [sql("ALTER TABLE t DROP COLUMN a", phase=Phase.CONTRACT)],
        sequences.rename("t", "a", "b", key=["id"]),
        sequences.column_type("t", "a", "b", "bigint", using="", back="", key=["id"]),
        sequences.not_null("t", "a", using="'x'", key=["id"]),
        sequences.not_null("t", "a", using="", key=["id"]),
        sequences.index("t", ["author_id", "a"], is_unique=True),
        sequences.index("t", ["a"], is_unique=False),
        sequences.foreign_key("t", "a", "u", "id"),
        sequences.drop_column("t", "a"),
    ],
    ids=["new table", "contract", "rename", "type", "not null", "not null without", "unique", "index", "foreign key", "drop"],
)
def test_what_is_clean_passes(tmp_path: Path, parts: list[Part]) -> None:
    """All that `ramet migrate new` writes is."""
    assert found(tmp_path, *parts, key="author_id") == []


def test_a_fault_is_waived_with_a_reason(tmp_path: Path) -> None:
    """In the file, for one rule. Without a reason the waiver is a fault itself."""
    fault = sql("UPDATE t SET a = 1")
    assert found(tmp_path / "a", fault, comment="# ramet: allow rows-at-once because it has three rows") == []
    assert found(tmp_path / "b", fault, comment="# ramet: allow rows-at-once") == ["rows-at-once", "waiver-without-reason"]
    assert found(tmp_path / "c", fault, comment="# ramet: allow no-sequence because of that") == ["rows-at-once"]


def test_a_backfill_says_that_it_is_one_and_is_alone(tmp_path: Path) -> None:
    """Under another phase it would fill in nothing; beside a statement, that would run by itself."""
    fill = "backfill('t', set={'a': '1'})"
    assert found(tmp_path / "a", Part(Phase.EXPAND, (fill,))) == ["backfill-alone"]
    assert "backfill-alone" in found(tmp_path / "b", Part(Phase.BACKFILL, (fill, "op.execute('SELECT 1')")))


def test_all_faults_are_refused_at_once_with_the_safe_form(tmp_path: Path) -> None:
    """And with how to say that one is as it should be."""
    found(tmp_path, sql("UPDATE t SET a = 1", "DROP TABLE t"))
    findings = migration_lint.lint("orders", None, tmp_path, revisions.read(tmp_path).revisions)
    with pytest.raises(MigrationFailed, match="2 faults in the migrations") as caught:
        migration_lint.refuse(findings)
    assert "safe: backfill(...) in a migration with phase" in caught.value.message
    assert "because REASON" in (caught.value.hint or "")
    migration_lint.refuse([])


def test_a_migration_that_reads_the_database_cannot_be_linted(tmp_path: Path) -> None:
    """It is told which, since nothing of it could be seen."""
    with pytest.raises(MigrationFailed, match="cannot be told without running it"):
        found(tmp_path, Part(Phase.EXPAND, ("op.get_bind().exec_driver_sql('SELECT 1').scalar()",)))
