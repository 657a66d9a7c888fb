"""Recordings of gates: what is written is read, and what is damaged is refused with its line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.errors import RecordingError
from ramet.model.gates.policy import Policy
from ramet.model.gates.recordings import head, line, read, record
from ramet.model.gates.samples import Sample, Side, Signal
from tests.wire.generated import quick

HEAD = b'{"gate":1,"policy":{}}\n'
SAMPLE = b'{"since_s":0,"at_s":60,"weight":0.1,"new":{"requests":12},"old":{"requests":108}}\n'

sides = st.integers(0, 10**15).flatmap(
    lambda most: st.builds(
        Side,
        st.just(most),
        st.integers(0, most),
        st.integers(0, most),
        st.dictionaries(st.text(max_size=20), st.integers(1, 10**15), max_size=3),
    )
)
signals = st.builds(
    Signal,
    st.sampled_from(["crash", "unready", "memory", "contract"]),
    st.text(max_size=20),
    st.text(max_size=20),
    st.sampled_from(["new", "old"]),
)
policies = st.builds(
    Policy,
    alpha=st.floats(0, 0.5, exclude_min=True),
    tolerance=st.floats(1, 4),
    min_requests=st.integers(1, 10**9),
    bake_s=st.floats(0, 10**9, exclude_min=True),
    attempts=st.integers(1, 1000),
)


@st.composite
def recorded(draw: st.DrawFn) -> list[Sample]:
    edges = sorted(draw(st.sets(st.floats(-1e15, 1e15), max_size=8)))
    samples = []
    for since_s, at_s in zip(edges, edges[1:], strict=False):
        samples.append(
            Sample(
                since_s=since_s,
                at_s=at_s,
                weight=draw(st.floats(0, 1)),
                new=draw(sides),
                old=draw(sides),
                signals=tuple(draw(st.lists(signals, max_size=3))),
            )
        )
    return samples


@quick
@given(policies, recorded())
def test_what_is_recorded_is_read_as_it_was(policy: Policy, samples: list[Sample]) -> None:
    """The verdict can be reached again only from the same numbers."""
    data = record(policy, samples)
    assert read(data, file="a.jsonl") == (policy, samples)
    assert data == head(policy) + b"".join(line(sample) for sample in samples)
    assert data.count(b"\n") == len(samples) + 1


def refusal(data: bytes) -> RecordingError:
    with pytest.raises(RecordingError) as caught:
        read(data, file="a.jsonl")
    return caught.value


@pytest.mark.parametrize(
    ("data", "where", "message", "hint"),
    [
        pytest.param(b"", "1", "an empty line", '{"gate":1', id="empty"),
        pytest.param(b"\xff\xfe", "1", "not JSON", '{"gate":1', id="no text"),
        pytest.param(SAMPLE, "1", "unknown field `since_s`", '{"gate":1', id="no head"),
        pytest.param(b'{"gate":' + b"[" * 10**5, "1", "not", '{"gate":1', id="nested"),
        pytest.param(HEAD.replace(b"1", b"2"), "1", "format 2; this version reads format 1", None, id="another format"),
        pytest.param(b'{"gate":1,"policy":{"alpah":1}}', "1", "unknown field `alpah` - at `$.policy`", None, id="misspelled"),
        pytest.param(
            b'{"gate":1,"policy":{"alpha":1}}', "1", "alpha is 1.0, it must be above 0 and at", None, id="policy's value"
        ),
        pytest.param(HEAD + SAMPLE + b"\n" + SAMPLE, "3", "an empty line", None, id="empty line"),
        pytest.param(HEAD + SAMPLE[:-20], "2", "not JSON", "the writer was stopped", id="torn"),
        pytest.param(HEAD + SAMPLE[:-20] + b"\n", "2", "not JSON", None, id="damaged"),
        pytest.param(HEAD + SAMPLE + SAMPLE, "3", "begins at 0.0 s, before the one before it ended at 60.0 s", None, id="twice"),
        pytest.param(HEAD + SAMPLE.replace(b"60", b"-60"), "2", "a tick from 0.0 s to -60.0 s", None, id="back in time"),
        pytest.param(HEAD + SAMPLE.replace(b"12", b"-12"), "2", "-12 requests", None, id="a counter that went back"),
        pytest.param(HEAD + SAMPLE.replace(b"12", b'"12"'), "2", "got `str` - at `$.new.requests`", None, id="text for a number"),
        pytest.param(HEAD + SAMPLE.replace(b"12", b"1" * 5000), "2", "not", None, id="5000 digits"),
        pytest.param(HEAD + SAMPLE.replace(b"12", b"12.5"), "2", "got `float` - at `$.new.requests`", None, id="half a request"),
        pytest.param(HEAD + SAMPLE.replace(b"12", b"NaN"), "2", "not JSON", None, id="not a number"),
        pytest.param(HEAD + SAMPLE.replace(b'"weight":0.1,', b""), "2", "missing required field `weight`", None, id="no weight"),
        pytest.param(
            HEAD + SAMPLE.replace(b"}}", b'},"signals":[{"kind":"flood","instance":"a"}]}'), "2", "'flood'", None, id="signal"
        ),
    ],
)
def test_a_damaged_recording_is_refused_with_its_line(data: bytes, where: str, message: str, hint: str | None) -> None:
    """Judging what is left would be judging something else."""
    error = refusal(data)
    assert error.where == f"a.jsonl:{where}"
    assert message in error.message
    assert hint is None or (error.hint and hint in error.hint)


@quick
@given(st.one_of(st.binary(max_size=200), st.lists(st.binary(max_size=60), max_size=5).map(lambda rest: HEAD + b"\n".join(rest))))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing else comes out of the reader."""
    try:
        read(data, file="a.jsonl")
    except RecordingError as error:
        assert (error.where or "").startswith("a.jsonl:")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@quick
@given(policies, recorded().filter(bool), st.data())
def test_a_recording_with_any_value_in_the_place_of_another_is_read_or_refused(
    policy: Policy, samples: list[Sample], data: st.DataObject
) -> None:
    """A field of the head or of a sample, replaced by what JSON can say."""
    lines = [json.loads(text) for text in record(policy, samples).splitlines()]
    broken = data.draw(st.integers(0, len(lines) - 1))
    lines[broken][data.draw(st.sampled_from(sorted(lines[broken])))] = data.draw(anything)
    text = b"".join(json.dumps(each).encode() + b"\n" for each in lines)
    try:
        read(text, file="a.jsonl")
    except RecordingError as error:
        assert error.where in {f"a.jsonl:{broken + 1}", f"a.jsonl:{broken + 2}"}
