"""A copy within one process is the same as the way over the wire, and shares nothing that can change."""

import dataclasses
import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest
from hypothesis import given

from ramet.wire import values
from ramet.wire.copying import copier, is_immutable, type_test
from tests.wire.generated import Color, quick, typed_values


def by_wire(annotation: Any) -> Any:
    decoder = values.decoder(annotation)
    return lambda value: decoder.decode(values.ENCODER.encode(value))


def mutables(value: Any) -> dict[int, Any]:
    """All that can be changed within a value, by id."""
    found: dict[int, Any] = {}
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, msgspec.Struct):
            pending += [getattr(each, name) for name in each.__struct_fields__]
            is_mutable = not each.__struct_config__.frozen
        elif dataclasses.is_dataclass(each):
            pending += [getattr(each, field.name) for field in dataclasses.fields(each)]
            is_mutable = not each.__dataclass_params__.frozen
        elif isinstance(each, dict):
            pending += [*each, *each.values()]
            is_mutable = True
        elif isinstance(each, (list, set, tuple, frozenset)):
            pending += each
            is_mutable = isinstance(each, (list, set))
        else:
            is_mutable = isinstance(each, bytearray)
        if is_mutable:
            found[id(each)] = each
    return found


@quick
@given(typed_values())
def test_a_copy_equals_the_way_over_the_wire_and_shares_nothing_mutable(typed) -> None:
    """What the callee does to its arguments, the caller does not see; together as apart."""
    annotation, value = typed
    copy = copier(annotation, by_wire(annotation))
    if copy is None:
        assert is_immutable(annotation)
        assert not mutables(value)
        return
    made = copy(value)
    assert made == value == by_wire(annotation)(value)
    assert type(made) is type(value)
    assert not mutables(made).keys() & mutables(value).keys()


class Frozen(msgspec.Struct, frozen=True):
    a: int
    b: tuple[str, ...] = ()


class FrozenWithList(msgspec.Struct, frozen=True):
    a: list[int]


class Loose(msgspec.Struct):
    a: int
    items: list[Frozen] = []


class Chain(msgspec.Struct, frozen=True):
    next: "Chain | None" = None


class MutableChain(msgspec.Struct):
    next: "MutableChain | None" = None


class Subclass(Loose):
    extra: int = 0


class Name(str):
    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: list[int]


@dataclasses.dataclass(frozen=True)
class FrozenNote:
    text: str


@dataclasses.dataclass
class Note:
    text: str


class Level(enum.IntEnum):
    LOW = 1


IMMUTABLE = [
    int, float, bool, str, bytes, None, datetime.datetime, datetime.date, datetime.time, datetime.timedelta, uuid.UUID,
    decimal.Decimal, Color, Level, Literal["a", 1], int | None, tuple[int, ...], tuple[int, str], tuple[()], frozenset[str], Frozen,
    FrozenNote, Frozen | None, tuple[Frozen, ...], Chain,
]  # fmt: skip
MUTABLE = [
    list[int], dict[str, int], set[int], bytearray, Any, Loose, FrozenWithList, Note, Point, tuple[list[int], ...], frozenset[Point],
    Frozen | list[int], MutableChain, dict, list,
]  # fmt: skip


@pytest.mark.parametrize("annotation", IMMUTABLE, ids=str)
def test_an_immutable_type_is_shared(annotation: Any) -> None:
    """A reference costs nothing, and nobody can change what is behind it."""
    assert is_immutable(annotation)
    assert copier(annotation, lambda _: pytest.fail("copied")) is None


@pytest.mark.parametrize("annotation", [each for each in MUTABLE if each is not frozenset[Point]], ids=str)
def test_a_type_with_something_mutable_in_it_is_copied(annotation: Any) -> None:
    """However deep it is."""
    assert not is_immutable(annotation)
    assert copier(annotation, by_wire(annotation)) is not None


SHORT: dict[str, tuple[Any, Any]] = {
    "a list": (list[int], [1, 2]),
    "a set": (set[str], {"a"}),
    "a dict of lists": (dict[str, list[int]], {"a": [1]}),
    "an optional list": (list[int] | None, [1]),
    "nothing": (list[int] | None, None),
    "a struct": (Loose, Loose(1, [Frozen(2, ("a",))])),
    "a frozen struct with a list": (FrozenWithList, FrozenWithList([1])),
    "structs in lists in dicts": (dict[str, list[Loose | None]], {"a": [Loose(1), None]}),
    "a described list": (Annotated[list[int], msgspec.Meta(description="numbers")], [1]),
}


@pytest.mark.parametrize("case", SHORT)
def test_common_shapes_are_copied_without_the_codec(case: str) -> None:
    """It is what the copier is for."""
    annotation, value = SHORT[case]
    copy = copier(annotation, lambda _: pytest.fail("took the long way"))
    assert copy is not None
    made = copy(value)
    assert made == value
    assert not mutables(made).keys() & mutables(value).keys()


FITS: dict[str, tuple[Any, Any, Any]] = {
    "a tuple for a list": (list[int], (1, 2), [1, 2]),
    "a list for a set": (set[int], [1, 1], {1}),
    "a set for a list": (list[int], {1}, [1]),
    "a dict for a struct": (Loose, {"a": 1}, Loose(1)),
    "a dataclass for a struct": (list[Loose], [Note("x")], None),
    "a subclass of a struct": (Loose, Subclass(1, [], 5), Loose(1)),
    "text for a list": (list[str], "abc", None),
    "None for a list": (list[int], None, None),
    "a struct for a dict": (dict[str, Any], Loose(1), {"a": 1, "items": []}),
    "an odd item in a list of structs": (list[Loose], [Loose(1), {"a": 2}], [Loose(1), Loose(2)]),
    "an odd value in a dict of lists": (dict[str, list[int]], {"a": (1,)}, {"a": [1]}),
}


@pytest.mark.parametrize("case", FITS)
def test_a_value_of_another_type_takes_the_long_way(case: str) -> None:
    """The codec converts or refuses it, as the wire would."""
    annotation, value, expected = FITS[case]
    ways: list[Any] = []

    def codec(each: Any) -> Any:
        ways.append(each)
        return by_wire(annotation)(each)

    copy = copier(annotation, codec)
    assert copy is not None
    if expected is None:
        with pytest.raises(msgspec.ValidationError):
            copy(value)
    else:
        assert copy(value) == expected
    assert ways == [value]


def test_a_frozen_struct_with_a_list_gets_a_list_of_its_own() -> None:
    """Frozen is not deeply frozen."""
    value = FrozenWithList([1])
    copy = copier(FrozenWithList, by_wire(FrozenWithList))
    assert copy is not None
    made = copy(value)
    made.a.append(2)
    assert value.a == [1]


def test_fields_may_have_any_name() -> None:
    """The copier is generated text; no field can get in its way."""
    names = ["cls", "value", "Odd", "replace", "made", "copy", "copy_a", "a", "self"]
    for frozen in (True, False):
        cls = msgspec.defstruct("Names", [(name, list[int]) for name in names], frozen=frozen)
        copy = copier(cls, by_wire(cls))
        value = cls(*([index] for index, _ in enumerate(names)))
        assert copy is not None
        assert copy(value) == value
        assert not mutables(copy(value)).keys() & mutables(value).keys()


# The test of a type by identity


def passes(annotation: Any, value: Any) -> bool | None:
    made = type_test(annotation, "value", prefix="_t")
    if made is None:
        return None
    source, names = made
    return bool(eval(source, {**names, "value": value}))


TESTS: dict[str, tuple[Any, Any, bool | None]] = {
    "an int": (int, 1, True),
    "a bool is no int": (int, True, False),
    "an int is no float, it has to be converted": (float, 1, False),
    "a described int": (Annotated[int, msgspec.Meta(description="how many")], 1, True),
    "a subclass of str may carry more": (str, Name("x"), False),
    "None": (None, None, True),
    "one of a union": (int | str | None, "x", True),
    "none of a union": (int | str | None, 1.5, False),
    "an aware datetime": (datetime.datetime, datetime.datetime.now(datetime.UTC), True),
    "a naive one": (datetime.datetime, datetime.datetime(2030, 1, 1), False),  # noqa: DTZ001
    "a datetime is no date": (datetime.date, datetime.datetime.now(datetime.UTC), False),
    "a member of an enum": (Color, Color.RED, True),
    "its value is not": (Color, "red", False),
    "a frozen struct": (Frozen, Frozen(1), True),
    "a limited int only the codec can tell": (Annotated[int, msgspec.Meta(gt=0)], 1, None),
    "a literal only the codec can tell": (Literal["a"], "a", None),
    "a tuple only the codec can tell": (tuple[int, ...], (1,), None),
}


@pytest.mark.parametrize("case", TESTS)
def test_the_fast_path_takes_exactly_the_declared_type(case: str) -> None:
    """Whatever would be converted or refused on the wire must not slip through."""
    annotation, value, expected = TESTS[case]
    assert passes(annotation, value) is expected
