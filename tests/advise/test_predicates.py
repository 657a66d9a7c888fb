"""What a query asks of each table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.advise.predicates import Reading, Want, read

CASES: list[tuple[str, tuple[Want, ...]]] = [
    ("SELECT 1 FROM t WHERE a = $1 AND 2 = b", (Want("t", ("a", "b")),)),
    ("SELECT 1 FROM s.T x WHERE x.A = ANY($1) AND b IN (1, 2)", (Want("t", ("a", "b")),)),
    ('SELECT 1 FROM "T" WHERE "A" = ?', (Want("T", ("A",)),)),
    ("SELECT 1 FROM t WHERE a > $1 AND b BETWEEN 1 AND 2 ORDER BY c DESC, d", (Want("t", (), ("a", "b"), ("c", "d")),)),
    ("SELECT 1 FROM t WHERE a = $1 OR b = $2", (Want("t"),)),
    ("SELECT 1 FROM t WHERE (a = $1 AND (b = 2))", (Want("t", ("a", "b")),)),
    ("SELECT 1 FROM t WHERE lower(a) = $1 AND b <> 2", (Want("t", wrapped=("a",)),)),
    ("SELECT 1 FROM t WHERE a = b", (Want("t"),)),
    ("SELECT 1 FROM t WHERE a = lower($1::text)", (Want("t", ("a",)),)),
    (
        "SELECT 1 FROM t JOIN u ON u.t_id = t.id WHERE t.a = $1 AND u.b > 1 ORDER BY t.c",
        (Want("t", ("a",), links=(("id", "u", "t_id"),)), Want("u", (), ("b",), links=(("t_id", "t", "id"),))),
    ),
    ("SELECT 1 FROM t, u WHERE a = $1", (Want("t"), Want("u"))),
    ("SELECT 1 FROM t WHERE a = (SELECT max(b) FROM u WHERE c = $1)", (Want("t", ("a",)), Want("u", ("c",)))),
    ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)", (Want("t"), Want("u", ("t_id",)))),
    ("WITH made AS (SELECT 1 FROM t WHERE a = 1) SELECT 1 FROM made WHERE b = 2", (Want("t", ("a",)),)),
    ("UPDATE t SET a = $1 WHERE id = $2", (Want("t", ("id",)),)),
    ("DELETE FROM t WHERE id = $1", (Want("t", ("id",)),)),
]


@pytest.mark.parametrize(("text", "wants"), CASES, ids=[text for text, _ in CASES])
def test_conditions_that_all_rows_must_meet_are_read(text: str, wants: tuple[Want, ...]) -> None:
    reading = read(text)
    assert not reading.problem
    assert sorted(reading.wants, key=lambda want: want.table) == sorted(wants, key=lambda want: want.table)


def test_an_insert_gives_columns() -> None:
    reading = read("INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT (a) DO UPDATE SET b = $2 RETURNING a")
    assert (reading.verb, reading.inserted) == ("insert", (("t", ("a", "b")),))


@pytest.mark.parametrize("text", ["SELEC 1 FRM", "SELECT 1; SELECT 2", "LOCK TABLE t", "", "SELECT " + "(" * 5000, "x" * 30_000])
def test_what_cannot_be_read_says_so(text: str) -> None:
    reading = read(text)
    assert reading.problem
    assert reading == Reading("", problem=reading.problem)


@given(
    st.lists(
        st.sampled_from(
            [
                *"(),=<>*.$'",
                "SELECT",
                "a",
                "t",
                "FROM",
                "WHERE",
                "AND",
                "IN",
                "JOIN",
                "ON",
                "1",
                "$1",
                "=",
                "ORDER BY",
                "UPDATE",
                "SET",
                "VALUES",
                "INSERT INTO",
                "EXISTS",
                "BETWEEN",
                "ANY",
                "NOT",
                "IS NULL",
                "lower(",
            ]
        ),
        max_size=25,
    )
)
def test_every_text_is_read_or_refused(words: list[str]) -> None:
    """What is no SQL has a problem, and raises nothing."""
    reading = read(" ".join(words))
    assert reading.problem or reading.verb
