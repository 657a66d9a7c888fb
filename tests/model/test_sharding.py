"""Maps of keys to shards, and the plans that change them."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.errors import PlanImpossible
from ramet.model.data_steps import Clean, Copy, Switch
from ramet.model.dividing import DataFacts, DataWish, divide
from ramet.model.divisions import Division
from ramet.model.hashing import BUCKETS, bucket_of
from ramet.model.sharding import (
    Between,
    Buckets,
    Key,
    Resolver,
    ShardMap,
    Slice,
    Span,
    Whole,
    holds,
    may_meet,
    moves_for,
    problems,
    reassigned,
)
from ramet.model.system import System

KNOWN = DataFacts(key="author_id", key_type="int8")


@st.composite
def slices(draw: st.DrawFn) -> Slice:
    if draw(st.booleans()):
        return Key(str(draw(st.integers(0, 50))))
    lo = draw(st.integers(0, BUCKETS - 1))
    return Buckets(lo, draw(st.integers(lo, BUCKETS - 1)))


@given(st.lists(st.tuples(slices(), st.integers(0, 4)), max_size=12), st.lists(st.integers(0, 50), min_size=1))
def test_every_key_has_one_owner_after_any_moves(moves: list[tuple[Slice, int]], keys: list[int]) -> None:
    """The last move that named the key itself, else the last that has its bucket: as a plain dictionary has it."""
    shard_map = ShardMap(key_type="int8")
    by_key: dict[int, int] = {}
    by_bucket = dict.fromkeys(range(BUCKETS), 0)
    for of, shard in moves:
        shard_map = reassigned(shard_map, of, shard)
        if isinstance(of, Key):
            by_key[int(of.key)] = shard
            if len(shard_map.spans) == 1:
                by_bucket = dict.fromkeys(range(BUCKETS), 0)
        elif isinstance(of, Buckets):
            by_bucket |= dict.fromkeys(range(of.lo, of.hi + 1), shard)
        assert problems(shard_map, range(5)) == []
    resolver = Resolver(shard_map)
    for key in keys:
        assert resolver.shard_of(key) == by_key.get(key, by_bucket[bucket_of(key)])


def test_a_key_outside_of_all_ranges_has_no_shard() -> None:
    spans = (Span(Between("10", "20"), 0), Span(Between("20", "30"), 1), Span(Key("25"), 2))
    resolver = Resolver(ShardMap(spans=spans, key_type="int8"))
    assert [resolver.shard_of(key) for key in (9, 10, 19, 20, 25, 29, 30)] == [None, 0, 0, 1, 2, 1, None]


def test_ranges_are_cut_where_they_are_told_to() -> None:
    """The rest stays where it was."""
    shard_map = reassigned(ShardMap(key_type="text"), Between("m", None), 1)
    shard_map = reassigned(shard_map, Between("c", "f"), 2)
    resolver = Resolver(shard_map)
    assert [resolver.shard_of(key) for key in ("a", "c", "ez", "f", "lz", "m", "zz")] == [0, 2, 2, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (Buckets(0, 5), Buckets(5, 9), True),
        (Buckets(0, 5), Buckets(6, 9), False),
        (Key("1"), Key("2"), False),
        (Key("1"), Buckets(0, 1), True),
        (Whole(), Key("1"), True),
    ],
)
def test_slices_that_may_have_a_key_in_common(one: Slice, other: Slice, meet: bool) -> None:
    assert may_meet(one, other) is may_meet(other, one) is meet


def test_a_uuid_is_held_by_its_bucket_whatever_its_form() -> None:
    key = UUID("7b0c2d4e-2f0a-7c11-9d6b-0242ac120002")
    assert holds(Buckets(bucket_of(key), bucket_of(key)), key, "uuid")
    assert holds(Key(str(key)), key, "uuid")
    assert not holds(Key(str(key)), UUID(int=1), "uuid")


@given(st.lists(st.floats(1, 4), min_size=BUCKETS, max_size=BUCKETS), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_division_is_even_and_names_few_moves(weights: list[float], counts: list[int]) -> None:
    """Within two buckets of the same weight each, with at most twice as many moves as there are shards, before and after."""
    shard_map = ShardMap()
    before = 1
    for count in counts:
        moves = moves_for(shard_map, weights, range(count))
        assert len(moves) <= 2 * (before + count + 1)
        for of, source, target in moves:
            assert Resolver(shard_map)._by_bucket[of.lo] in (source, None)
            shard_map = reassigned(shard_map, of, target)
        loads = dict.fromkeys(range(count), 0.0)
        resolver = Resolver(shard_map)
        for bucket in range(BUCKETS):
            owner = 0 if resolver._whole is not None else resolver._by_bucket[bucket]
            assert owner is not None
            loads[owner] += weights[bucket]
        assert max(loads.values()) - min(loads.values()) <= 2 * count * max(weights)
        before = count


def take(system: System, wish: DataWish) -> System:
    _, steps = divide(system, wish, KNOWN)
    for step in steps:
        after = step.after(system)
        undone = step.before(after)
        if not step.is_irreversible:
            assert undone.division("social").map.spans == system.division("social").map.spans or isinstance(step, Switch)
        system = after
    return system


def test_a_split_is_taken_back_whole() -> None:
    """And nothing of it is left: shards, servers, moves."""
    split = take(System(), DataWish(module="social", shards=3))
    assert len(split.division("social").map.shards) == 3
    assert split.servers == ("social-1", "social-2")
    back = split
    while back.division("social").moves:
        back = take(back, DataWish(module="social", back="last"))
    assert back.division("social").map.shards == [0]
    assert back.servers == ()
    assert back.division("social").shards == Division().shards


def test_a_slice_that_moves_again_gives_up_its_way_back_first() -> None:
    system = take(System(), DataWish(module="social", shards=2))
    _, steps = divide(system, DataWish(module="social", of=Buckets(600, 700), to=0), KNOWN)
    kinds = [type(step) for step in steps]
    assert kinds.index(Clean) < kinds.index(Copy)


@pytest.mark.parametrize(
    ("wish", "known", "said"),
    [
        (DataWish(module="social", shards=2), DataFacts(), "have no key"),
        (DataWish(module="social", shards=2), DataFacts(key="author_id"), "no table of social has the column author_id"),
        (DataWish(module="social", shards=2), msgspec.structs.replace(KNOWN, obstacles=("x has no column",)), "x has no column"),
        (DataWish(module="social", of=Key("a")), KNOWN, "'a' is no int8"),
        (DataWish(module="social", of=Buckets(0, 2000)), KNOWN, "not within 0..1023"),
        (DataWish(module="social", of=Buckets(0, 1), to=7), KNOWN, "has no shard 7"),
        (DataWish(module="social", of=Buckets(0, 1023)), KNOWN, "must keep something"),
        (DataWish(module="social", back="last"), KNOWN, "no move that could be taken back"),
        (DataWish(module="social", clean="mv9"), KNOWN, "no move mv9"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(wish: DataWish, known: DataFacts, said: str) -> None:
    with pytest.raises(PlanImpossible, match=said):
        divide(System(), wish, known)
