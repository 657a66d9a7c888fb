"""Contracts: what a declaration must be, and when two of them are the same on the wire."""

import dataclasses
import datetime
import enum
import functools
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given

from ramet import Failure, Module
from ramet.errors import DeclarationError, UnwireableType
from ramet.model.contract import signature_of
from ramet.model.shapes import canonical
from tests.wire.generated import annotation_of, contract, quick, specs


class Gone(Failure, status=410):
    slug: str


class Twin:
    class Gone(Failure):
        pass


async def fine(a: int) -> int:
    return a


async def stars(*items: int) -> None: ...
async def double_stars(**items: int) -> None: ...
async def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
async def no_result(a: int): ...  # type: ignore[no-untyped-def]
async def positional(a: int, /) -> None: ...
async def ahead(a: "NotThere") -> None: ...  # noqa: F821
async def misspelt(a: "datetime.datetim") -> None: ...
async def half(a: "list[") -> None: ...  # noqa: F722
async def wrong_default(a: int = "x") -> None: ...  # type: ignore[assignment]
async def none_default(a: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013
async def naive_default(a: datetime.datetime = datetime.datetime(2030, 1, 1)) -> None: ...  # noqa: DTZ001
async def yields() -> int:  # type: ignore[misc]
    yield 1


def plainly_yields() -> int:  # type: ignore[misc]
    yield 1


async def returns_a_stream() -> AsyncIterator[int]:
    return (each async for each in AsyncIterator())  # type: ignore[abstract]


def plainly_returns_a_stream() -> AsyncIterator[int]:
    raise NotImplementedError


class Holder:
    async def method(self, a: int) -> None: ...


nameless = lambda: 1  # noqa: E731
nameless.__annotations__ = {"return": int}

DECLARATIONS: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "*args": (stars, {}, "`*items: int` has no signature", "one list or Struct"),
    "**kwargs": (double_stars, {}, "`**items: int` has no signature", "one list or Struct"),
    "no annotation": (untyped, {}, "parameter `a` has no type", "`a: str`"),
    "no result": (no_result, {}, "has no result type", "`-> None`"),
    "positional-only": (positional, {}, "`a` is positional-only", "leave the `/` out"),
    "a type that is not there": (ahead, {}, "name 'NotThere' is not defined", "above the call"),
    "a type that its module has not": (misspelt, {}, "has no attribute 'datetim'", "above the call"),
    "half an annotation": (half, {}, "'list['", "above the call"),
    "a default of another type": (wrong_default, {}, "the default of `a`: Expected `int`, got `str`", ""),
    "None where the type has none": (
        none_default,
        {},
        "the default of `a`: Expected `int`, got `None`",
        "`a: int | None = None`",
    ),
    "a naive default": (naive_default, {}, "the default of `a`: the datetime", ""),
    "yields, but promises a value": (yields, {}, "yields, but its result is int", "AsyncIterator[T]"),
    "a generator": (plainly_yields, {}, "yields, but its result is int", "AsyncIterator[T]"),
    "promises a stream and returns one": (returns_a_stream, {}, "not an async generator", "yield item"),
    "a plain function that returns a stream": (plainly_returns_a_stream, {}, "not an async generator", "yield item"),
    "a method": (Holder.method, {}, "parameter `self` has no type", ""),
    "a lambda": (nameless, {}, "not a function with a name", "`def`"),
    "a partial": (functools.partial(fine, 1), {}, "not a function with a name", "`def`"),
    "a class": (int, {}, "not a function with a name", "`def`"),
    "not a function at all": (5, {}, "not a function with a name", "`def`"),
    "raises what is no failure": (fine, {"raises": [ValueError]}, "which is not a Failure", "subclass of ramet.Failure"),
    "raises an instance": (fine, {"raises": [Gone("a")]}, "which is not a Failure", "subclass of ramet.Failure"),
    "raises one class": (fine, {"raises": Gone}, "raises=Gone is one class", "raises=[Gone]"),
    "raises two of one name": (fine, {"raises": [Gone, Twin.Gone]}, "two failures of one name", ""),
    "idempotent and once": (fine, {"idempotent": True, "once": True}, "idempotent and once", "leave once out"),
    "hedged, but not idempotent": (fine, {"hedge_after": "50ms"}, "would run it twice", "idempotent=True"),
    "no time at all": (fine, {"deadline": 0}, "longer than nothing", ""),
    "negative time": (fine, {"deadline": -1}, "not negative", ""),
    "endless time": (fine, {"deadline": float("inf")}, "finite", ""),
    "no duration": (fine, {"deadline": "soon"}, "'soon' is not a duration", ""),
    "None as a duration": (fine, {"deadline": None}, "not None", ""),
}


@pytest.mark.parametrize("case", DECLARATIONS)
def test_a_declaration_that_cannot_work_is_an_error_at_import(case: str) -> None:
    """With what is wrong, and what to write instead."""
    function, options, message, hint = DECLARATIONS[case]
    module = Module("shop")
    with pytest.raises(DeclarationError) as caught:
        module.expose(**options)(function)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert not module.calls


def test_a_misspelt_option_is_an_error_at_once() -> None:
    """Python's own, before the function is looked at."""
    with pytest.raises(TypeError, match="idempotant"):
        Module("shop").expose(idempotant=True)  # type: ignore[call-overload]


def test_a_name_is_exposed_once() -> None:
    """The error says where the other one is."""
    module = Module("shop")
    module.expose(fine)
    with pytest.raises(DeclarationError, match="module `shop` exposes `fine` twice") as caught:
        module.expose(fine)
    assert "the first is at" in (caught.value.hint or "")
    assert list(module.calls) == ["fine"]


@pytest.mark.parametrize("name", ["", "A", "a b", "a-b", "1a", "_a", "a" * 49, "ä", "a.b", "a\n"])
def test_a_modules_name_is_also_a_label_a_schema_and_a_role(name: str) -> None:
    """So it is what all of them take. The same for the names it uses."""
    with pytest.raises(DeclarationError, match="cannot name a module"):
        Module(name)
    with pytest.raises(DeclarationError, match="cannot name a module"):
        Module("shop", uses=[name])


@pytest.mark.parametrize(("uses", "message"), [("accounts", r"is one text"), (["shop"], "lists itself")])
def test_uses_lists_other_modules(uses: Any, message: str) -> None:
    """One text would be read as its letters."""
    with pytest.raises(DeclarationError, match=message):
        Module("shop", uses=uses)


def test_the_contract_keeps_what_was_declared() -> None:
    """Parameters with defaults and kinds, options in seconds, the place of the declaration."""
    module = Module("shop")

    @module.expose(raises=[Gone], idempotent=True, deadline="1.5s", hedge_after="50ms")
    async def find(slug: str, *, limit: int = 10) -> list[str]:
        return []

    found = module.contract("find")
    assert found is not None
    assert found.qualified == "shop.find"
    assert [(p.name, p.annotation, p.is_required, p.keyword_only) for p in found.parameters] == [
        ("slug", str, True, False),
        ("limit", int, False, True),
    ]
    assert (found.failures, found.idempotent, found.deadline_s, found.hedge_after_s) == ((Gone,), True, 1.5, 0.05)
    assert found.where.startswith(f"{__file__}:")
    assert found.signature == "shop.find(slug: str, limit: int = ...) -> list[str] raises Gone"
    assert module.contract("other") is None


# The hash


class Article(msgspec.Struct):
    slug: str
    tags: list[str] = []


@dataclasses.dataclass
class Renamed:
    slug: str
    tags: list[str] = dataclasses.field(default_factory=list)


class Color(enum.Enum):
    RED = "red"


class Colour(enum.Enum):
    ROUGE = "red"


class Typed(TypedDict):
    slug: str


class Slug(msgspec.Struct):
    slug: str


def made(name: str, *fields: Any, **options: Any) -> Any:
    return msgspec.defstruct(name, fields, **options)


EQUAL = {
    "a struct of another name": (made("A", ("x", int)), made("B", ("x", int))),
    "a struct in a struct of another name": (
        list[made("A", ("x", made("B", ("y", int))))],
        list[made("C", ("x", made("D", ("y", int))))],
    ),
    "a dataclass for a struct": (Article, Renamed),
    "a TypedDict for a struct": (Slug, Typed),
    "an enum of another name": (Color, Colour),
    "a list for a set": (list[int], set[int]),
    "another default": (made("A", ("x", int, 1)), made("A", ("x", int, 2))),
    "a description": (int, Annotated[int, msgspec.Meta(description="n")]),
    "Literal in another order": (Literal["a", "b"], Literal["b", "a"]),
    "frozen": (made("A", ("x", int)), made("A", ("x", int), frozen=True)),
}
DIFFERENT = {
    "another type": (int, str),
    "another field name": (made("A", ("x", int)), made("A", ("y", int))),
    "another field type": (made("A", ("x", int)), made("A", ("x", float))),
    "a field more": (made("A", ("x", int)), made("A", ("x", int), ("y", int, 0))),
    "a field that became optional": (made("A", ("x", int)), made("A", ("x", int, 0))),
    "a field that is called name": (made("A", ("name", int)), made("A", ("nome", int))),
    "another order of positional fields": (
        made("A", ("x", int), ("y", str), array_like=True),
        made("A", ("y", str), ("x", int), array_like=True),
    ),
    "by position": (made("A", ("x", int)), made("A", ("x", int), array_like=True)),
    "another tag": (made("A", ("x", int), tag="a"), made("A", ("x", int), tag="b")),
    "a tag": (made("A", ("x", int)), made("A", ("x", int), tag=True)),
    "closed": (made("A", ("x", int)), made("A", ("x", int), forbid_unknown_fields=True)),
    "another enum value": (Color, enum.Enum("Color", {"RED": "crimson"})),
    "another literal": (Literal["a"], Literal["b"]),
    "True for 1": (Literal[1], Literal[True]),
    "optional": (int, int | None),
    "limited": (int, Annotated[int, msgspec.Meta(gt=0)]),
    "a tuple for a list": (list[int], tuple[int, int]),
    "deep inside": (dict[str, list[Article]], dict[str, list[Slug]]),
}


@pytest.mark.parametrize("case", EQUAL)
def test_contracts_that_read_each_other_by_position_have_one_hash(case: str) -> None:
    """Names of types do not reach the wire."""
    one, other = EQUAL[case]
    assert contract({"p": one}).hash == contract({"p": other}).hash
    assert contract({}, one).hash == contract({}, other).hash


@pytest.mark.parametrize("case", DIFFERENT)
def test_contracts_that_may_not_have_different_hashes(case: str) -> None:
    """Whatever changes a byte, or what is accepted, changes the hash."""
    one, other = DIFFERENT[case]
    assert contract({"p": one}).hash != contract({"p": other}).hash
    assert contract({}, one).hash != contract({}, other).hash


class WithCode(Failure):
    code: int


ADJUSTED = {
    "another parameter name": contract({"q": int}),
    "a parameter more": contract({"p": int, "q": int}),
    "a parameter with a default": contract({"p": int}, defaults={"p": 1}),
    "a failure": contract({"p": int}, failures=(Gone,)),
    "another failure": contract({"p": int}, failures=(WithCode,)),
    "idempotent": contract({"p": int}, idempotent=True),
    "once": contract({"p": int}, once=True),
    "a stream": contract({"p": int}, streams=True),
}


@pytest.mark.parametrize("case", ADJUSTED)
def test_what_is_promised_beside_the_types_is_in_the_hash(case: str) -> None:
    """A failure that the other side cannot read, a repeat that it does not expect."""
    assert ADJUSTED[case].hash != contract({"p": int}).hash


def test_the_order_of_parameters_is_in_the_hash_and_that_of_failures_is_not() -> None:
    """Parameters are sent by position, failures by name."""
    assert contract({"p": int, "q": int}).hash != contract({"q": int, "p": int}).hash
    assert contract({}, failures=(Gone, WithCode)).hash == contract({}, failures=(WithCode, Gone)).hash


def test_time_limits_are_not_in_the_hash() -> None:
    """They are the caller's business, and change with each tuning."""
    assert contract({}, deadline_s=1.0, hedge_after_s=0.1, where="a:1").hash == contract({}).hash


def test_a_failure_may_have_any_name() -> None:
    """Even one that is a word of the descriptor's own."""
    kind = type(Failure)("kind", (Failure,), {"__annotations__": {"name": str}})
    name = type(Failure)("name", (Failure,), {"__annotations__": {"kind": int}})
    hashes = {contract({}, failures=failures).hash for failures in ((), (kind,), (name,), (kind, name))}
    assert len(hashes) == 4


@quick
@given(specs())
def test_a_contract_made_twice_has_one_hash_and_one_descriptor(spec) -> None:
    """Two processes compute it each for itself; and what is sent is what was meant."""
    from tests.wire.generated import _annotation

    first = contract({"p": annotation_of(spec)}, annotation_of(spec))
    _annotation.cache_clear()
    second = contract({"p": annotation_of(spec)}, annotation_of(spec))
    assert first.hash == second.hash
    received = msgspec.msgpack.decode(msgspec.msgpack.encode(first.descriptor))
    assert received == second.descriptor
    assert canonical(received) == canonical(second.descriptor)
    assert signature_of(received) == second.signature


def test_a_nested_type_that_cannot_cross_is_found_in_a_failure_too() -> None:
    """A failure crosses as its fields do."""
    with pytest.raises(UnwireableType, match="complex"):
        type(Failure)("Odd", (Failure,), {"__annotations__": {"value": list[complex]}})
