"""Where the databases of modules are, as part of the running system: servers, shards, maps, moves that can be taken back. Pure.

A module that is not named has one shard, number 0, on the server `main`. A move that is over keeps its old side as a way back,
until it is cleaned up; while it does, its slice is on both servers.
"""

from collections.abc import Mapping

import msgspec

from ramet.model.sharding import (
    ALL_BUCKETS,
    Between,
    Buckets,
    Key,
    Resolver,
    ShardMap,
    Slice,
    Span,
    Whole,
    key_of,
    moves_for,
    overlaps,
    reassigned,
)

_replace = msgspec.structs.replace
MAIN = "main"
"""The server that is there from the start."""


class ShardIn(msgspec.Struct, frozen=True, order=True):
    shard: int
    server: str


class SliceMove(msgspec.Struct, frozen=True, kw_only=True):
    """name: fit for an identifier, of its own in the whole application. switched: whether the target owns the slice by now; else
    it is only copied there."""

    name: str
    of: Slice
    source: int
    target: int
    key_type: str = ""
    switched: bool = False


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """The database of one module."""

    shards: tuple[ShardIn, ...] = (ShardIn(0, MAIN),)
    map: ShardMap = ShardMap()
    moves: tuple[SliceMove, ...] = ()

    @property
    def numbers(self) -> list[int]:
        return [each.shard for each in self.shards]

    def server_of(self, shard: int) -> str:
        return next(each.server for each in self.shards if each.shard == shard)

    def with_shard(self, shard: ShardIn) -> "Division":
        return _replace(self, shards=tuple(sorted({*self.shards, shard})))

    def without_shard(self, shard: int) -> "Division":
        return _replace(self, shards=tuple(each for each in self.shards if each.shard != shard))

    def with_move(self, move: SliceMove) -> "Division":
        """The key's type is known from the first move on."""
        shard_map = _replace(self.map, key_type=self.map.key_type or move.key_type)
        return _replace(self, map=shard_map, moves=(*(each for each in self.moves if each.name != move.name), move))

    def without_move(self, name: str) -> "Division":
        return _replace(self, moves=tuple(each for each in self.moves if each.name != name))

    def switched(self, move: SliceMove, *, back: bool) -> "Division":
        """With the slice at its target, or back at its source."""
        shard_map = reassigned(self.map, move.of, move.source if back else move.target)
        return _replace(self, map=shard_map).with_move(_replace(move, switched=not back))

    @property
    def moving(self) -> set[int]:
        """Shards that a move is copied to, or could go back to: instances are ready to use them."""
        return {shard for each in self.moves for shard in (each.source, each.target)}

    @property
    def idle(self) -> list[int]:
        """Shards that own nothing and are not part of a move."""
        used = {*self.map.shards, *self.moving}
        return [number for number in self.numbers if number not in used]


def fresh_names(divisions: Mapping[str, Division], count: int) -> list[str]:
    """Of moves: `mv7`. Above all that are there."""
    taken = [int(move.name.removeprefix("mv")) for each in divisions.values() for move in each.moves]
    first = max(taken, default=0) + 1
    return [f"mv{number}" for number in range(first, first + count)]


def split(division: Division, shards: list[int], weights: list[float]) -> list[tuple[Slice, int, int]]:
    """The fewest moves after which these shards have the same weight each."""
    shard_map = division.map
    if any(isinstance(span.of, Whole) for span in shard_map.spans):
        owner = shard_map.spans[0].shard
        shard_map = _replace(shard_map, spans=(Span(ALL_BUCKETS, owner),))
    return [(of, source, target) for of, source, target in moves_for(shard_map, weights, shards)]


def owner_of(division: Division, of: Slice, key_type: str) -> int:
    """The shard that has all of a slice. Raises ValueError where several have parts of it, or none."""
    owners: set[int] = set()
    match of:
        case Whole():
            owners = set(division.map.shards)
        case Buckets():
            owners = {
                span.shard
                for span in division.map.spans
                if isinstance(span.of, Whole) or (isinstance(span.of, Buckets) and span.of.lo <= of.hi and of.lo <= span.of.hi)
            }
        case Key():
            found = Resolver(_replace(division.map, key_type=key_type)).shard_of(key_of(of.key, key_type))
            owners = set() if found is None else {found}
        case Between():
            owners = {
                span.shard for span in division.map.spans if not isinstance(span.of, Key) and overlaps(span.of, of, key_type)
            }
    if len(owners) != 1:
        raise ValueError(f"{of} is at {len(owners)} shards ({', '.join(map(str, sorted(owners)))}); move each part by itself")
    return owners.pop()


def described(divisions: Mapping[str, Division]) -> list[str]:
    """For people: a line for each shard, and for each move that can be taken back."""
    lines: list[str] = []
    for module, division in divisions.items():
        for each in division.shards:
            owned = ", ".join(map(str, division.map.of(each.shard))) or "nothing"
            lines.append(f"{module} shard {each.shard} on {each.server}: {owned}")
        for move in division.moves:
            state = "can be taken back" if move.switched else "is being copied"
            lines.append(f"{module} {move.name}: {move.of} from shard {move.source} to {move.target} {state}")
    return lines
