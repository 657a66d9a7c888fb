"""What a client's `with` becomes in the history."""

import asyncio
import itertools
from typing import Any

import pytest

from ramet.errors import CallError
from ramet.testing.history import History, HistoryRefused, Kind, Outcome, Some, check


def counting() -> History:
    """Its clock says 0, 1, 2, ..."""
    ticks = itertools.count()
    return History(clock=lambda: float(next(ticks)))


def test_a_request_that_ends_well_is_acknowledged_with_all_that_it_asked_for_and_saw() -> None:
    """The times are those of the block; latency counts from when it was due."""
    history = counting()
    with history.request(
        "ann", "POST /orders", sets={"bio": "x"}, adds={"orders": "t"}, removes={"carts": ["u", "v"]}, request_id="r", due_s=-2.0
    ) as request:
        request.saw({"bio": "x", "orders": ["t"]})
        request.saw({"likes": Some(count=1)})
    (operation,) = history.operations
    assert (operation.client, operation.name, operation.request_id, operation.kind) == ("ann", "POST /orders", "r", "command")
    assert (operation.due_s, operation.invoked_s, operation.returned_s, operation.latency_s) == (-2.0, 0.0, 1.0, 3.0)
    assert operation.outcome is Outcome.OK
    assert (operation.sets, operation.adds, operation.removes) == ({"bio": "x"}, {"orders": ("t",)}, {"carts": ("u", "v")})
    assert operation.reads == {"bio": "x", "orders": ("t",), "likes": Some(count=1)}


def test_who_has_no_plan_is_due_when_they_begin() -> None:
    """Then latency is as long as the block."""
    history = counting()
    with history.request("ann", "GET /"):
        pass
    assert history.operations[0].latency_s == 1.0
    assert history.operations[0].kind == "read"


def test_what_a_client_does_with_the_answer_is_not_the_system_s_time() -> None:
    """It may take long to look at, and is part of the block."""
    history = counting()
    with history.request("ann", "GET /") as request:
        request.answered()
        history.clock()
        request.saw({"bio": None})
    assert history.operations[0].returned_s == 1.0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (CallError("no endpoint", may_have_run=False), Outcome.FAILED),
        (CallError("no answer", may_have_run=True), Outcome.UNKNOWN),
        (OSError("reset"), Outcome.UNKNOWN),
        (asyncio.CancelledError(), Outcome.UNKNOWN),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_exception_leaves_the_outcome_open_unless_it_says_that_nothing_ran(error: BaseException, outcome: Outcome) -> None:
    """And goes on."""
    history = counting()
    with pytest.raises(type(error)), history.request("ann", "PUT /", sets={"bio": "x"}):
        raise error
    (operation,) = history.operations
    assert operation.outcome is outcome
    assert operation.reason.startswith(type(error).__name__)


@pytest.mark.parametrize(("may_have_run", "outcome"), [(True, Outcome.UNKNOWN), (False, Outcome.FAILED)])
def test_an_answer_can_be_a_failure(may_have_run: bool, outcome: Outcome) -> None:
    """The client knows what its status means."""
    history = counting()
    with history.request("ann", "PUT /", sets={"bio": "x"}) as request:
        request.fail("reset", status=503, may_have_run=may_have_run)
    (operation,) = history.operations
    assert (operation.outcome, operation.status, operation.reason) == (outcome, 503, "reset")


def test_a_good_answer_can_say_that_nothing_was_done() -> None:
    """It is no failure, and what was asked for is not there."""
    history = counting()
    with history.request("ann", "POST /like", sets={"bio": "x"}, adds={"likes": "ann"}) as request:
        request.did_nothing()
    assert check(history, {}).is_clean


def test_what_is_under_way_may_have_run() -> None:
    """A history can be taken at any time."""
    history = counting()
    with history.request("ann", "PUT /", sets={"bio": "x"}):
        (operation,) = history.operations
        assert (operation.outcome, operation.returned_s, operation.latency_s) == (Outcome.UNKNOWN, None, None)
        for final in ({}, {"bio": "x"}):
            assert [finding.kind for finding in check(history, final).findings] == [Kind.FAILED]
        assert (len(history), repr(history)) == (1, "<History of 0 requests, 1 under way>")
    assert check(history, {"bio": "x"}).is_clean


@pytest.mark.parametrize(
    "what",
    [{"sets": {"bio": float("nan")}}, {"sets": {"bio": ["x"]}}, {"sets": {"bio": {"a": 1}}}, {"adds": {"orders": [1]}}],
    ids=str,
)
def test_what_cannot_be_compared_is_refused_where_it_is_recorded(what: dict[str, Any]) -> None:
    """With the key."""
    (key,) = next(iter(what.values()))
    with pytest.raises(HistoryRefused, match=key):
        counting().request("ann", "PUT /", **what)
    with pytest.raises(HistoryRefused, match="bio"), counting().request("ann", "GET /") as request:
        request.saw({"bio": object()})  # type: ignore[dict-item]


def test_what_was_there_before_is_known_in_full() -> None:
    """A part of a set would leave open what is unexpected."""
    with pytest.raises(HistoryRefused, match="orders: what there was before"):
        History(initial={"orders": Some(count=1)})
