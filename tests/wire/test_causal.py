"""The causal token as text: what comes from outside is a token or nothing."""

from hypothesis import given
from hypothesis import strategies as st

from ramet.wire import causal

names = st.from_regex(r"[A-Za-z0-9_-]{1,20}\.[1-9][0-9]{0,3}", fullmatch=True)


@given(st.dictionaries(names, st.integers(0, 2**63 - 1), min_size=1, max_size=10))
def test_a_token_is_read_as_it_was_written(positions: dict[str, int]) -> None:
    """By the header and by the cookie, beside other cookies."""
    text = causal.encode(positions)
    assert causal.of_request(text.encode(), None) == positions
    assert causal.of_request(None, f"a=b; {causal.HEADER}={text}; c=d".encode()) == positions


@given(st.binary(max_size=3000))
def test_anything_else_is_none(data: bytes) -> None:
    found = causal.of_request(data, None)
    assert found is None or causal.decode(causal.encode(found)) == found
    causal.of_request(None, data)


def test_a_token_is_bounded() -> None:
    """A client that has seen many servers keeps those that are the furthest."""
    positions = {f"s{number}.1": number for number in range(100)}
    assert causal.decode(causal.encode(positions)) == {f"s{number}.1": number for number in range(68, 100)}
