"""Naive datetimes are refused wherever they are, since they mean another instant on each machine. Aware ones keep theirs."""

import dataclasses
import datetime
from typing import Annotated, Any, Generic, NamedTuple, NotRequired, TypedDict, TypeVar

import msgspec
import pytest

from ramet.errors import BadAnswer, BadArgument, UnwireableType
from ramet.model import shapes
from ramet.wire import values
from ramet.wire.calls import CallCodec
from tests.wire.generated import contract

NAIVE = datetime.datetime(2030, 1, 1, 12)  # noqa: DTZ001
AWARE = NAIVE.replace(tzinfo=datetime.UTC)
T = TypeVar("T")


class Stamped(msgspec.Struct):
    at: datetime.datetime


class Renamed(msgspec.Struct, rename="camel"):
    created_at: datetime.datetime


class Listed(msgspec.Struct, array_like=True):
    name: str
    at: datetime.datetime


class Tagged(msgspec.Struct, tag=True):
    at: datetime.datetime


class Untimed(msgspec.Struct, tag=True):
    at: list[str]


class Box(msgspec.Struct, Generic[T]):
    value: T


class Tree(msgspec.Struct):
    children: "list[Tree]" = []
    at: datetime.datetime | None = None


class Timeless(msgspec.Struct):
    children: "list[Timeless]" = []
    name: str = ""


@dataclasses.dataclass
class Note:
    at: datetime.datetime


class Entry(TypedDict):
    at: NotRequired[datetime.datetime]


class Point(NamedTuple):
    name: str
    at: datetime.datetime


PLACES: dict[str, tuple[Any, Any]] = {
    "itself": (datetime.datetime, lambda at: at),
    "with metadata": (Annotated[datetime.datetime, msgspec.Meta(title="when")], lambda at: at),
    "optional": (datetime.datetime | None, lambda at: at),
    "a list": (list[datetime.datetime], lambda at: [AWARE, at]),
    "a set": (set[datetime.datetime], lambda at: {at}),
    "a frozenset": (frozenset[datetime.datetime], lambda at: frozenset({at})),
    "a tuple of any length": (tuple[datetime.datetime, ...], lambda at: (AWARE, at)),
    "a tuple": (tuple[str, datetime.datetime], lambda at: ("a", at)),
    "a dict's value": (dict[str, datetime.datetime], lambda at: {"a": at}),
    "a dict's key": (dict[datetime.datetime, str], lambda at: {at: "a"}),
    "a list in a dict": (dict[str, list[datetime.datetime]], lambda at: {"a": [at]}),
    "a struct": (Stamped, Stamped),
    "a struct with other names on the wire": (Renamed, Renamed),
    "a struct as an array": (Listed, lambda at: Listed("a", at)),
    "a generic struct": (Box[datetime.datetime], Box),
    "a list in a generic struct": (Box[list[Stamped]], lambda at: Box([Stamped(at)])),
    "a dataclass": (Note, Note),
    "a TypedDict": (Entry, lambda at: {"at": at}),
    "a NamedTuple": (Point, lambda at: Point("a", at)),
    "the root of a recursive struct": (Tree, lambda at: Tree([], at)),
    "deep in a recursive struct": (Tree, lambda at: Tree([Tree(), Tree([Tree([], at)])])),
    "a union of structs": (Tagged | Untimed, Tagged),
    "a union in a list": (list[Untimed | Tagged], lambda at: [Untimed(["x"]), Tagged(at)]),
    "a union of containers": (list[Tagged | Untimed] | dict[str, datetime.datetime], lambda at: {"x": at}),
    "an optional struct": (Stamped | None, Stamped),
}
IN_DISGUISE: dict[str, tuple[Any, Any]] = {
    "a dict for a struct": (Stamped, lambda at: {"at": at}),
    "a dict for a struct with other names": (Renamed, lambda at: {"createdAt": at}),
    "a dict for a dataclass": (Note, lambda at: {"at": at}),
    "a dataclass for a struct": (Stamped, Note),
    "a struct for a TypedDict": (Entry, Stamped),
    "a tuple for a NamedTuple": (Point, lambda at: ("a", at)),
    "a list for a struct as an array": (Listed, lambda at: ["a", at]),
    "a tuple for a list": (list[datetime.datetime], lambda at: (AWARE, at)),
}


def codec(annotation: Any) -> CallCodec:
    return CallCodec(contract({"other": int, "p": annotation}, annotation))


@pytest.mark.parametrize("case", [*PLACES, *IN_DISGUISE])
def test_a_naive_datetime_is_refused_wherever_it_is(case: str) -> None:
    """In the arguments before they are sent, in the result before it is; the message says which and what to do."""
    annotation, make = {**PLACES, **IN_DISGUISE}[case]
    under_test = codec(annotation)
    with pytest.raises(BadArgument, match=r"`p`: the datetime 2030-01-01T12:00:00 has no time zone; make it aware"):
        under_test.copy_arguments((1, make(NAIVE)))
    assert under_test.check_arguments
    with pytest.raises(BadArgument, match="`p`: the datetime"):
        under_test.check_arguments((1, make(NAIVE)))
    with pytest.raises(BadArgument, match="`p`: the datetime"):
        under_test.copy_argument(1, make(NAIVE))
    with pytest.raises(BadAnswer, match="the result: the datetime"):
        under_test.copy_result(make(NAIVE))
    with pytest.raises(BadAnswer, match="the result: the datetime"):
        under_test.encode_result(3, 1, make(NAIVE), None, 2**24)


@pytest.mark.parametrize("case", PLACES)
def test_an_aware_datetime_passes_there(case: str) -> None:
    """The check is of the zone, not of the place."""
    annotation, make = PLACES[case]
    assert codec(annotation).copy_arguments((1, make(AWARE))) == (1, make(AWARE))


@pytest.mark.parametrize("zone", [datetime.timezone(datetime.timedelta(hours=h)) for h in (-11, 0, 14)])
def test_the_instant_is_kept_and_the_zone_is_not(zone: datetime.tzinfo) -> None:
    """What arrives is in UTC: an instant has no zone, a place has one, and a place is another field."""
    [_, found] = codec(datetime.datetime).copy_arguments((1, AWARE.astimezone(zone)))
    assert found == AWARE
    assert found.utcoffset() == datetime.timedelta(0)


WRONG_TYPES: dict[str, tuple[Any, Any]] = {
    "an int for a list": (list[datetime.datetime], 5),
    "a short tuple": (tuple[datetime.datetime, datetime.datetime], (AWARE,)),
    "a dict for a tuple": (tuple[datetime.datetime, datetime.datetime], {}),
    "a list for a dict": (dict[str, datetime.datetime], [AWARE]),
    "text for a struct": (Stamped, "text"),
    "None for a TypedDict": (Entry, None),
    "a short list for a struct as an array": (Listed, ["a"]),
    "a list of odd things": (list[Stamped], [1, None]),
}


@pytest.mark.parametrize("case", WRONG_TYPES)
def test_a_value_of_another_type_is_told_so_by_the_decoder(case: str) -> None:
    """The check for zones must not fail on it in its own words, nor let it pass."""
    annotation, value = WRONG_TYPES[case]
    with pytest.raises(BadArgument, match="`p.*`: (Expected|Object)"):
        codec(annotation).copy_arguments((1, value))
    with pytest.raises(BadAnswer, match="(Expected|Object)"):
        codec(annotation).copy_result(value)


def test_one_odd_argument_does_not_open_the_door_for_the_next() -> None:
    """Each is checked by itself."""
    under_test = CallCodec(contract({"a": tuple[datetime.datetime, datetime.datetime], "b": datetime.datetime}))
    assert under_test.check_arguments
    with pytest.raises(BadArgument, match="`b`: the datetime"):
        under_test.check_arguments(((AWARE,), NAIVE))


@pytest.mark.parametrize(
    "annotation", [int, Timeless, list[Timeless], dict[str, Timeless | None], datetime.date, datetime.time, Any]
)
def test_types_without_datetimes_are_not_looked_through(annotation: Any) -> None:
    """The check walks the value in Python: only those who need it pay."""
    assert values.guard_of(annotation) is None


def test_a_type_that_wants_naive_datetimes_cannot_cross() -> None:
    """It could never be sent: found at import."""
    with pytest.raises(shapes.NoShape, match="without a time zone"):
        shapes.describe(list[Annotated[datetime.datetime, msgspec.Meta(tz=False)]])
    assert issubclass(UnwireableType, Exception)


def test_a_chain_beyond_any_stack_is_a_bad_argument() -> None:
    """The check recurses as the value does."""
    tree = Tree()
    for _ in range(100_000):
        tree = Tree([tree])
    under_test = codec(Tree)
    with pytest.raises(BadArgument, match="`p`: it is nested too deeply"):
        under_test.copy_arguments((1, tree))
    with pytest.raises(BadAnswer, match="it is nested too deeply"):
        under_test.copy_result(tree)
