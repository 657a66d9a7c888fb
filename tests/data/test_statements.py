"""What a statement's text tells."""

import pytest

from ramet.data.statements import Leaves, facts_of, is_script

SUMMARIES = [
    ("SELECT * FROM articles WHERE slug = $1", "SELECT articles"),
    ("select a.x from app.articles a join accounts on true", "SELECT articles accounts"),
    ("INSERT INTO articles (title) VALUES ('from accounts') RETURNING id", "INSERT articles"),
    ("UPDATE articles SET title = $1", "UPDATE articles"),
    ("DELETE FROM only articles", "DELETE articles"),
    ("WITH recent AS (SELECT * FROM articles) SELECT * FROM recent", "SELECT articles"),
    ("WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone", "INSERT a b"),
    ("SELECT 1", "SELECT"),
    ("SELECT * FROM (SELECT * FROM inner_table) t", "SELECT inner_table"),
    ("-- from nowhere\nSELECT /* FROM nothing */ x FROM articles", "SELECT articles"),
    ('SELECT * FROM "order"', "SELECT order"),
    ("SELECT * FROM a, b JOIN c ON true JOIN d ON true JOIN e ON true JOIN f ON true", "SELECT a c d ..."),
    ("", "EMPTY"),
]


@pytest.mark.parametrize(("text", "summary"), SUMMARIES)
def test_a_summary_is_the_verb_and_the_tables(text: str, summary: str) -> None:
    """A label of a metric: few different values, and never one of a row."""
    assert facts_of(text).summary == summary


LEFT_BEHIND = [
    ("SET statement_timeout = 100", Leaves.SESSION),
    ("set session search_path to x", Leaves.SESSION),
    ("SELECT 1; SET x.y = 1", Leaves.SESSION),
    ("SELECT set_config('a.b', '1', false)", Leaves.SESSION),
    ("SELECT set_config('a.b', '1', true)", Leaves.NOTHING),
    ("SELECT set_config('a.b', f(true), g(1, true))", Leaves.SESSION),
    ("SELECT set_config($1, $2, $3)", Leaves.SESSION),
    ("SELECT pg_advisory_lock(1)", Leaves.SESSION),
    ("SELECT pg_try_advisory_lock_shared(1)", Leaves.SESSION),
    ("LISTEN channel", Leaves.SESSION),
    ("CREATE TEMP TABLE t (x int)", Leaves.SESSION),
    ("create local temporary table t (x int)", Leaves.SESSION),
    ("SELECT * INTO TEMP t FROM articles", Leaves.SESSION),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", Leaves.SESSION),
    ("DO $$ BEGIN PERFORM 1; END $$", Leaves.SESSION),
    ("CALL something()", Leaves.SESSION),
    ("PREPARE p AS SELECT 1", Leaves.CONNECTION),
    ("LOAD 'auto_explain'", Leaves.CONNECTION),
    ("DISCARD ALL", Leaves.CONNECTION),
    ("SET LOCAL statement_timeout = 100", Leaves.NOTHING),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", Leaves.NOTHING),
    ("SELECT pg_advisory_xact_lock(1)", Leaves.NOTHING),
    ("UPDATE articles SET temp = 1, call = 2", Leaves.NOTHING),
    ("INSERT INTO a VALUES (1) ON CONFLICT (x) DO UPDATE SET y = 1", Leaves.NOTHING),
    ("SELECT 'SET x = 1; LISTEN y'", Leaves.NOTHING),
    ("SELECT temp FROM readings", Leaves.NOTHING),
]


@pytest.mark.parametrize(("text", "leaves"), LEFT_BEHIND)
def test_what_stays_in_the_session_is_seen_in_the_text(text: str, leaves: Leaves) -> None:
    """A clean connection is given on without a round trip, so one that is not clean has to be known."""
    assert facts_of(text).leaves is leaves


@pytest.mark.parametrize("text", ["BEGIN", "  commit", "ROLLBACK", "START TRANSACTION", "END", "/* */ abort"])
def test_a_statement_that_ends_or_begins_a_transaction_is_known(text: str) -> None:
    """The block does that; a statement doing it too would leave the block with nothing to end."""
    assert facts_of(text).controls


@pytest.mark.parametrize("text", ["ROLLBACK TO SAVEPOINT a", "COMMIT PREPARED 'x'", "SELECT 'begin'", "SAVEPOINT a"])
def test_savepoints_and_prepared_transactions_are_not_the_blocks_business(text: str) -> None:
    assert not facts_of(text).controls


def test_several_statements_are_told_from_one() -> None:
    assert is_script("SELECT 1; SELECT 2")
    assert not is_script("SELECT 1;\n")
    assert is_script("SELECT ';'"), "errs towards yes: the server takes one statement that way too"
