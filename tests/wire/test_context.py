"""What travels with a call: trace, baggage, causal token."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ramet
from ramet.errors import UsageError
from ramet.wire.context import MAX_BAGGAGE_BYTES, NOTHING, Causal, Context, Face, check_baggage, current, parse_traceparent
from tests.wire.generated import quick

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
IDS = (bytes.fromhex(TRACE), bytes.fromhex(SPAN))

TRACEPARENTS = {
    "the specification's example": (f"00-{TRACE}-{SPAN}-01", (*IDS, 1)),
    "not sampled": (f"00-{TRACE}-{SPAN}-00", (*IDS, 0)),
    "spaces around": (f"  00-{TRACE}-{SPAN}-01 ", (*IDS, 1)),
    "flags of a later level": (f"00-{TRACE}-{SPAN}-ff", (*IDS, 255)),
    "a later version": (f"cc-{TRACE}-{SPAN}-01", (*IDS, 1)),
    "a later version with more fields": (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", (*IDS, 1)),
    "a later version with flags that run on": (f"cc-{TRACE}-{SPAN}-01.what", None),
    "version ff is forbidden": (f"ff-{TRACE}-{SPAN}-01", None),
    "version 00 has four fields": (f"00-{TRACE}-{SPAN}-01-what", None),
    "version 00 has no fifth, even empty": (f"00-{TRACE}-{SPAN}-01-", None),
    "no flags": (f"00-{TRACE}-{SPAN}", None),
    "empty": ("", None),
    "only dashes": ("---", None),
    "a trace of zeros": (f"00-{'0' * 32}-{SPAN}-01", None),
    "a span of zeros": (f"00-{TRACE}-{'0' * 16}-01", None),
    "upper case": (f"00-{TRACE.upper()}-{SPAN}-01", None),
    "upper case flags": (f"00-{TRACE}-{SPAN}-0A", None),
    "a short trace": (f"00-{TRACE[1:]}-{SPAN}-01", None),
    "a long trace": (f"00-{TRACE}0-{SPAN}-01", None),
    "a short span": (f"00-{TRACE}-{SPAN[1:]}-01", None),
    "short flags": (f"00-{TRACE}-{SPAN}-1", None),
    "a short version": (f"0-{TRACE}-{SPAN}-01", None),
    "a version that is not hexadecimal": (f"xx-{TRACE}-{SPAN}-01", None),
    "a trace that is not hexadecimal": (f"00-{'g' + TRACE[1:]}-{SPAN}-01", None),
    "digits of another script": (f"00-{TRACE[:-1]}٣-{SPAN}-01", None),
    "spaces within": (f"00-{TRACE[:-1]} -{SPAN}-01", None),
    "underscores, which int() would take": (f"00-{TRACE[:-2]}_1-{SPAN}-01", None),
}


@pytest.mark.parametrize("case", TRACEPARENTS)
def test_a_traceparent_is_read_as_the_w3c_has_it(case: str) -> None:
    """What is not one begins a new trace; it is never an error."""
    header, expected = TRACEPARENTS[case]
    assert parse_traceparent(header) == expected


@quick
@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-.*)?", fullmatch=True))
def test_any_header_is_a_traceparent_or_none(header: str) -> None:
    """It comes from outside."""
    found = parse_traceparent(header)
    if found is not None:
        trace_id, span_id, flags = found
        assert (len(trace_id), len(span_id)) == (16, 8)
        assert any(trace_id)
        assert any(span_id)
        assert 0 <= flags <= 255


@quick
@given(st.binary(min_size=16, max_size=16).filter(any), st.binary(min_size=8, max_size=8).filter(any), st.integers(0, 2**16))
def test_what_we_send_is_what_we_would_read(trace_id: bytes, span_id: bytes, flags: int) -> None:
    """Flags that version 00 does not know are sent as zero, as the specification demands; so is what no header can hold."""
    header = Context(trace_id=trace_id, span_id=span_id, trace_flags=flags).traceparent
    assert parse_traceparent(header) == (trace_id, span_id, flags & 3)


def test_without_a_trace_there_is_no_header() -> None:
    """A header of zeros is forbidden."""
    assert NOTHING.traceparent == ""


# Baggage


@pytest.mark.parametrize(
    ("baggage", "taken"),
    [
        ({}, True),
        ({"k": "v" * (MAX_BAGGAGE_BYTES - 1)}, True),
        ({"k": "v" * MAX_BAGGAGE_BYTES}, False),
        ({"k" * MAX_BAGGAGE_BYTES: ""}, True),
        ({"k": "é" * (MAX_BAGGAGE_BYTES // 2)}, False),
        ({str(n): "v" * 100 for n in range(50)}, False),
        ({"k": 1}, False),
        ({1: "v"}, False),
        ({"k": None}, False),
        ({"k": "\ud800"}, False),
    ],
)
def test_baggage_is_text_of_at_most_4_kib(baggage: dict[str, str], taken: bool) -> None:
    """It is sent with every call of the tree. Keys and values count, in UTF-8."""
    if taken:
        assert check_baggage(baggage) is baggage
    else:
        with pytest.raises(UsageError, match="baggage"):
            check_baggage(baggage)


def test_baggage_adds_up_and_is_put_back() -> None:
    """An inner block adds to the outer one, and leaves nothing behind."""
    with ramet.calling(baggage={"a": "1", "b": "1"}):
        with ramet.calling(baggage={"b": "2"}):
            assert ramet.context().baggage == {"a": "1", "b": "2"}
        assert ramet.context().baggage == {"a": "1", "b": "1"}
        with pytest.raises(UsageError), ramet.calling(baggage={"c": "v" * MAX_BAGGAGE_BYTES}):
            pass
    assert ramet.context().baggage is None


# Causal token

positions = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 9), max_size=3)


@quick
@given(positions, st.lists(positions, max_size=6))
def test_a_causal_token_only_grows(known: dict[str, int], seen: list[dict[str, int]]) -> None:
    """Whatever order the news comes in: each shard is at the furthest that was seen of it."""
    token = Causal(known)
    for each in seen:
        before = dict(token.positions)
        token.merge(each)
        assert all(token.positions[shard] >= position for shard, position in before.items())
    everything = [known, *seen]
    assert token.positions == {s: max(each.get(s, -1) for each in everything) for s in {s for each in everything for s in each}}


@quick
@given(positions, positions)
def test_the_news_is_what_the_caller_did_not_know(known: dict[str, int], seen: dict[str, int]) -> None:
    """It is sent back with the result, and is None when there is none, which is nearly always."""
    token = Causal(known)
    token.merge(seen)
    news = token.news()
    assert (news or {}) == {shard: position for shard, position in seen.items() if position > known.get(shard, -1)}
    assert news is None or news
    caller = Causal(known)
    caller.merge(news or {})
    assert caller.positions == token.positions


def test_the_callers_own_positions_are_left_alone() -> None:
    """The mapping came from somewhere."""
    known = {"a": 1}
    Causal(known).note("a", 5)
    assert known == {"a": 1}


def test_all_contexts_of_a_request_share_one_token() -> None:
    """What one call wrote, the next one reads."""
    root = Context(face=Face("orders", frozenset()))
    inner = root.derive(span_id=b"12345678").derive(deadline=5.0)
    assert root.seen is None
    inner.causal.note("a", 3)
    assert root.causal is inner.causal
    assert root.seen is inner.seen
    assert root.causal.positions == {"a": 3}


def test_code_outside_of_a_request_remembers_nothing() -> None:
    """It would be one token for the whole process."""
    NOTHING.causal.note("a", 3)
    assert NOTHING.causal.positions == {}
    assert NOTHING.seen is None
    assert NOTHING.derive(baggage={"a": "b"}).causal is not NOTHING.causal


def test_a_context_outside_has_no_limits_and_a_name() -> None:
    """Defaults: no deadline, nobody called. The repr says so."""
    assert NOTHING.deadline == NOTHING.budget_s == math.inf
    assert repr(NOTHING) == "<Context of outside, trace -, called by outside>"
    assert current.get() is NOTHING


def test_deriving_changes_what_it_says_and_keeps_the_rest() -> None:
    """The one way to make the next context."""
    first = Context(10.0, 5.0, *IDS, 1, Face("orders", frozenset({"a"})), "front", "key", {"a": "b"})
    second = first.derive(key=None)
    kept = ("deadline", "budget_s", "trace_id", "span_id", "trace_flags", "face", "caller", "baggage")
    assert [getattr(second, name) for name in kept] == [getattr(first, name) for name in kept]
    assert second.key is None
    assert second.root is first
