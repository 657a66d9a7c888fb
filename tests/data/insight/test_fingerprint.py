"""Which texts are one query. No server."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data.insight.fingerprint import DIGITS, fingerprint, shown, tokens_of

SAME = [
    ("SELECT 1", "select  2"),
    ("SELECT * FROM t WHERE a = $1", "SELECT * FROM t WHERE a = $2"),
    ("SELECT * FROM t WHERE a = 'x'", "SELECT * FROM t WHERE a = $1"),
    ("SELECT * FROM t WHERE a = 'it''s'", "SELECT * FROM t WHERE a = E'it\\'s'"),
    ("SELECT * FROM t WHERE a = $$x$$", "SELECT * FROM t WHERE a = $tag$ $$ 'y' $tag$"),
    ("SELECT a /* one */ FROM t -- two\n", "SELECT a FROM t"),
    ("SELECT a /* one /* in */ another */ FROM t", "SELECT a FROM t"),
    ("SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN ($1, -2, NULL)"),
    ("SELECT a FROM t WHERE b = ANY (ARRAY[1, 2])", "SELECT a FROM t WHERE b = ANY (ARRAY[3])"),
    ("INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (3, 4), (5, 6), ($1, $2)"),
    ("INSERT INTO t VALUES (1, now()), (2, now()) RETURNING a", "INSERT INTO t VALUES (1, now()) RETURNING a"),
    ("SELECT a FROM t LIMIT 1e3", "SELECT a FROM t LIMIT 0x1F;"),
    ("SELECT A.b FROM T a", "select a.B from t A"),
]
DIFFERENT = [
    ("SELECT a FROM t", "SELECT b FROM t"),
    ('SELECT "A" FROM t', 'SELECT "a" FROM t'),
    ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b > 1"),
    ("SELECT a FROM t WHERE b IN (1, c)", "SELECT a FROM t WHERE b IN (1)"),
    ("SELECT f(1)", "SELECT f(1, 2)"),
    ("SELECT a FROM t WHERE b IS NULL", "SELECT a FROM t WHERE b IS NOT NULL"),
    ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1, 2)"),
    ("SELECT t1.a FROM t1", "SELECT t2.a FROM t2"),
]

PIECES = ["SELECT a, b FROM t WHERE c =", " AND d IN (", ", ", ") AND e =", " ORDER BY f"]
LITERAL = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(
        lambda text: "'" + text.replace("'", "''") + "'"
    ),
    st.integers(1, 999).map(lambda number: f"${number}"),
    st.text(st.characters(exclude_characters="\0$", exclude_categories=["Cs"])).map(lambda text: f"$q${text}$q$"),
)
GAP = st.one_of(
    st.sampled_from([" ", "\n", "\t  ", "/**/", "/* a /* nested */ note */"]),
    st.text(string.ascii_letters + "'\"$").map(lambda text: f"--{text}\n"),
)
"""What may stand between two tokens."""


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_query_has_one_fingerprint(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_queries_have_different_ones(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_it_is_the_same_in_every_process_and_release() -> None:
    """People write it down: in tickets, in the command that they run tomorrow."""
    assert fingerprint("SELECT id FROM orders WHERE sku = $1") == "09adc98cc7"


@given(st.lists(LITERAL, min_size=4, max_size=4), st.lists(LITERAL, min_size=4, max_size=4))
def test_no_literal_counts(some: list[str], others: list[str]) -> None:
    def text(literals: list[str]) -> str:
        ends = [f" {literal}" for literal in literals]
        return "".join(piece + end for piece, end in zip(PIECES, [*ends, ""], strict=True))

    assert fingerprint(text(some)) == fingerprint(text(others))


@given(st.lists(GAP, min_size=7, max_size=7), st.booleans())
def test_no_comment_white_space_or_case_counts(gaps: list[str], is_upper: bool) -> None:
    words = ["select", "a", "from", "t", "where", "b=", "1"]
    text = "".join((word.upper() if is_upper else word) + gap for word, gap in zip(words, gaps, strict=True))
    assert fingerprint(text) == fingerprint("SELECT a FROM t WHERE b = 2")


@given(st.integers(1, 40), st.integers(1, 40))
def test_how_long_a_list_is_does_not_count(one: int, other: int) -> None:
    def text(count: int) -> str:
        return f"DELETE FROM t WHERE a IN ({', '.join(['$1'] * count)})"

    assert fingerprint(text(one)) == fingerprint(text(other))


@given(st.text() | st.text("'\"$/*-() ,[]inNvaluesVALUES1"))
def test_every_text_has_one_and_what_is_shown_has_the_same(text: str) -> None:
    """Also what is no SQL, or breaks off in the middle."""
    found = fingerprint(text)
    assert len(found) == DIGITS
    assert set(found) <= set(string.hexdigits)
    assert "".join(token.text for token in tokens_of(text)) in "".join(text.split()) or any(
        mark in text for mark in ("--", "/*", "'", '"', "$")
    )
    if len(text) < 1000:
        assert fingerprint(shown(text)) == found


def test_a_shown_text_is_one_line_without_values() -> None:
    text = "SELECT a, b -- note\n  FROM t\n WHERE email = 'ann@example.org' AND c = $1\n"
    assert shown(text) == "SELECT a, b FROM t WHERE email = ? AND c = $1"


def test_a_long_text_is_read_in_a_moment_and_shown_in_part() -> None:
    """Within the suite's timeout by orders of magnitude: nothing in it is quadratic."""
    text = "INSERT INTO t VALUES " + ", ".join(f"({number}, 'x{number}')" for number in range(20_000))
    assert fingerprint(text) == fingerprint("INSERT INTO t VALUES (1, 'a')")
    assert shown(text).endswith(" ...")
    assert len(shown(text)) <= 2000
