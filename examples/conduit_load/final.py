"""The final state, put together from many answers that were given while nobody wrote."""

from collections import Counter
from collections.abc import Mapping

from conduit_load.sight import Wrong
from ramet.testing.history import Seen, Some


class FinalState:
    """Takes what a `Request` would take."""

    def __init__(self) -> None:
        self.state: dict[str, Seen] = {}

    def saw(self, reads: Mapping[str, Seen]) -> None:
        """Raises Wrong where an answer contradicts an earlier one."""
        for key, seen in reads.items():
            self.state[key] = seen if key not in self.state else merged(key, self.state[key], seen)

    def over(self, keys: Mapping[str, object]) -> dict[str, Seen]:
        """For `check`: all that was seen, and of the other keys nothing."""
        return {**dict.fromkeys(keys, Some()), **self.state}


def merged(key: str, one: Seen, other: Seen) -> Seen:
    """Both, of one key. Raises Wrong where both cannot be."""
    if isinstance(one, Some) and isinstance(other, Some):
        has = tuple((Counter(one.has) | Counter(other.has)).elements())
        lacks = tuple(dict.fromkeys(one.lacks + other.lacks))
        counts = {some.count for some in (one, other) if some.count is not None}
        if len(counts) > 1 or set(has) & set(lacks):
            raise Wrong(f"{key}: {other} after {one}, and nobody wrote")
        return Some(has, lacks, counts.pop() if counts else None)
    if isinstance(one, Some) or isinstance(other, Some):
        some, whole = (one, other) if isinstance(one, Some) else (other, one)
        assert isinstance(some, Some)
        assert isinstance(whole, tuple)
        count = len(whole) if some.count is None else some.count
        if Counter(some.has) - Counter(whole) or set(some.lacks) & set(whole) or count != len(whole):
            raise Wrong(f"{key}: {other} after {one}, and nobody wrote")
        return whole
    if one != other:
        raise Wrong(f"{key}: {other!r} after {one!r}, and nobody wrote")
    return one
