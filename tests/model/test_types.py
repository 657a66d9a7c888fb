"""Which types cross the wire, and what is said of those that do not."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, TypeVar, Union

import msgspec
import pytest
from pydantic import BaseModel

from ramet import Module
from ramet.errors import UnwireableType
from ramet.model import shapes
from ramet.model.contract import CallContract
from ramet.wire.calls import CallCodec

T = TypeVar("T")
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Right(enum.IntFlag):
    READ = 1
    WRITE = 2


class Article(msgspec.Struct, frozen=True):
    slug: str
    tags: list[str] = []


class Box(msgspec.Struct, Generic[T]):
    value: T


@dataclasses.dataclass
class Pair(Generic[T]):
    left: T
    right: T


@dataclasses.dataclass
class Note:
    text: str
    at: datetime.datetime | None = None


class Entry(TypedDict):
    key: str
    count: NotRequired[int]


class Point(NamedTuple):
    x: int
    y: int = 0


class Model(BaseModel):
    a: int


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


class Tree(msgspec.Struct):
    value: int
    children: "list[Tree]" = []


@dataclasses.dataclass
class Linked:
    next: "Linked | None" = None


class Even(msgspec.Struct):
    odd: "Odd | None" = None


class Odd(msgspec.Struct):
    even: Even | None = None


AT = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
TAKEN: dict[str, tuple[Any, Any, str]] = {
    "bool": (bool, True, "bool"),
    "int": (int, 1, "int"),
    "float": (float, 0.5, "float"),
    "str": (str, "a", "str"),
    "bytes": (bytes, b"a", "bytes"),
    "None": (None, None, "None"),
    "datetime": (datetime.datetime, AT, "datetime"),
    "date": (datetime.date, AT.date(), "date"),
    "time": (datetime.time, AT.time(), "time"),
    "timedelta": (datetime.timedelta, datetime.timedelta(1), "timedelta"),
    "UUID": (uuid.UUID, uuid.UUID(int=1), "UUID"),
    "Decimal": (decimal.Decimal, decimal.Decimal("1.50"), "Decimal"),
    "Enum": (Color, Color.RED, "Color('blue', 'red')"),
    "IntEnum": (Level, Level.LOW, "Level(1, 2)"),
    "IntFlag, also in combination": (Right, Right.READ | Right.WRITE, "Right(1, 2)"),
    "Literal": (Literal["b", "a", 1, None], "a", "Literal['a', 'b', 1, None]"),
    "optional": (int | None, None, "int | None"),
    "Optional": (Optional[int], 1, "int | None"),  # noqa: UP045  (both spellings are in users' code)
    "Union": (Union[int, str], "a", "int | str"),  # noqa: UP007
    "a union of tagged structs": (Cat | Dog, Dog("rex"), "Cat{name: str} | Dog{name: str}"),
    "a union with containers": (list[int] | dict[str, int] | str, [1], "list[int] | dict[str, int] | str"),
    "list": (list[int], [1], "list[int]"),
    "a bare list": (list, [1, "a"], "list[Any]"),
    "Sequence": (Sequence[int], [1], "list[int]"),
    "set": (set[str], {"a"}, "list[str]"),
    "frozenset": (frozenset[str], frozenset({"a"}), "list[str]"),
    "a set of frozen structs": (set[Article], set(), "list[Article{slug: str, tags?: list[str]}]"),
    "tuple": (tuple[int, str], (1, "a"), "tuple[int, str]"),
    "a tuple of any length": (tuple[int, ...], (1, 2), "list[int]"),
    "the empty tuple": (tuple[()], (), "tuple[]"),
    "dict": (dict[str, int], {"a": 1}, "dict[str, int]"),
    "Mapping": (Mapping[str, int], {"a": 1}, "dict[str, int]"),
    "dict by UUID": (dict[uuid.UUID, int], {uuid.UUID(int=1): 1}, "dict[UUID, int]"),
    "dict by int": (dict[int, str], {1: "a"}, "dict[int, str]"),
    "dict by date": (dict[datetime.date, int], {AT.date(): 1}, "dict[date, int]"),
    "dict by Enum": (dict[Color, int], {Color.RED: 1}, "dict[Color('blue', 'red'), int]"),
    "dict by Literal": (dict[Literal["a"], int], {"a": 1}, "dict[Literal['a'], int]"),
    "dict by float": (dict[float, int], {0.5: 1}, "dict[float, int]"),
    "dict by bool": (dict[bool, int], {True: 1}, "dict[bool, int]"),
    "dict by bytes": (dict[bytes, int], {b"\xff": 1}, "dict[bytes, int]"),
    "dict by datetime": (dict[datetime.datetime, int], {AT: 1}, "dict[datetime, int]"),
    "dict by Decimal": (dict[decimal.Decimal, int], {decimal.Decimal(1): 1}, "dict[Decimal, int]"),
    "Struct": (Article, Article("a"), "Article{slug: str, tags?: list[str]}"),
    "a generic Struct": (Box[int], Box(1), "Box{value: int}"),
    "generic in generic": (Box[list[Box[str]]], Box([Box("a")]), "Box{value: list[Box{value: str}]}"),
    "a generic without its argument": (Box, Box("a"), "Box{value: Any}"),
    "a generic dataclass": (Pair[str], Pair("a", "b"), "Pair{left: str, right: str}"),
    "dataclass": (Note, Note("a", AT), "Note{text: str, at?: datetime | None}"),
    "TypedDict": (Entry, {"key": "a"}, "Entry{count?: int, key: str}"),
    "NamedTuple": (Point, Point(1), "Point{x: int, y?: int}"),
    "a pydantic model": (Model, Model(a=1), "Model{a: int}"),
    "a list of pydantic models": (list[Model], [Model(a=1)], "list[Model{a: int}]"),
    "recursive Struct": (Tree, Tree(1, [Tree(2)]), "Tree{value: int, children?: list[...]}"),
    "recursive dataclass": (Linked, Linked(Linked()), "Linked{next?: ... | None}"),
    "two that contain each other": (Even, Even(Odd(Even())), "Even{odd?: Odd{even?: ... | None} | None}"),
    "Any": (Any, {"a": [1, None]}, "Any"),
    "NewType": (UserId, 1, "int"),
    "with limits": (Annotated[int, msgspec.Meta(gt=0, le=9)], 1, "int(gt=0, le=9)"),
    "with a limited length": (Annotated[list[int], msgspec.Meta(max_length=3)], [1], "list[int](max_length=3)"),
    "with a description": (Annotated[int, msgspec.Meta(description="how many", examples=[1])], 1, "int"),
    "with a description inside": (list[Annotated[int, msgspec.Meta(title="n", gt=0)]], [1], "list[int(gt=0)]"),
    "with someone else's metadata": (Annotated[int, "for people"], 1, "int"),
}  # fmt: skip


def exposed(annotation: Any, *, as_result: bool = False) -> CallContract:
    module = Module("shop")

    async def order(item: Any) -> Any: ...

    order.__annotations__ = {"item": int, "return": annotation} if as_result else {"item": annotation, "return": None}
    module.expose(order)
    contract = module.contract("order")
    assert contract is not None
    return contract


@pytest.mark.parametrize("case", TAKEN)
def test_a_type_that_crosses_has_a_shape_and_its_values_cross(case: str) -> None:
    """As a parameter and as a result; and the signature is what a person would write."""
    annotation, value, signature = TAKEN[case]
    taken, given = exposed(annotation), exposed(annotation, as_result=True)
    assert taken.signature == f"shop.order(item: {signature}) -> None"
    assert given.signature == f"shop.order(item: int) -> {signature}"
    [found] = CallCodec(taken).copy_arguments((value,))
    assert (found, type(found)) == (value, type(value))
    assert CallCodec(given).copy_result(value) == value


@pytest.mark.parametrize("case", TAKEN)
def test_a_shape_is_plain_data(case: str) -> None:
    """It is sent to peers and compared with theirs, so it must survive as it is."""
    shape = exposed(TAKEN[case][0]).parameters[0].shape
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(shape)) == shape
    assert msgspec.json.decode(shapes.canonical(shape)) == shape


class Plain:
    pass


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Ahead(msgspec.Struct):
    later: "NotThere"  # noqa: F821  (that is the case)


class A(msgspec.Struct):
    x: int


class B(msgspec.Struct):
    y: int


REFUSED: dict[str, tuple[Any, str, str]] = {
    "complex": (complex, "complex", "the two parts as floats"),
    "object": (object, "object", "name the type"),
    "Path": (pathlib.Path, "Path", "send it as str"),
    "IP address": (ipaddress.IPv4Address, "IPv4Address", "send it as str"),
    "a pattern": (re.Pattern, "Pattern", "source as str"),
    "Fraction": (fractions.Fraction, "Fraction", "two parts as ints"),
    "array": (array.array, "array", "list[float] or bytes"),
    "deque": (collections.deque[int], "deque", "list[T]"),
    "Counter": (collections.Counter, "Counter", "dict[K, int]"),
    "defaultdict": (collections.defaultdict[str, int], "defaultdict", "dict[K, V]"),
    "range": (range, "range", "list[int]"),
    "a class of one's own": (Plain, "Plain", "make Plain a msgspec Struct, a dataclass, a TypedDict or a pydantic model"),
    "a class in a list": (list[Plain], "Plain", "make Plain a msgspec Struct"),
    "a class in a generic in a generic": (Box[Box[Plain]], "Plain", "make Plain a msgspec Struct"),
    "a function": (Callable[[int], str], "Callable", "a function cannot be sent"),
    "Iterator": (Iterator[int], "Iterator", "AsyncIterator[T]"),
    "Iterable": (Iterable[int], "Iterable", "list[T]"),
    "AsyncIterator in a parameter": (AsyncIterator[int], "AsyncIterator", "whole result"),
    "AsyncIterable": (AsyncIterable[int], "AsyncIterable", "AsyncIterator[T]"),
    "AsyncGenerator": (AsyncGenerator[int, None], "AsyncGenerator", "AsyncIterator[T]"),
    "a stream that may be none": (AsyncIterator[int] | None, "AsyncIterator", "whole result"),
    "a type": (type[int], "type", "make type a msgspec Struct"),
    "an exception": (ValueError, "ValueError", "make ValueError a msgspec Struct"),
    "structs that cannot be told apart": (A | B, "A | B", "tagged msgspec Structs"),
    "types that look alike on the wire": (datetime.datetime | str, "datetime | str", "tagged msgspec Structs"),
    "a pydantic model or something else": (Model | int, "Model | int", "tagged msgspec Structs"),
    "an enum of mixed values": (Mixed, "Mixed", "all of its members str values, or all of them int"),
    "a float literal": (Literal[0.5], "Literal[0.5]", "Struct"),  # type: ignore[valid-type]
    "a field whose type is not there": (Ahead, "Ahead", "define or import that type above"),
    "a dict by struct": (dict[Article, int], "Article{slug: str, tags?: list[str]}", "use str, int, UUID"),
    "a dict by tuple": (dict[tuple[int, int], int], "tuple[int, int]", "use str, int, UUID"),
    "a dict by None": (dict[str | None, int], "None", "use str, int, UUID"),
    "a set of lists": (set[list[int]], "list[int]", "use list[T]"),
    "a set of dicts": (frozenset[dict[str, int]], "dict[str, int]", "use list[T]"),
    "a set of structs that change": (set[A], "A{x: int}", "frozen"),
    "a set of dataclasses that change": (set[Note], "Note{text: str, at?: datetime | None}", "frozen"),
    "a naive datetime": (Annotated[datetime.datetime, msgspec.Meta(tz=False)], "datetime", "aware"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_type_that_cannot_cross_is_an_error_that_says_where_and_what_instead(case: str) -> None:
    """At import: module, call, parameter, the inner type, the file, and the way out."""
    annotation, type_name, way_out = REFUSED[case]
    with pytest.raises(UnwireableType) as caught:
        exposed(annotation)
    error = caught.value
    assert error.message.startswith("shop.order: parameter `item`: `")
    assert type_name in error.message
    assert way_out in (error.hint or "")
    assert (error.where or "").startswith(__file__)
    assert any(way_out in note for note in error.__notes__)


@pytest.mark.parametrize("case", [case for case in REFUSED if "AsyncIterator" not in case])
def test_a_result_that_cannot_cross_is_named_as_such(case: str) -> None:
    """It has no name of its own."""
    annotation, type_name, _ = REFUSED[case]
    with pytest.raises(UnwireableType) as caught:
        exposed(annotation, as_result=True)
    assert caught.value.message.startswith("shop.order: result: `")
    assert type_name in caught.value.message


def test_the_whole_type_is_shown_beside_the_inner_one() -> None:
    """The inner one may be the field of a field."""
    with pytest.raises(UnwireableType, match=r"`complex` cannot cross the wire \(in dict\[str, list\[complex\]\]\)"):
        exposed(dict[str, list[complex]])


def test_a_stream_has_the_shape_of_its_items() -> None:
    """`AsyncIterator[T]` as the whole result; without T it is anything."""
    module = Module("shop")

    @module.expose
    async def numbers() -> AsyncIterator[int]:
        yield 1

    @module.expose
    async def anything() -> AsyncIterator:  # type: ignore[type-arg]
        yield 1

    found = [module.contract(name) for name in ("numbers", "anything")]
    assert [contract and contract.signature for contract in found] == [
        "shop.numbers() -> AsyncIterator[int]",
        "shop.anything() -> AsyncIterator[Any]",
    ]
    assert all(contract and contract.streams for contract in found)


def test_a_stream_of_what_cannot_cross_is_refused() -> None:
    """Its items are the result."""
    module = Module("shop")

    async def numbers() -> AsyncIterator[complex]:
        yield 1j

    with pytest.raises(UnwireableType, match=r"shop.numbers: result: `complex`"):
        module.expose(numbers)
