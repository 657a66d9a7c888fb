"""What a materialised result may be declared as, and when it is looked at."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.errors import DeclarationError
from ramet.model.materialized import MAX_PAUSE_S, MAX_RETRY_S, MIN_PAUSE_S, Materialized, materialized_of, pause_s, retry_pause_s
from ramet.module import Module

BY_KEY: dict[str, Any] = {"depends": {"a": "id"}, "columns": {"id": "bigint", "n": "numeric(10, 2)"}, "key": "id"}
WHOLE: dict[str, Any] = {"depends": ["a"], "columns": {"id": "bigint"}, "unique": ["id"]}


def totals() -> str:
    return """
        SELECT id, n FROM a WHERE id = ANY($1);
    """


def all_totals() -> str:
    return "SELECT id FROM a"


def made(function: Callable[[], str] = totals, **options: Any) -> Materialized:
    rest = {"unique": None, "key": None, "every": None, "max_stale": None, "deadline": "30s"}
    return materialized_of("shop", function, **{**rest, **options})


def test_a_result_by_key_is_told_apart_by_its_key() -> None:
    """The query loses its margin and what ends it, since it becomes a part of another one."""
    result = made(**BY_KEY, max_stale="5s")
    assert (result.key, result.unique, result.max_stale_s) == ("id", ("id",), 5)
    assert result.query == "SELECT id, n FROM a WHERE id = ANY($1)"
    assert (result.changes, result.note) == ("ramet_changes_totals", "ramet_note_totals")
    assert result.where.startswith(f"{__file__}:")


def test_a_whole_result_has_no_key() -> None:
    """And its tables name no column."""
    result = made(all_totals, **WHOLE)
    assert (result.key, result.tables, result.every_s) == ("", {"a": ""}, None)


async def asked() -> str:
    return "SELECT 1"


def Upper() -> str:  # noqa: N802
    return "SELECT 1"


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a coroutine": (asked, WHOLE, "is not a plain function without parameters"),
    "a function with parameters": (lambda x: x, WHOLE, "cannot name a table"),
    "a name that is no table's": (Upper, WHOLE, "cannot name a table"),
    "no query": (lambda: "", WHOLE, "cannot name a table"),
    "no tables": (all_totals, {**WHOLE, "depends": []}, r"depends on \[\]"),
    "a text for tables": (all_totals, {**WHOLE, "depends": "a"}, "depends on 'a'"),
    "another module's table": (all_totals, {**WHOLE, "depends": ["other.a"]}, "depends on 'other.a'"),
    "a key, and tables without columns": (totals, {**BY_KEY, "depends": ["a"]}, "has a key, and tables without the column"),
    "columns of tables, and no key": (all_totals, {**WHOLE, "depends": {"a": "id"}}, "names columns of tables, and no key"),
    "a key that the query does not take": (all_totals, BY_KEY, "has a key, and a query that does not take it"),
    "a query that takes keys, and none": (totals, WHOLE, "has no key, and a query that takes one"),
    "nothing to tell rows apart": (all_totals, {**WHOLE, "unique": None}, "has neither `key` nor `unique`"),
    "one text to tell rows apart": (all_totals, {**WHOLE, "unique": "id"}, "which is one text"),
    "rows that are told apart without their key": (totals, {**BY_KEY, "unique": ["n"]}, "has `unique` without its key id"),
    "a key that is no column": (totals, {**BY_KEY, "columns": {"n": "int"}}, "has no column 'id'"),
    "no columns": (all_totals, {**WHOLE, "columns": {}}, "has no columns"),
    "a type that ends the statement": (
        all_totals,
        {**WHOLE, "columns": {"id": "int); DROP TABLE a"}},
        "has a column 'id' of type",
    ),
    "a column that ends the statement": (all_totals, {**WHOLE, "columns": {'id"': "int"}}, "has a column"),
    "no duration": (all_totals, {**WHOLE, "max_stale": "soon"}, "is not a duration"),
    "no time": (all_totals, {**WHOLE, "every": 0}, "in no time"),
}


@pytest.mark.parametrize("claim", REFUSED)
def test_what_cannot_work_is_refused_at_import_with_its_line(claim: str) -> None:
    """And with a line that could."""
    function, options, message = REFUSED[claim]
    with pytest.raises(DeclarationError, match=message) as caught:
        made(function, **options)
    assert f"at: {__file__}:" in caught.value.__notes__[0]
    assert caught.value.__notes__[1].startswith("hint: ")


def test_a_result_needs_a_database_and_a_name_of_its_own() -> None:
    """Before it and beside it, in the module."""
    module = Module("shop")
    with pytest.raises(DeclarationError, match="has no database"):
        module.materialized(**WHOLE)(all_totals)
    module.database()
    result = module.materialized(**WHOLE)(all_totals)
    assert module.results == {"all_totals": result}
    assert repr(result) == "<MaterializedResult shop.all_totals, whole>"
    with pytest.raises(DeclarationError, match="has two `all_totals`"):
        module.materialized(**WHOLE)(all_totals)


# When


def test_pauses_double_while_nothing_changes_and_are_short_again_with_a_change() -> None:
    """From 50 ms to a second."""
    pauses = [MIN_PAUSE_S]
    while pauses[-1] < MAX_PAUSE_S:
        pauses.append(pause_s(pauses[-1], took_s=None, is_whole=False))
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0])
    assert pause_s(MAX_PAUSE_S, took_s=0.3, is_whole=False) == MIN_PAUSE_S
    assert pause_s(0.0, took_s=None, is_whole=False) == MIN_PAUSE_S


@given(st.floats(0, 100))
def test_a_whole_refresh_takes_half_of_the_time_at_most(took_s: float) -> None:
    """However long it takes."""
    assert pause_s(MIN_PAUSE_S, took_s=took_s, is_whole=True) == max(took_s, MIN_PAUSE_S)


def test_what_fails_again_and_again_is_tried_less_and_less() -> None:
    """Up to 30 s, and for any number of failures."""
    assert [retry_pause_s(failures) for failures in (1, 2, 3, 6, 7, 10_000)] == [1, 2, 4, MAX_RETRY_S, MAX_RETRY_S, MAX_RETRY_S]
