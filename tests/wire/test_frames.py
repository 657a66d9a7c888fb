"""Frames: any cutting of the stream gives the same frames, and nothing that a stranger sends does harm."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ramet.errors import ProtocolError
from ramet.wire.frames import HEADER, HEADER_BYTES, LENGTH_BYTES, MAX_HELLO_BYTES, FrameReader, Kind, frame
from tests.wire.generated import quick

AFTER_HELLO = frozenset(int(kind) for kind in Kind if kind is not Kind.HELLO)
ONLY_HELLO = frozenset({int(Kind.HELLO)})

a_frame = st.tuples(
    st.sampled_from(sorted(AFTER_HELLO)),
    st.integers(0, 255),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=40),
)
hostile = st.one_of(
    st.binary(max_size=60),
    st.builds(HEADER.pack, st.integers(0, 200), st.integers(0, 15), st.just(0), st.just(0), st.just(0)),
    a_frame.map(lambda f: frame(f[0], flags=f[1], index=f[2], call=f[3], body=f[4])),
)


def reader(kinds: frozenset[int] = AFTER_HELLO, max_frame_bytes: int = 1000) -> FrameReader:
    return FrameReader(max_frame_bytes=max_frame_bytes, kinds=kinds)


def refusal(data: bytes, kinds: frozenset[int], max_frame_bytes: int = 1000) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        reader(kinds, max_frame_bytes).feed(data)
    return caught.value


@quick
@given(st.lists(a_frame, max_size=6), st.lists(st.integers(0, 300), max_size=10))
def test_any_cutting_of_the_stream_gives_the_same_frames(frames, cuts) -> None:
    """TCP keeps bytes in order and nothing else."""
    data = b"".join(frame(kind, flags=flags, index=index, call=call, body=body) for kind, flags, index, call, body in frames)
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    cut_up = reader()
    found = [each for start, stop in zip(places, places[1:], strict=False) for each in cut_up.feed(data[start:stop])]
    assert found == frames == reader().feed(data)
    assert cut_up.held_bytes == 0


@quick
@given(st.lists(a_frame, min_size=1, max_size=3))
def test_one_byte_at_a_time_is_a_cutting_too(frames) -> None:
    """The header itself may arrive in pieces."""
    data = b"".join(frame(kind, flags=flags, index=index, call=call, body=body) for kind, flags, index, call, body in frames)
    slow = reader()
    assert [each for byte in data for each in slow.feed(bytes([byte]))] == frames


@quick
@given(st.lists(hostile, max_size=12), st.sampled_from([AFTER_HELLO, ONLY_HELLO]), st.integers(8, 100))
def test_no_bytes_crash_the_reader_or_make_it_hold_more_than_a_frame(chunks, kinds, limit) -> None:
    """A stranger gets a refusal by name, and never more memory than one frame and the read that is at hand."""
    under_test = reader(kinds, limit)
    for chunk in chunks:
        try:
            frames = under_test.feed(chunk)
        except ProtocolError as error:
            assert error.name in {"not-ramet", "frame-too-large", "frame-too-short", "unknown-frame", "out-of-order"}
            return
        assert under_test.held_bytes <= limit + LENGTH_BYTES
        for kind, _, _, _, body in frames:
            assert kind in kinds
            assert len(body) + HEADER_BYTES - LENGTH_BYTES <= limit


@quick
@given(st.lists(a_frame, min_size=1, max_size=4), st.data())
def test_a_flipped_byte_gives_frames_or_a_refusal(frames, data) -> None:
    """Damage inside of a frame is the decoder's business, damage to a header this one's."""
    stream = bytearray(b"".join(frame(k, flags=f, index=i, call=c, body=b) for k, f, i, c, b in frames))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    under_test = reader()
    try:
        under_test.feed(bytes(stream))
    except ProtocolError:
        return
    assert under_test.held_bytes <= 1000 + LENGTH_BYTES


def test_a_frame_is_refused_by_its_header_alone() -> None:
    """Nothing of an oversized body is waited for, or kept."""
    under_test = reader(max_frame_bytes=100)
    assert under_test.feed(HEADER.pack(101, Kind.CALL, 0, 0, 1)[:-1]) == []
    with pytest.raises(ProtocolError, match="frame-too-large"):
        under_test.feed(b"\x01")


CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(50)
REFUSALS = {
    "a browser": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ONLY_HELLO, "not-ramet", "speaks HTTP"),
    "an HTTP client that posts": (b"POST /x HTTP/1.1\r\n\r\n", ONLY_HELLO, "not-ramet", "speaks HTTP"),
    "an HTTP/2 client": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ONLY_HELLO, "not-ramet", "speaks HTTP"),
    "a web server that answers": (b"HTTP/1.1 400 Bad Request\r\n", ONLY_HELLO, "not-ramet", "speaks HTTP"),
    "a TLS client": (CLIENT_HELLO, ONLY_HELLO, "not-ramet", "speaks TLS"),
    "a TLS client whose length looks like HELLO": (
        b"\x16\x03\x01\x02\x01\x01" + bytes(20),
        ONLY_HELLO,
        "not-ramet",
        "speaks TLS",
    ),
    "an SSH client": (b"SSH-2.0-OpenSSH_9.6\r\n", ONLY_HELLO, "not-ramet", "check the address"),
    "zeros": (bytes(64), ONLY_HELLO, "not-ramet", "check the address"),
    "a CALL before HELLO": (frame(Kind.CALL, call=1), ONLY_HELLO, "out-of-order", None),
    "a second HELLO": (frame(Kind.HELLO), AFTER_HELLO, "out-of-order", None),
    "a kind of a later version": (HEADER.pack(8, 77, 0, 0, 0), AFTER_HELLO, "unknown-frame", None),
    "kind 0": (HEADER.pack(8, 0, 0, 0, 0), AFTER_HELLO, "unknown-frame", None),
    "a length below the header": (HEADER.pack(7, Kind.CALL, 0, 0, 0), AFTER_HELLO, "frame-too-short", None),
    "no length": (HEADER.pack(0, Kind.PING, 0, 0, 0), AFTER_HELLO, "frame-too-short", None),
    "a byte too long": (HEADER.pack(1001, Kind.CALL, 0, 0, 0), AFTER_HELLO, "frame-too-large", "RAMET_MAX_FRAME_BYTES"),
    "4 GiB": (HEADER.pack(2**32 - 1, Kind.CALL, 0, 0, 0), AFTER_HELLO, "frame-too-large", "RAMET_MAX_FRAME_BYTES"),
    "an oversized HELLO": (HEADER.pack(MAX_HELLO_BYTES, Kind.HELLO, 0, 0, 0), ONLY_HELLO, "frame-too-large", None),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_each_wrong_peer_gets_a_refusal_by_name(case: str) -> None:
    """The name is what a person searches for; the hint is what is usually the matter."""
    data, kinds, name, hint = REFUSALS[case]
    error = refusal(data, kinds)
    assert error.name == name
    assert error.code == "RM321"
    if hint:
        assert hint in (error.hint or "")


def test_a_frame_at_the_limit_is_taken() -> None:
    """The limit is the largest that passes; `length` counts what follows it."""
    body = bytes(1000 - (HEADER_BYTES - LENGTH_BYTES))
    assert reader().feed(frame(Kind.RESULT, call=3, body=body)) == [(Kind.RESULT, 0, 0, 3, body)]
    assert refusal(frame(Kind.RESULT, call=3, body=body + b"x"), AFTER_HELLO).name == "frame-too-large"


def test_frames_before_the_bad_one_are_not_delivered() -> None:
    """The connection is closed at once, so nobody could be answered."""
    error = refusal(frame(Kind.PING) + HEADER.pack(3, Kind.PING, 0, 0, 0), AFTER_HELLO)
    assert error.name == "frame-too-short"


@pytest.mark.parametrize("cut", [0, 5, 12, 14, 20, 26])
def test_behind_hello_come_the_frames_that_may_come_then(cut: int) -> None:
    """In the same read or in the next: a peer need not wait to be answered."""
    under_test = FrameReader(max_frame_bytes=100, kinds=ONLY_HELLO, then=AFTER_HELLO)
    data = frame(Kind.HELLO, body=b"hi") + frame(Kind.PING)
    found = under_test.feed(data[:cut]) + under_test.feed(data[cut:])
    assert [kind for kind, *_ in found] == [Kind.HELLO, Kind.PING]
    with pytest.raises(ProtocolError, match="out-of-order"):
        under_test.feed(frame(Kind.HELLO))


def test_a_body_may_be_any_bytes_like() -> None:
    """Callers give bytes or a bytearray."""
    assert frame(Kind.CALL, body=bytearray(b"ab")) == frame(Kind.CALL, body=b"ab")


@quick
@given(a_frame)
@example((int(Kind.CALL), 1, 2, 3, msgspec.msgpack.encode([1])))
def test_length_counts_what_follows_it(each) -> None:
    """As docs/reference/wire.md says, for clients in other languages."""
    kind, flags, index, call, body = each
    data = frame(kind, flags=flags, index=index, call=call, body=body)
    assert int.from_bytes(data[:4], "big") == len(data) - 4 == 8 + len(body)
