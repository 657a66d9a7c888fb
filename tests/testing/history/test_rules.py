"""What is legal and what is not, one case at a time. Time runs in whole seconds; each request takes half of one unless it says else."""

from collections.abc import Mapping
from typing import Any

import pytest

from ramet.testing.history import History, HistoryRefused, Kind, Operation, Outcome, Promise, Seen, Some, check


def ann(
    at: float, until: float | None = None, *, outcome: Outcome = Outcome.OK, client: str | None = "ann", **what: Any
) -> Operation:
    returned_s = at + 0.5 if until is None else until
    return Operation(client, f"{client or 'nobody'} {at:g}", at, at, returned_s, outcome, **what)


def bob(at: float, until: float | None = None, **what: Any) -> Operation:
    return ann(at, until, client="bob", **what)


def nobody(at: float, **what: Any) -> Operation:
    return ann(at, client=None, **what)


def sets(value: Any) -> dict[str, Any]:
    return {"sets": {"bio": value}}


def saw(value: Any) -> dict[str, Any]:
    return {"reads": {"bio": value}}


def adds(*tokens: str) -> dict[str, Any]:
    return {"adds": {"orders": tokens}}


def removes(*tokens: str) -> dict[str, Any]:
    return {"removes": {"orders": tokens}}


def listed(seen: Any) -> dict[str, Any]:
    return {"reads": {"orders": seen}}


UNKNOWN, FAILED = {"outcome": Outcome.UNKNOWN}, {"outcome": Outcome.FAILED}
FOREVER = 1e6

Findings = set[tuple[str, str | None]]


def found(operations: list[Operation], final: Mapping[str, Seen] | None, promise: Promise, **initial: Seen) -> Findings:
    """(kind, name of the request), but for requests that had no good answer."""
    history = History(initial=initial)
    for operation in operations:
        history.append(operation)
    findings = [each for each in check(history, final, promise=promise).findings if each.kind is not Kind.FAILED]
    return {(each.kind.value, None if each.operation is None else operations[each.operation].name) for each in findings}


LEGAL: dict[str, list[Operation]] = {
    "nothing was written, and nothing seen": [ann(1, **saw(None)), ann(2, **listed(()))],
    "a client sees its own write": [ann(1, **sets("x")), ann(2, **saw("x"))],
    "a write and a read at the same time: the old value": [ann(1, 5, **sets("x")), bob(2, **saw(None))],
    "a write and a read at the same time: the new value": [ann(1, 5, **sets("x")), bob(2, **saw("x"))],
    "two writes at the same time, in either order": [ann(1, 5, **sets("x")), bob(1.1, 5, **sets("y")), bob(6, **saw("x"))],
    "a value that comes again": [ann(1, **sets("x")), ann(2, **sets("y")), ann(3, **sets("x")), ann(4, **saw("x"))],
    "not answered, and not there": [ann(1, **sets("x"), **UNKNOWN), ann(2, **saw(None))],
    "not answered, and there": [ann(1, **sets("x"), **UNKNOWN), ann(2, **saw("x"))],
    "not answered, and comes late": [ann(1, **sets("x"), **UNKNOWN), ann(2, **saw(None)), ann(3, **saw("x"))],
    "not answered, and comes late over what was acknowledged since": [
        ann(1, **sets("x"), **UNKNOWN), ann(2, **sets("y")), ann(3, **saw("y")), ann(4, **saw("x")),
    ],
    "under way, and seen": [ann(1, FOREVER, **sets("x"), **UNKNOWN), bob(2, **saw("x"))],
    "refused, and not there": [ann(1, **sets("x"), **FAILED), ann(2, **saw(None))],
    "sent again under the same token, and there once": [ann(1, **adds("t"), **UNKNOWN), ann(2, **adds("t")), ann(3, **listed(("t",)))],
    "removed": [ann(1, **adds("t")), ann(2, **removes("t")), ann(3, **listed(()))],
    "removed and added again": [ann(1, **adds("t")), ann(2, **removes("t")), ann(3, **adds("t")), ann(4, **listed(("t",)))],
    "a removal that was not answered, either way": [
        ann(1, **adds("t", "u")), ann(2, **removes("t", "u"), **UNKNOWN), ann(3, **listed(("t",))),
    ],
    "a part of a set says nothing of the rest": [ann(1, **adds("t", "u")), ann(2, **listed(Some(has=("t",))))],
    "a count between what must and what may be there": [
        ann(1, **adds("t")), ann(2, **adds("u"), **UNKNOWN), ann(3, **listed(Some(count=1))), ann(4, **listed(Some(count=2))),
    ],
    "a failed read says nothing": [ann(1, **sets("x")), ann(2, **saw("nonsense"), **UNKNOWN)],
}  # fmt: skip


@pytest.mark.parametrize("case", LEGAL, ids=str)
@pytest.mark.parametrize("promise", list(Promise))
def test_what_is_legal_is_not_found(case: str, promise: Promise) -> None:
    """Whoever finds what is not there is soon not believed."""
    assert found(LEGAL[case], None, promise) == set()


WRONG: dict[str, tuple[list[Operation], Findings]] = {
    "its own write is not seen": ([ann(1, **sets("x")), ann(2, **saw(None))], {("stale", "ann 2")}),
    "an older one of its own is": (
        [ann(1, **sets("x")), ann(2, **sets("y")), ann(3, **saw("x"))], {("stale", "ann 3")},
    ),
    "what was seen is gone": ([bob(1, 9, **sets("x")), ann(2, **saw("x")), ann(3, **saw(None))], {("stale", "ann 3")}),
    "what nobody was told of, but was seen, is gone": (
        [bob(1, **sets("x"), **UNKNOWN), ann(2, **saw("x")), ann(3, **saw(None))], {("stale", "ann 3")},
    ),
    "a flag flips back: of equal values the one it can be counts": (
        [ann(1, **sets(True)), ann(2, **sets(False)), bob(3, 20, **sets(True)), ann(4, **saw(True)), ann(6, **saw(False))],
        {("stale", "ann 6")},
    ),
    "a value that nobody wrote": ([ann(1, **saw("x"))], {("unexpected", "ann 1")}),
    "a value that nobody wrote, and is nothing much": ([ann(1, **sets("x")), ann(2, **saw(""))], {("unexpected", "ann 2")}),
    "the same, as a number": ([ann(1, **sets(1)), ann(2, **saw(0))], {("unexpected", "ann 2")}),
    "a value before anybody asked for it": ([ann(1, **saw("x")), bob(2, **sets("x"))], {("unexpected", "ann 1")}),
    "a value of a request that was refused": (
        [ann(1, **sets("x"), **FAILED), bob(2, **saw("x"))], {("unexpected", "ann 1")},
    ),
    "its own command is not listed": ([ann(1, **adds("t")), ann(2, **listed(()))], {("stale", "ann 2")}),
    "its own command was looked for": ([ann(1, **adds("t")), ann(2, **listed(Some(lacks=("t",))))], {("stale", "ann 2")}),
    "its own command is not counted": ([ann(1, **adds("t")), ann(2, **listed(Some(count=0)))], {("stale", "ann 2")}),
    "what it removed is still listed": (
        [ann(1, **adds("t")), ann(2, **removes("t")), ann(3, **listed(("t",)))], {("stale", "ann 3")},
    ),
    "what it removed is still counted": (
        [ann(1, **adds("t")), ann(2, **removes("t")), ann(3, **listed(Some(count=1)))], {("stale", "ann 3")},
    ),
    "a token twice": ([ann(1, **adds("t")), ann(2, **listed(("t", "t")))], {("twice", "ann 1")}),
    "a token twice, in a part": ([ann(1, **adds("t")), ann(2, **listed(Some(has=("t", "t"))))], {("twice", "ann 1")}),
    "a count that all commands together do not explain": (
        [ann(1, **adds("t")), ann(2, **listed(Some(count=2)))], {("twice", "ann 1")},
    ),
    "twice, though its client was not told that it ran once": (
        [ann(1, **adds("t"), **UNKNOWN), ann(2, **listed(("t", "t")))], {("twice", "ann 1")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=str)
@pytest.mark.parametrize("promise", list(Promise))
def test_what_is_wrong_is_found_and_named(case: str, promise: Promise) -> None:
    """Under both promises: these are of one client alone."""
    operations, expected = WRONG[case]
    assert found(operations, None, promise) == expected


ONLY_IN_REAL_TIME: dict[str, tuple[list[Operation], Findings]] = {
    "another client's write": ([bob(1, **sets("x")), ann(2, **saw(None))], {("stale", "ann 2")}),
    "what another client saw": ([bob(1, 9, **sets("x")), bob(9.5, **saw("x")), ann(11, **saw(None))], {("stale", "ann 11")}),
    "another client's command": ([bob(1, **adds("t")), ann(2, **listed(()))], {("stale", "ann 2")}),
    "another client's command, counted": ([bob(1, **adds("t")), ann(2, **listed(Some(count=0)))], {("stale", "ann 2")}),
    "nobody's own earlier read": ([bob(1, 9, **sets("x")), nobody(2, **saw("x")), nobody(3, **saw(None))], {("stale", "nobody 3")}),
}  # fmt: skip


@pytest.mark.parametrize("case", ONLY_IN_REAL_TIME, ids=str)
def test_what_a_session_does_not_promise_is_found_in_real_time_only(case: str) -> None:
    """A replica may be behind for others."""
    operations, expected = ONLY_IN_REAL_TIME[case]
    assert found(operations, None, Promise.SESSION) == set()
    assert found(operations, None, Promise.REAL_TIME) == expected


FINAL: dict[str, tuple[list[Operation], Mapping[str, Seen], Findings]] = {
    "all there": ([ann(1, **sets("x")), ann(2, **adds("t"))], {"bio": "x", "orders": ("t",)}, set()),
    "a key that is not there": ([ann(1, **sets("x")), bob(2, **adds("t"))], {}, {("lost", "ann 1"), ("lost", "bob 2")}),
    "not looked at": ([ann(1, **sets("x")), bob(2, **adds("t"))], {"bio": Some(), "orders": Some()}, set()),
    "overwritten by what was acknowledged": ([ann(1, **sets("x")), bob(2, **sets("y"))], {"bio": "y"}, set()),
    "the one before": ([ann(1, **sets("x")), bob(2, **sets("y"))], {"bio": "x"}, {("lost", "bob 2")}),
    "overwritten by what was not answered, late": (
        [ann(1, **sets("x"), **UNKNOWN), bob(2, **sets("y"))], {"bio": "x"}, set(),
    ),
    "not answered, and not there": ([ann(1, **adds("t"), **UNKNOWN)], {}, set()),
    "not answered, but seen, and not there": (
        [ann(1, **adds("t"), **UNKNOWN), bob(2, **listed(("t",)))], {}, {("lost", "ann 1")},
    ),
    "an acknowledged removal that did not last": (
        [ann(1, **adds("t")), bob(2, **removes("t"))], {"orders": ("t",)}, {("lost", "bob 2")},
    ),
    "too few": ([ann(1, **adds("t", "u"))], {"orders": Some(count=1)}, {("lost", "ann 1")}),
    "a removal that is not counted": (
        [ann(1, **adds("t")), bob(2, **removes("t"))], {"orders": Some(count=1)}, {("lost", "bob 2")},
    ),
    "twice": ([ann(1, **adds("t"))], {"orders": ("t", "t")}, {("twice", "ann 1")}),
    "a value that nobody wrote": ([ann(1, **sets("x"))], {"bio": "z"}, {("unexpected", None)}),
    "a key that nobody asked for": ([], {"other": ("t",)}, {("unexpected", None)}),
    "a refused command": ([ann(1, **adds("t"), **FAILED)], {"orders": ("t",)}, {("unexpected", "ann 1")}),
}  # fmt: skip


@pytest.mark.parametrize("case", FINAL, ids=str)
@pytest.mark.parametrize("promise", list(Promise))
def test_the_final_state_is_held_against_all_that_was_acknowledged(case: str, promise: Promise) -> None:
    """Whoever it was acknowledged to."""
    operations, final, expected = FINAL[case]
    assert found(operations, final, promise) == expected


def test_what_there_was_before_is_no_surprise_and_is_missed_when_it_is_gone() -> None:
    """A history may begin in the middle of a system's life."""
    seen = [ann(1, **saw("x")), ann(2, **listed(("t",)))]
    before: dict[str, Seen] = {"bio": "x", "orders": ("t",)}
    assert found(seen, before, Promise.SESSION, **before) == set()
    assert found(seen, {}, Promise.SESSION, **before) == {("lost", None)}
    assert found([ann(1, **sets("y"))], {"orders": ("t",), "bio": "x"}, Promise.SESSION, **before) == {("lost", "ann 1")}


def test_a_finding_names_the_request_its_answer_and_the_time() -> None:
    """So that its log line is found, and somebody believes it."""
    history = History()
    history.append(ann(101, **sets("x"), request_id="r-1"))
    history.append(bob(102, outcome=Outcome.UNKNOWN, status=503, reason="upstream reset", **adds("t")))
    history.append(ann(103, **saw(None)))
    report = check(history, {"bio": "z"})
    assert report.text().splitlines() == [
        "3 requests: 1 failed, 0 twice, 0 lost, 1 stale, 1 unexpected",
        "failed: bob 102 of bob at 1.000 s: 503 upstream reset, may have run",
        "stale: ann 103 of ann at 2.000 s saw None in bio, after ann 101 of ann (r-1) at 0.000 s",
        "unexpected: the final state: 'z' in bio",
    ]
    assert report.text(most=0).count("1 more") == 3
    assert not report.is_clean


def test_a_request_with_many_findings_counts_once() -> None:
    """The counts are of requests."""
    history = History()
    history.append(ann(1, sets={"bio": "x", "name": "y"}, adds={"orders": ("t", "u")}))
    history.append(ann(2, reads={"bio": None, "name": None, "orders": ()}))
    report = check(history, None)
    assert len(report.findings) == 4
    assert report.counts[Kind.STALE] == 1


@pytest.mark.parametrize("other", [adds("t"), listed(("t",)), listed(Some(count=1))])
def test_a_key_is_a_register_or_a_set(other: Any) -> None:
    """What is both was recorded wrongly, and nothing can be said of it."""
    what = {side: {"bio": next(iter(values.values()))} for side, values in other.items()}
    with pytest.raises(HistoryRefused, match="bio is a register in one request and a set in another"):
        found([ann(1, **sets("x")), ann(2, **what)], None, Promise.SESSION)
