"""The table of changes in docs/concepts/contracts.md, row by row."""

import enum
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
import pytest

from ramet import Failure, Module
from ramet.model.compatibility import differences
from tests.docs.example import DOCS


class Two(enum.Enum):
    A = "a"
    B = "b"


class Three(enum.Enum):
    A = "a"
    B = "b"
    C = "c"


class Bare(msgspec.Struct):
    a: int


class Renamed(msgspec.Struct):
    a: int


class Given(msgspec.Struct):
    a: int = 0


class Optional(msgspec.Struct):
    a: int
    b: int = 0


class Required(msgspec.Struct):
    a: int
    b: int


class Tagged(msgspec.Struct, tag="one"):
    a: int


class Retagged(msgspec.Struct, tag="two"):
    a: int


class Gone(Failure):
    a: int


Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


def taking(kind: Any) -> Callable[..., Any]:
    async def call(x: kind) -> int: ...  # type: ignore[valid-type]

    return call


def giving(kind: Any) -> Callable[..., Any]:
    async def call() -> kind: ...  # type: ignore[valid-type]

    return call


async def none() -> int: ...


async def required(x: int) -> int: ...


async def optional(x: int = 1) -> int: ...


async def optional_two(x: int = 2) -> int: ...


async def renamed(y: int) -> int: ...


async def ab(a: int, b: str) -> int: ...


async def ba(b: str, a: int) -> int: ...


async def numbers() -> AsyncIterator[int]:
    yield 1


YES, CALLEE_FIRST, NO = "yes", "callee first", "no"

ROWS: list[tuple[str, Callable[..., Any], Callable[..., Any], str]] = [
    ("add a parameter with a default", none, optional, YES),
    ("add a parameter without a default", none, required, NO),
    ("remove a parameter that has a default", optional, none, YES),
    ("remove a parameter that has no default", required, none, NO),
    ("rename a parameter", required, renamed, NO),
    ("change the order of parameters", ab, ba, YES),
    ("give a parameter a default", required, optional, YES),
    ("take a default away", optional, required, YES),
    ("change the value of a default", optional, optional_two, YES),
    ("widen a parameter", taking(int), taking(int | None), CALLEE_FIRST),
    ("widen a parameter", taking(int), taking(float), CALLEE_FIRST),
    ("widen a parameter", taking(Two), taking(Three), CALLEE_FIRST),
    ("narrow a parameter", taking(int | None), taking(int), NO),
    ("narrow a result", giving(int | None), giving(int), CALLEE_FIRST),
    ("narrow a result", giving(Three), giving(Two), CALLEE_FIRST),
    ("widen a result", giving(int), giving(int | None), NO),
    ("add a field with a default to a struct", taking(Bare), taking(Optional), YES),
    ("add a field with a default to a struct", giving(Bare), giving(Optional), YES),
    ("add a field without a default to a struct of a result", giving(Bare), giving(Required), CALLEE_FIRST),
    ("add a field without a default to a struct of a parameter", taking(Bare), taking(Required), NO),
    ("remove a field with a default", taking(Optional), taking(Bare), YES),
    ("remove a field with a default", giving(Optional), giving(Bare), YES),
    ("remove a field without a default from a struct of a parameter", taking(Required), taking(Bare), CALLEE_FIRST),
    ("remove a field without a default from a struct of a result", giving(Required), giving(Bare), NO),
    ("give a field of a parameter's struct a default", taking(Bare), taking(Given), CALLEE_FIRST),
    ("give a field of a result's struct a default", giving(Bare), giving(Given), NO),
    ("rename a struct", taking(Bare), taking(Renamed), YES),
    ("change the tag of a tagged struct", taking(Tagged), taking(Retagged), NO),
    ("drop a limit of a parameter", taking(Positive), taking(int), CALLEE_FIRST),
    ("change a limit", taking(Positive), taking(NotNegative), NO),
    ("`list` to `set`", taking(list[int]), taking(set[int]), YES),
    ("stream a result", giving(int), numbers, NO),
]


def descriptor(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    function.__name__ = "call"
    module = Module("orders")
    module.expose(**options)(function)
    contract = module.contract("call")
    assert contract is not None
    return contract.descriptor


@pytest.mark.parametrize(("change", "old", "new", "allowed"), ROWS)
def test_a_change_is_allowed_as_the_page_says(change: str, old: Any, new: Any, allowed: str) -> None:
    """An older caller with a newer callee, and the other way round."""
    before, after = descriptor(old), descriptor(new)
    passes = (not differences(caller=before, callee=after), not differences(caller=after, callee=before))
    assert passes[0] is (allowed != NO)
    if allowed != NO:
        assert passes[1] is (allowed == YES)


@pytest.mark.parametrize("options", [{"raises": [Gone]}, {"idempotent": True}, {"once": True}])
def test_an_option_is_no_difference_at_connect(options: dict[str, Any]) -> None:
    """It changes the hash, and nothing that is compared."""
    before, after = descriptor(required), descriptor(required, **options)
    assert before != after
    assert not differences(caller=before, callee=after)
    assert not differences(caller=after, callee=before)


def test_each_row_above_is_in_the_page() -> None:
    """With the words of the page."""
    page = (DOCS / "concepts" / "contracts.md").read_text()
    assert [change for change, *_ in ROWS if f"\n| {change}" not in page] == []
