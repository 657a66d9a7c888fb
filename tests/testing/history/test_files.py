"""A history survives its file, and a file that is none is refused with the line at fault."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramet.testing.history import History, HistoryRefused, Operation, Outcome, Seen, Some, check, load, save
from ramet.testing.history.files import read, write
from tests.testing.history import store

HEAD = '{"format":"ramet history 1","initial":{}}'
GOOD = {"client": "ann", "name": "GET /", "due_s": 1.0, "invoked_s": 1.0, "returned_s": 2.0, "outcome": "ok"}

texts = st.text(max_size=5)
values = st.none() | texts | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
tokens = st.lists(texts, max_size=3).map(tuple)
somes = st.builds(Some, tokens, tokens, st.none() | st.integers(0, 9))
seen = values | tokens | somes
times = st.floats(0, 1e6)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    returned_s = draw(st.none() | times)
    return Operation(
        draw(st.none() | texts),
        draw(texts),
        draw(times),
        0.0,
        returned_s,
        Outcome.UNKNOWN if returned_s is None else draw(st.sampled_from(Outcome)),
        draw(st.none() | st.integers(100, 599)),
        draw(texts),
        draw(st.none() | texts),
        draw(st.dictionaries(texts, values, max_size=2)),
        draw(st.dictionaries(texts, tokens, max_size=2)),
        draw(st.dictionaries(texts, tokens, max_size=2)),
        draw(st.dictionaries(texts, seen, max_size=3)),
    )


def written(history: History, final: dict[str, Seen] | None) -> str:
    file = io.StringIO()
    write(file, history, final)
    return file.getvalue()


@given(
    st.dictionaries(texts, values | tokens, max_size=2),
    st.lists(operations(), max_size=5),
    st.none() | st.dictionaries(texts, seen, max_size=3),
)
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read_back(initial: dict[str, Seen], done: list[Operation], final: dict[str, Seen] | None) -> None:
    """Whatever texts and values there are."""
    history = History(initial=initial)
    for operation in done:
        history.append(operation)
    text = written(history, final)
    back, back_final = read(text.split("\n"), file="h")
    assert back.operations == history.operations
    assert (back.initial, back_final) == (initial, final)
    assert written(back, back_final) == text


def test_a_run_that_was_kept_is_judged_as_it_was_then(tmp_path: Path) -> None:
    """What is found in a run can be looked for later."""
    history, final = store.run(store.Chance(4))
    final["orders"] = ()
    path = tmp_path / "run.jsonl"
    save(path, history, final)
    back, back_final = load(path)
    assert check(back, back_final) == check(history, final)
    assert not check(back, back_final).is_clean


def without(name: str) -> str:
    return json.dumps({key: value for key, value in GOOD.items() if key != name})


def but(**values: object) -> str:
    return json.dumps(GOOD | values)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not an object of JSON"),
        ('{"a":1,"a":2}', "a key stands there twice"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "not JSON"),
        (HEAD, "client is missing"),
        (without("client"), "client is missing"),
        (without("outcome"), "outcome is missing"),
        (but(more=1), "more is not known"),
        (but(client=1), "client: 1 is no text"),
        (but(due_s=True), "due_s: True is no time in seconds"),
        (but(due_s="1"), "due_s: '1' is no time in seconds"),
        (but(due_s=1e16), "is no time in seconds"),
        ('{"due_s":NaN}', "NaN is no number of JSON"),
        (but(invoked_s=3), "it returned before it was invoked"),
        (but(outcome="fine"), "outcome: 'fine' is no outcome"),
        (but(returned_s=None), "outcome is ok and nothing was returned"),
        (but(status="503"), "status: '503' is no whole number"),
        (but(sets=[]), "sets: [] is no object"),
        (but(sets={"a": []}), "sets.a: [] is not what a register can hold"),
        (but(adds={"a": "t"}), "adds.a: 't' is no list"),
        (but(adds={"a": [1]}), "adds.a: 1 is no token"),
        (but(reads={"a": {"all": 1}}), "reads.a.all is not known"),
        (but(reads={"a": {"count": "1"}}), "reads.a.count: '1' is no whole number"),
        ('{"final":{},"more":1}', "more is not known"),
        ('{"final":{}}\n' + but(), "a line after the final state"),
    ],
)
def test_a_line_that_save_does_not_write_is_refused_with_its_place(line: str, message: str) -> None:
    """A run that was kept for a year may be in another format than is thought."""
    with pytest.raises(HistoryRefused) as refused:
        read([HEAD, but(), *line.split("\n")], file="run.jsonl")
    assert message in refused.value.message
    assert refused.value.where == f"run.jsonl:{2 + len(line.splitlines())}"


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "h", "it is empty"),
        (but(), "h:1", "the first line is not that of a history"),
        ('{"format":"ramet history 2","initial":{}}', "h:1", "format 'ramet history 2'"),
        ('{"format":"ramet history 1"}', "h:1", "initial is missing"),
        ('{"format":"ramet history 1","initial":{"a":{"count":1}}}', "h:1", "a: what there was before is to be known in full"),
    ],
)
def test_a_file_that_is_no_history_is_refused(text: str, where: str, message: str) -> None:
    """At its first line."""
    with pytest.raises(HistoryRefused, match=message) as refused:
        read(text.split("\n"), file="h")
    assert refused.value.where == where


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """With its name."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"\xff\n")
    with pytest.raises(HistoryRefused, match="not UTF-8") as refused:
        load(path)
    assert refused.value.where == str(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.text() | json_values.map(json.dumps), max_size=3), st.booleans())
@settings(deadline=None, max_examples=200)
def test_any_file_is_a_history_or_refused(lines: list[str], has_head: bool) -> None:
    """And nothing else happens."""
    try:
        read([HEAD, *lines] if has_head else lines, file="h")
    except HistoryRefused as error:
        assert (error.where or "").startswith("h")


@given(st.sampled_from([*sorted(GOOD), "status", "reason", "request_id", "sets", "adds", "removes", "reads"]), json_values)
@settings(deadline=None, max_examples=300)
def test_any_value_of_a_field_is_taken_or_refused(name: str, value: object) -> None:
    """And what is taken can be written and judged."""
    try:
        history, final = read([HEAD, but(**{name: value})], file="h")
        check(history, {})
    except HistoryRefused:
        return
    assert read(written(history, final).split("\n"), file="h")[0].operations == history.operations
