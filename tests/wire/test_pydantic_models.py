"""pydantic models travel as their own JSON: pydantic writes, reads and validates them."""

import datetime
import decimal
import uuid
from typing import Annotated, Any

import pydantic
import pytest
from annotated_types import Gt
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel

from ramet.errors import BadArgument
from ramet.model import compatibility, shapes
from ramet.wire import values
from ramet.wire.calls import CallCodec
from tests.wire.generated import contract, quick

BASE64 = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class Plain(BaseModel):
    a: int
    b: str = "x"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    day: datetime.date
    at: datetime.datetime
    id: uuid.UUID
    price: decimal.Decimal
    share: float
    row: tuple[int, ...]
    kinds: set[int]
    lasts: datetime.timedelta
    big: int


class Aliased(BaseModel):
    a: int = Field(alias="aFromOutside")


class Generated(BaseModel):
    model_config = ConfigDict(alias_generator=lambda name: name.upper())
    a: int


class Choosing(BaseModel):
    a: int = Field(validation_alias=AliasChoices("old", "a"))


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    a: int = Field(validation_alias="old")


class Bytes(BaseModel):
    model_config = BASE64
    data: bytes
    more: list[bytes] = []


class Outer(BaseModel):
    inner: Bytes
    plain: list[Plain]


class Tree(BaseModel):
    children: "list[Tree]" = []


class Numbers(RootModel[list[int]]):
    pass


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int

    @pydantic.computed_field
    @property
    def double(self) -> int:
        return self.a * 2


class Hidden(BaseModel):
    a: int
    secret: str = Field(default="", exclude=True)


class Beyond(BaseModel):
    """Types that pydantic knows and msgspec does not."""

    where: pydantic.AnyUrl
    kind: complex | None = None


AT = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
TAKEN: dict[str, Any] = {
    "plain": Plain(a=1),
    "strict": Strict(
        day=AT.date(),
        at=AT,
        id=uuid.UUID(int=5),
        price=decimal.Decimal("1.50"),
        share=0.1,
        row=(1,),
        kinds={1, 2},
        lasts=datetime.timedelta(days=3, microseconds=1),
        big=2**90,
    ),
    "an alias": Aliased(aFromOutside=1),
    "generated aliases": Generated(A=1),
    "a choice of aliases with the written one": Choosing(old=1),
    "an alias beside the name": ByName(a=1),
    "bytes as base64": Bytes(data=b"\xff\xfe", more=[b"\x80"]),
    "a model in a model": Outer(inner=Bytes(data=b"\xff"), plain=[Plain(a=1)]),
    "recursive": Tree(children=[Tree(), Tree(children=[Tree()])]),
    "a root model": Numbers([1, 2]),
    "a computed field beside forbidden extras": Closed(a=1),
    "a field that is not sent": Hidden(a=1),
    "types that only pydantic knows": Beyond(where="https://a.example/b"),
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_model_arrives_as_it_was_sent(case: str) -> None:
    """Alone, optional, and in a list."""
    value = TAKEN[case]
    cls = type(value)
    for annotation, sent in (
        (cls, value),
        (cls | None, value),
        (cls | None, None),
        (list[cls], [value, value]),
        (dict[str, cls], {"a": value}),
    ):
        under_test = CallCodec(contract({"p": annotation}, annotation))
        assert under_test.copy_arguments((sent,)) == (sent,)
        assert under_test.copy_result(sent) == sent


@quick
@given(st.builds(Plain, a=st.integers(), b=st.text(st.characters(codec="utf-8"))))
def test_any_model_survives(value: Plain) -> None:
    """Its JSON is in a str, so integers of any size pass."""
    assert CallCodec(contract({"p": Plain})).copy_arguments((value,)) == (value,)


class Unencoded(BaseModel):
    data: bytes


class InList(BaseModel):
    data: list[bytes]


class InUnion(BaseModel):
    data: bytes | None


class Within(BaseModel):
    model_config = BASE64
    inner: list[Unencoded]


class Written(BaseModel):
    a: int = Field(serialization_alias="b")


class Read(BaseModel):
    a: int = Field(validation_alias="b")


class Pathed(BaseModel):
    a: int = Field(validation_alias=AliasPath("b", 0))


class NotByAlias(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=False)
    a: int = Field(alias="b")


class Lost(BaseModel):
    a: int = Field(exclude=True)


REFUSED: dict[str, tuple[type, str, str]] = {
    "bytes": (Unencoded, "bytes field `data`", "ser_json_bytes='base64'"),
    "bytes in a list": (InList, "bytes field `data`", "ser_json_bytes='base64'"),
    "optional bytes": (InUnion, "bytes field `data`", "ser_json_bytes='base64'"),
    "bytes in a model within": (Within, "bytes field `data`", "ser_json_bytes='base64'"),
    "written under another name": (Written, "writes its field `a` as `b`", "Field(alias="),
    "read under another name": (Read, "writes its field `a` as `a`", "Field(alias="),
    "read from a path": (Pathed, "writes its field `a` as `a`", "Field(alias="),
    "written by alias, read by name": (NotByAlias, "writes its field `a` as `b`", "Field(alias="),
    "required and not written": (Lost, "requires its field `a` and leaves it out", "exclude=True"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_cannot_read_its_own_json_is_refused_at_import(case: str) -> None:
    """Each call with it would fail, or only those with certain bytes, which is worse."""
    cls, reason, way_out = REFUSED[case]
    with pytest.raises(shapes.NoShape, match=reason) as caught:
        shapes.describe(list[cls])
    assert way_out in caught.value.way_out


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "Expected the JSON of `Plain` in a `str`, got `int`"),
        ({"a": 1}, "Expected the JSON of `Plain` in a `str`, got `dict`"),
        ("{", "Invalid JSON"),
        ('{"a": "x"}', "valid integer"),
        (Aliased(aFromOutside=1), "Field required"),
    ],
)
def test_what_is_no_such_model_is_a_bad_argument(value: Any, message: str) -> None:
    """With pydantic's own words and the parameter's name."""
    with pytest.raises(BadArgument, match=message) as caught:
        CallCodec(contract({"p": Plain})).copy_arguments((value,))
    assert caught.value.message.startswith("`p`: ")


def test_the_copy_is_another_object() -> None:
    """A model is mutable."""
    value = Outer(inner=Bytes(data=b"a"), plain=[Plain(a=1)])
    [copy] = CallCodec(contract({"p": Outer})).copy_arguments((value,))
    copy.plain[0].a = 2
    assert value.plain[0].a == 1


class Limited(BaseModel):
    a: Annotated[int, Gt(5)]
    b: str = "x"


class More(BaseModel):
    a: int
    b: str = "x"
    c: int = 0


class ClosedPlain(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: str = "x"


def differences(caller: type, callee: type) -> list[str]:
    return [
        str(each) for each in compatibility.differences(contract({"p": caller}).descriptor, contract({"p": callee}).descriptor)
    ]


def test_versions_of_a_model_are_compared() -> None:
    """Optional fields are additive; a check that only the reader has, or extras that it forbids, are not."""
    assert differences(Plain, More) == differences(More, Plain) == []
    assert differences(More, ClosedPlain) == ["p.c: the writer sends it, the reader forbids unknown fields"]
    assert differences(Plain, Limited) == ["p.a: int is sent, the reader expects int(checks=['Gt(gt=5)'])"]
    assert contract({"p": Plain}).hash != contract({"p": Limited}).hash


def test_encoding_any_other_object_is_a_type_error() -> None:
    """`NotImplementedError` would be taken for a bug of ours."""
    with pytest.raises(TypeError, match="`object` cannot cross the wire"):
        values.ENCODER.encode([object()])
