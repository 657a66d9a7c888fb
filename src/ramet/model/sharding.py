"""How a database is divided: slices of its keys, and which shard owns each. Data and pure functions.

    Whole         all rows; the only slice of a database without a key
    Buckets       buckets lo to hi of 1,024, both included (`ramet.model.hashing`)
    Between       keys from lo up to, not including, hi: range sharding
    Key           one key, which is an exception to the slices that it would be in: a tenant with a shard of its own

A key that no slice holds has no shard: that is an error, never a broadcast. A map has an epoch that grows with each change.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from ramet.model.hashing import BUCKETS, bucket_of

AnyKey = int | UUID | str


class Whole(msgspec.Struct, frozen=True, tag="whole"):
    def __str__(self) -> str:
        return "all rows"


class Buckets(msgspec.Struct, frozen=True, tag="buckets"):
    lo: int
    hi: int

    def __str__(self) -> str:
        return f"buckets {self.lo}..{self.hi}" if self.hi > self.lo else f"bucket {self.lo}"

    @property
    def count(self) -> int:
        return self.hi - self.lo + 1


class Between(msgspec.Struct, frozen=True, tag="between"):
    """lo, hi: keys as text, see `text_of`; None for no bound."""

    lo: str | None
    hi: str | None

    def __str__(self) -> str:
        return f"keys from {self.lo or 'the first'} up to {self.hi or 'the last'}"


class Key(msgspec.Struct, frozen=True, tag="key"):
    """key: as text, see `text_of`."""

    key: str

    def __str__(self) -> str:
        return f"key {self.key}"


Slice = Whole | Buckets | Between | Key
ALL_BUCKETS = Buckets(0, BUCKETS - 1)


class Span(msgspec.Struct, frozen=True):
    of: Slice
    shard: int


class ShardMap(msgspec.Struct, frozen=True, kw_only=True):
    """spans: without overlap but for keys, which are exceptions. key_type: `int8`, `uuid` or `text`; empty while no table has the
    key."""

    epoch: int = 0
    spans: tuple[Span, ...] = (Span(Whole(), 0),)
    key_type: str = ""

    @property
    def shards(self) -> list[int]:
        return sorted({span.shard for span in self.spans})

    def of(self, shard: int) -> list[Slice]:
        return [span.of for span in self.spans if span.shard == shard]

    @property
    def exceptions(self) -> dict[str, int]:
        """Keys with a shard of their own -> that shard."""
        return {span.of.key: span.shard for span in self.spans if isinstance(span.of, Key)}


class ReplicaAt(msgspec.Struct, frozen=True):
    name: str
    url: str


class ShardAt(msgspec.Struct, frozen=True, kw_only=True):
    """server: under whose name log positions are noted; timeline: of it, since positions of another are not comparable. tracks:
    whether writers note positions, as they do from before the first replica is read."""

    shard: int
    url: str
    server: str = "main"
    timeline: int = 1
    tracks: bool = False
    replicas: tuple[ReplicaAt, ...] = ()


class DatabaseAt(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is told of one module's database. epoch: grows with each change of anything in it."""

    epoch: int = 0
    shards: tuple[ShardAt, ...]
    map: ShardMap = ShardMap()

    @property
    def undated(self) -> "DatabaseAt":
        """For comparing: without its epoch."""
        return msgspec.structs.replace(self, epoch=0)


def whole(url: str) -> DatabaseAt:
    """One shard with everything."""
    return DatabaseAt(shards=(ShardAt(shard=0, url=url),))


class Resolver:
    """A map, made quick to ask."""

    def __init__(self, shard_map: ShardMap) -> None:
        self._type = shard_map.key_type
        self._keys = shard_map.exceptions
        self._whole = next((span.shard for span in shard_map.spans if isinstance(span.of, Whole)), None)
        self._by_bucket: list[int | None] = [None] * BUCKETS
        ranges: list[tuple[Any, Any, int]] = []
        for span in shard_map.spans:
            if isinstance(span.of, Buckets):
                self._by_bucket[span.of.lo : span.of.hi + 1] = [span.shard] * span.of.count
            elif isinstance(span.of, Between):
                lo, hi = (None if each is None else _ordered(key_of(each, self._type)) for each in (span.of.lo, span.of.hi))
                ranges.append((lo, hi, span.shard))
        self._ranges = sorted(ranges, key=lambda each: (each[0] is not None, each[0]))
        self._los = [lo for lo, _, _ in self._ranges if lo is not None]
        self._first = len(self._ranges) - len(self._los)

    def shard_of(self, key: AnyKey) -> int | None:
        """None for a key that no slice holds."""
        if self._keys and (found := self._keys.get(text_of(key))) is not None:
            return found
        if self._whole is not None:
            return self._whole
        if self._ranges:
            return self._in_ranges(_ordered(key))
        return self._by_bucket[bucket_of(key)]

    def _in_ranges(self, key: Any) -> int | None:
        at = bisect_right(self._los, key) - 1 + self._first
        if at < 0:
            return None
        _, hi, shard = self._ranges[at]
        return shard if hi is None or key < hi else None


def text_of(key: AnyKey) -> str:
    """A key in maps and on the command line."""
    return str(key)


def key_of(text: str, key_type: str) -> AnyKey:
    """Raises ValueError for a text that is no key of this type."""
    return int(text) if key_type == "int8" else UUID(text) if key_type == "uuid" else text


def _ordered(key: AnyKey) -> Any:
    """As the server orders it: text by its bytes (collation "C")."""
    return key.encode() if isinstance(key, str) else key


def holds(of: Slice, key: AnyKey, key_type: str) -> bool:
    """Whether a slice by itself, without exceptions, has this key."""
    match of:
        case Whole():
            return True
        case Buckets():
            return of.lo <= bucket_of(key) <= of.hi
        case Key():
            return of.key == text_of(key)
        case Between():
            at = _ordered(key)
            lo, hi = (None if each is None else _ordered(key_of(each, key_type)) for each in (of.lo, of.hi))
            return (lo is None or lo <= at) and (hi is None or at < hi)


def may_meet(one: Slice, other: Slice) -> bool:
    """Whether two slices may have a key in common."""
    match one, other:
        case Buckets(), Buckets():
            return one.lo <= other.hi and other.lo <= one.hi
        case Key(), Key():
            return one.key == other.key
        case _:
            return True


def overlaps(one: Slice, other: Between, key_type: str) -> bool:
    """Whether a slice has keys of a range. Buckets have some of every range."""
    if not isinstance(one, Between):
        return True
    a, b, c, d = (None if each is None else _ordered(key_of(each, key_type)) for each in (one.lo, one.hi, other.lo, other.hi))
    return (a is None or d is None or a < d) and (c is None or b is None or c < b)


def reassigned(shard_map: ShardMap, of: Slice, shard: int) -> ShardMap:
    """The map when a slice is another shard's: the spans that it cuts are split. Raises ValueError where it cannot be cut."""
    spans: list[Span] = []
    for span in shard_map.spans:
        spans += [span] if isinstance(of, Key) and not _same_key(span.of, of) else _rest(span, of, shard_map.key_type)
    spans.append(Span(of, shard))
    return msgspec.structs.replace(shard_map, epoch=shard_map.epoch + 1, spans=joined(spans))


def _same_key(one: Slice, other: Key) -> bool:
    return isinstance(one, Key) and one.key == other.key


def _rest(span: Span, of: Slice, key_type: str) -> list[Span]:
    """What is left of a span without a slice."""
    match span.of, of:
        case _, Whole():
            return []
        case Key(), Key():
            return []
        case Key(), _:
            return [span]
        case Whole(), Buckets():
            return _rest(Span(ALL_BUCKETS, span.shard), of, key_type)
        case Whole(), Between():
            return _rest(Span(Between(None, None), span.shard), of, key_type)
        case Buckets() as has, Buckets() as cut:
            left = [Buckets(has.lo, min(has.hi, cut.lo - 1)), Buckets(max(has.lo, cut.hi + 1), has.hi)]
            return [Span(each, span.shard) for each in left if each.lo <= each.hi]
        case Between() as has, Between() as cut:
            if not overlaps(has, cut, key_type):
                return [span]
            left, right = Between(has.lo, cut.lo), Between(cut.hi, has.hi)
            found = [left] if cut.lo is not None and overlaps(has, Between(None, cut.lo), key_type) else []
            found += [right] if cut.hi is not None and overlaps(has, Between(cut.hi, None), key_type) else []
            return [Span(each, span.shard) for each in found]
        case has, cut:
            raise ValueError(f"{cut} cannot be cut out of {has}")


def _order(span: Span) -> tuple[str, int, str]:
    return type(span.of).__name__, span.of.lo if isinstance(span.of, Buckets) else 0, str(span.of)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Neighbours of one shard as one span, in order."""
    made: list[Span] = []
    for span in sorted(spans, key=_order):
        last = made[-1] if made else None
        if (
            last is not None
            and last.shard == span.shard
            and isinstance(last.of, Buckets)
            and isinstance(span.of, Buckets)
            and last.of.hi + 1 == span.of.lo
        ):
            made[-1] = Span(Buckets(last.of.lo, span.of.hi), span.shard)
        else:
            made.append(span)
    return tuple(made)


def problems(shard_map: ShardMap, shards: Iterable[int]) -> list[str]:
    """What would leave a key without an owner, or with two. Empty for a map that may be used. Ranges may leave keys out."""
    known = set(shards)
    found = [
        f"{span.of} is owned by shard {span.shard}, which there is not" for span in shard_map.spans if span.shard not in known
    ]
    kinds = {type(span.of).__name__ for span in shard_map.spans if not isinstance(span.of, Key)}
    if len(kinds) != 1:
        found.append(f"it mixes {' and '.join(sorted(kinds)) or 'nothing'}")
    owners = [0] * BUCKETS
    for span in shard_map.spans:
        if isinstance(span.of, Buckets):
            for bucket in range(span.of.lo, span.of.hi + 1):
                owners[bucket] += 1
    if kinds == {"Buckets"} and set(owners) != {1}:
        wrong = next(bucket for bucket, count in enumerate(owners) if count != 1)
        found.append(f"bucket {wrong} has {owners[wrong]} owners")
    keys = [span.of.key for span in shard_map.spans if isinstance(span.of, Key)]
    found += [f"key {key} has two owners" for key in dict.fromkeys(keys) if keys.count(key) > 1]
    return found


def moves_for(shard_map: ShardMap, weights: Sequence[float], shards: Sequence[int]) -> list[tuple[Buckets, int, int]]:
    """Few moves (slice, from, to) after which each of these shards has about the same weight. weights: of each bucket.

    Greedy: from the shard that has the most too much to the one that lacks the most, one run of neighbouring buckets from the end
    of what the giver has, until either is within half a bucket of its share. Shards that are not among these give all.
    """
    owner = _owners(shard_map)
    share = sum(weights) / len(shards)
    load = dict.fromkeys({*owner, *shards}, 0.0)
    for bucket, shard in enumerate(owner):
        load[shard] += weights[bucket]
    want = {shard: share if shard in shards else 0.0 for shard in load}
    new = list(owner)
    for _ in range(2 * len(load)):
        giver = max(load, key=lambda each: load[each] - want[each])
        taker = min(shards, key=lambda each: load[each] - want[each])
        if not _give(new, weights, load, want, giver, taker):
            break
    moves: list[tuple[Buckets, int, int]] = []
    for bucket in range(BUCKETS):
        if new[bucket] == owner[bucket]:
            continue
        last = moves[-1] if moves else None
        if last is not None and last[0].hi == bucket - 1 and last[1:] == (owner[bucket], new[bucket]):
            moves[-1] = (Buckets(last[0].lo, bucket), *last[1:])
        else:
            moves.append((Buckets(bucket, bucket), owner[bucket], new[bucket]))
    return moves


def _give(
    new: list[int], weights: Sequence[float], load: dict[int, float], want: dict[int, float], giver: int, taker: int
) -> bool:
    """Whether a run was given. The last bucket of it may be half too much."""
    given = False
    for bucket in range(BUCKETS - 1, -1, -1):
        if new[bucket] != giver:
            if given:
                break
            continue
        half = weights[bucket] / 2
        is_leaving = not want[giver]
        if giver == taker or not (is_leaving or (load[giver] - want[giver] > half and want[taker] - load[taker] > half)):
            break
        new[bucket] = taker
        load[giver] -= weights[bucket]
        load[taker] += weights[bucket]
        given = True
        if is_leaving and load[taker] >= want[taker] and len(load) > 2:
            break
    return given


def _owners(shard_map: ShardMap) -> list[int]:
    owners = [0] * BUCKETS
    for span in shard_map.spans:
        if isinstance(span.of, Whole):
            owners = [span.shard] * BUCKETS
        elif isinstance(span.of, Buckets):
            owners[span.of.lo : span.of.hi + 1] = [span.shard] * span.of.count
    return owners
