"""Arguments as they are typed at a prompt, to values of the contract's types."""

import datetime
import decimal
import enum
import uuid
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.edge import codec
from ramet.errors import BadArgument
from ramet.model.contract import CallContract, CallOptions, contract_of
from ramet.operate.arguments import parse


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Item(msgspec.Struct, frozen=True):
    sku: str
    count: int = 1


class Everything(msgspec.Struct, frozen=True):
    text: str = ""
    whole: int = 0
    part: float = 0.0
    yes: bool = False


NOBODY = uuid.UUID(int=0)
NOTHING = Everything()


async def many(
    text: str = "",
    whole: int = 0,
    part: float = 0.0,
    yes: bool = False,
    perhaps: int | None = None,
    day: datetime.date = datetime.date(2026, 1, 1),
    at: datetime.datetime = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    who: uuid.UUID = NOBODY,
    price: decimal.Decimal = decimal.Decimal(0),
    raw: bytes = b"",
    size: Size = Size.SMALL,
    side: Literal["left", "right"] = "left",
    tags: list[str] = [],  # noqa: B006  (the contract's default, which every call copies)
    numbers: tuple[int, ...] | None = None,
    item: Item | None = None,
    items: list[Item] = [],  # noqa: B006
    named: dict[str, int] = {},  # noqa: B006
    *,
    everything: Everything = NOTHING,
) -> None: ...


async def two(a: int, b: str, c: int = 3) -> int: ...


def contract(function: Any) -> CallContract:
    return contract_of("shop", function, CallOptions())


MANY, TWO = contract(many), contract(two)

READ = [
    pytest.param("text=a=b c", "a=b c", id="all behind the first sign"),
    pytest.param("text=", "", id="nothing is a text"),
    pytest.param("text=12", "12", id="a text of digits stays one"),
    pytest.param("text=@x", "@x", id="no sign has a meaning in a text"),
    pytest.param('text:="a\\nb"', "a\nb", id="a text as JSON"),
    pytest.param("whole=-7", -7, id="a number"),
    pytest.param("whole:=7", 7, id="a number as JSON"),
    pytest.param("part=1e3", 1000.0, id="a float"),
    pytest.param("part=2", 2.0, id="a float without a point"),
    pytest.param("yes=true", True, id="true"),
    pytest.param("yes=0", False, id="a bool as 0"),
    pytest.param("perhaps=5", 5, id="optional"),
    pytest.param("perhaps=null", None, id="none"),
    pytest.param("perhaps:=null", None, id="none as JSON"),
    pytest.param("day=2026-12-24", datetime.date(2026, 12, 24), id="a date"),
    pytest.param("at=2026-12-24T18:00:00Z", datetime.datetime(2026, 12, 24, 18, tzinfo=datetime.UTC), id="a moment"),
    pytest.param("who=0af76519-16cd-43dd-8448-eb211c80319c", uuid.UUID("0af76519-16cd-43dd-8448-eb211c80319c"), id="a UUID"),
    pytest.param("price=9.90", decimal.Decimal("9.90"), id="a decimal keeps its zeros"),
    pytest.param("raw=AP8=", b"\x00\xff", id="bytes in base64"),
    pytest.param("size=2", Size.LARGE, id="an enum of numbers"),
    pytest.param("side=right", "right", id="a literal"),
    pytest.param("tags=a,b", ["a,b"], id="one item of a list"),
    pytest.param('tags:=["a", "b"]', ["a", "b"], id="a list as JSON"),
    pytest.param("tags:=[]", [], id="an empty list"),
    pytest.param("numbers=4", (4,), id="an optional list of numbers"),
    pytest.param('item={"sku": "a"}', Item("a"), id="a struct, which can only be JSON"),
    pytest.param('items:=[{"sku": "a", "count": 2}]', [Item("a", 2)], id="a list of structs"),
    pytest.param('named={"a": 1}', {"a": 1}, id="a map"),
    pytest.param('everything:={"yes": true}', Everything(yes=True), id="keyword-only"),
]


@pytest.mark.parametrize(("word", "expected"), READ)
def test_a_value_is_read_by_the_type_of_its_parameter(word: str, expected: object) -> None:
    """By the contract, and not by what it looks like."""
    found = parse(MANY, [word])
    assert list(found.values()) == [expected]
    assert type(next(iter(found.values()))) is type(expected)


def test_a_list_is_given_item_by_item() -> None:
    """In the order in which they are typed."""
    assert parse(MANY, ["tags=b", "text=x", "tags=a"]) == {"tags": ["b", "a"], "text": "x"}
    assert parse(MANY, ["numbers=1", "numbers=2"]) == {"numbers": (1, 2)}


def test_what_has_a_default_may_be_left_out() -> None:
    """It is the callee's default then."""
    assert parse(TWO, ["a=1", "b=x"]) == {"a": 1, "b": "x"}


REFUSED = [
    pytest.param(TWO, ["a=1"], "`b` is missing", id="missing"),
    pytest.param(TWO, ["a=1", "b=x", "c=1", "c=2"], "`c`: given 2 times", id="twice"),
    pytest.param(TWO, ["a=1", "b=x", "c:=1", "c=2"], "`c`: given 2 times", id="twice, in two ways"),
    pytest.param(TWO, ["a=1", "b=x", "bb=y"], "there is no parameter `bb`", id="unknown"),
    pytest.param(TWO, ["1", "b=x", "a=1"], "'1' names no parameter; write it as name=value", id="no name"),
    pytest.param(TWO, ["--a=1", "b=x", "a=1"], "'--a=1' names no parameter", id="an option that is none"),
    pytest.param(TWO, ["a=", "b=x"], "`a`: Expected `int`, got ''", id="no number"),
    pytest.param(TWO, ["a=1.5", "b=x"], "`a`: Expected `int`, got", id="half a number"),
    pytest.param(TWO, ["a:=1.5", "b=x"], "`a`: Expected `int`, got `float`", id="half a number as JSON"),
    pytest.param(TWO, ["a=1", "b:=x"], "`b`: 'x' cannot be read: JSON is malformed", id="a text that is no JSON"),
    pytest.param(MANY, ["side=up"], "`side`: 'up' is none of its values; known: left, right", id="a literal"),
    pytest.param(MANY, ["size=3"], "`size`: '3' is none of its values; known: 1, 2", id="an enum"),
    pytest.param(MANY, ["at=2026-12-24T18:00:00"], "`at`: Expected `datetime` with a timezone", id="a moment of no zone"),
    pytest.param(MANY, ["item=a"], "`item`: 'a' cannot be read as JSON, since its type is Item{", id="a struct as a text"),
    pytest.param(MANY, ['items:=[{"sku": 1}]'], "`items`: [0].sku: Expected `str`, got `int`", id="a field of a struct"),
    pytest.param(MANY, ["text:=\udc80"], "`text`: '\\udc80' cannot be read", id="bytes that are no UTF-8"),
]


@pytest.mark.parametrize(("contract", "words", "message"), REFUSED)
def test_what_does_not_fit_is_named(contract: CallContract, words: list[str], message: str) -> None:
    """It did not run, and the hint is the signature."""
    with pytest.raises(BadArgument) as caught:
        parse(contract, words)
    assert message in caught.value.message
    assert caught.value.hint == contract.signature
    assert not caught.value.may_have_run


def test_all_mistakes_are_told_at_once() -> None:
    """Not one after the other, with a try for each."""
    with pytest.raises(BadArgument) as caught:
        parse(TWO, ["a=x", "cc=1", "7"])
    assert caught.value.message.splitlines() == [
        "4 mistakes",
        "  there is no parameter `cc`; did you mean `c`?",
        "  '7' names no parameter; write it as name=value, or name:=JSON",
        "  `a`: Expected `int`, got 'x'",
        "  `b` is missing",
    ]


names = st.sampled_from([parameter.name for parameter in MANY.parameters])
junk = st.text(max_size=30)
words = st.one_of(
    junk, st.builds(lambda name, sign, text: f"{name}{sign}{text}", names | junk, st.sampled_from(["=", ":="]), junk)
)


@given(st.lists(words, max_size=6))
def test_whatever_is_typed_is_read_or_refused(typed: list[str]) -> None:
    """What is read can be sent: the codec takes it."""
    try:
        found = parse(MANY, typed)
    except BadArgument as error:
        assert error.message
        return
    assert found.keys() <= {parameter.name for parameter in MANY.parameters}


@given(
    st.builds(
        Everything, st.text(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
    )
)
def test_what_is_written_as_json_is_read_back(value: Everything) -> None:
    """Of a struct, and of each scalar as a text where its type is known."""
    if "\x00" not in value.text:
        assert parse(MANY, [f"everything:={codec.encode(value).decode()}"]) == {"everything": value}
    typed = [f"text={value.text}", f"whole={value.whole}", f"part={value.part!r}", f"yes={str(value.yes).lower()}"]
    assert parse(MANY, typed) == msgspec.structs.asdict(value)
