"""Failures: exceptions that are values, with fields that cross the wire."""

import copy
import pickle
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given

from ramet import Failure
from ramet.errors import DeclarationError, UnwireableType
from ramet.wire import values
from ramet.wire.calls import CallCodec
from tests.wire.generated import contract, quick, typed_values


class Gone(Failure, status=410):
    """The article was here.

    And is not any more.
    """

    slug: str
    left: int = 0
    tags: list[str] = []
    limit: ClassVar[int] = 5


class GoneForEver(Gone):
    since: int = 1970


class Narrowed(Gone):
    left: str = "none"  # type: ignore[assignment]


class NoSuchThing(Failure):
    pass


class First(Failure):
    a: int


class Second(Failure):
    b: int


class Both(First, Second):
    c: int


def made(annotations: dict[str, Any], defaults: dict[str, Any] | None = None, **options: Any) -> Any:
    """A Failure `Odd` with these fields."""
    return type(Failure)(
        "Odd", (Failure,), {"__annotations__": annotations, "__module__": __name__, **(defaults or {})}, **options
    )


# Construction


def test_fields_are_the_constructors_parameters() -> None:
    """By position and by name, with defaults, as in a dataclass."""
    gone = Gone("a", left=2)
    assert (gone.slug, gone.left, gone.tags, gone.limit) == ("a", 2, [], 5)
    assert gone.args == ("a", 2, [])
    assert str(gone) == "slug='a', left=2, tags=[]"


@pytest.mark.parametrize(
    ("args", "fields", "message"),
    [
        ((), {}, "Gone: Missing required argument 'slug'"),
        (("a",), {"lost": 1}, "Gone: Unexpected keyword argument 'lost'"),
        (("a", 1, [], 2), {}, "Gone: Extra positional arguments provided"),
        (("a",), {"slug": "b"}, "Gone: Argument 'slug' given by name and position"),
    ],
)
def test_a_wrong_construction_names_the_failure(args: tuple[Any, ...], fields: dict[str, Any], message: str) -> None:
    """A TypeError, as for any class of Python's."""
    with pytest.raises(TypeError, match=message):
        Gone(*args, **fields)


def test_each_failure_has_a_default_of_its_own() -> None:
    """A shared list would be a leak between requests."""
    Gone("a").tags.append("x")
    assert Gone("b").tags == []


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    """Fields are found where ordinary look-up fails; what is no field must fail on."""
    with pytest.raises(AttributeError, match="'Gone' has no attribute 'lost'"):
        _ = Gone("a").lost
    assert not hasattr(Gone.__new__(Gone), "payload")


def test_it_is_raised_caught_and_chained_like_any_exception() -> None:
    """With notes, a cause and a traceback."""
    with pytest.raises(Gone) as caught:
        try:
            raise KeyError("a")
        except KeyError as error:
            raise Gone("a") from error
    caught.value.add_note("seen")
    assert caught.value.__notes__ == ["seen"]
    assert isinstance(caught.value.__cause__, KeyError)


# Equality


def test_equal_fields_of_one_class_are_equal_failures() -> None:
    """So a test can compare what came over the wire; a subclass is another failure."""
    assert Gone("a", left=1) == Gone("a", 1)
    assert Gone("a") != Gone("b")
    assert Gone("a") != GoneForEver("a")
    assert NoSuchThing() == NoSuchThing()
    assert NoSuchThing() != "no such thing"


def test_equal_failures_have_equal_hashes() -> None:
    """Also with a list inside: an exception must always be hashable."""
    assert hash(Gone("a", tags=["x"])) == hash(Gone("a", tags=["x"]))
    assert {Gone("a"), Gone("a")} == {Gone("a")}


@pytest.mark.parametrize("failure", [Gone("a", 1, ["x"]), GoneForEver("a", since=2000), NoSuchThing(), Both(1, 2, 3)], ids=repr)
def test_a_failure_survives_pickle_and_copy(failure: Failure) -> None:
    """For process pools, and for test runners that send exceptions around."""
    for twin in (pickle.loads(pickle.dumps(failure)), copy.copy(failure), copy.deepcopy(failure)):
        assert twin == failure
        assert type(twin) is type(failure)
        assert twin.args == failure.args


# Inheritance


def test_a_subclass_has_the_fields_of_its_bases_with_their_defaults() -> None:
    """Those first, its own behind them, its status inherited."""
    forever = GoneForEver("a")
    assert (forever.slug, forever.left, forever.tags, forever.since) == ("a", 0, [], 1970)
    assert GoneForEver("a", 1, ["x"], 2000).since == 2000
    assert GoneForEver.status == 410
    assert isinstance(forever, Gone)
    assert GoneForEver("a").tags is not GoneForEver("a").tags


def test_a_subclass_may_give_a_field_another_type() -> None:
    """It is another value on the wire."""
    assert Narrowed("a").left == "none"
    assert {field.name: field.type for field in msgspec.structs.fields(Narrowed.payload_type)}["left"] is str


def test_fields_of_several_bases_come_together() -> None:
    """In the order of Python's own resolution, the furthest first."""
    both = Both(b=2, a=1, c=3)
    assert (both.a, both.b, both.c) == (1, 2, 3)
    assert set(Both.payload_type.__struct_fields__) == {"a", "b", "c"}


def test_a_required_field_behind_one_with_a_default_is_refused() -> None:
    """As in a dataclass; the fields of the bases count."""
    with pytest.raises(DeclarationError, match="Odd: Required field 'more'") as caught:
        type(Failure)("Odd", (Gone,), {"__annotations__": {"more": int}})
    assert caught.value.hint == "give it a default too"


# Status and title


@pytest.mark.parametrize(
    ("status", "taken"), [(400, True), (599, True), (399, False), (600, False), (200, False), ("404", False), (404.0, False)]
)
def test_a_status_is_that_of_a_failure(status: Any, taken: bool) -> None:
    """400 to 599, an int."""
    if taken:
        assert made({}, status=status).status == status
    else:
        with pytest.raises(DeclarationError, match="expected 400 to 599"):
            made({}, status=status)


def test_without_a_status_it_is_a_bad_request() -> None:
    """The caller asked for something that cannot be."""
    assert NoSuchThing.status == 400


@pytest.mark.parametrize(
    ("cls", "title"), [(Gone, "The article was here"), (NoSuchThing, "No such thing"), (GoneForEver, "Gone for ever")]
)
def test_the_title_is_the_docstrings_first_line_or_the_name_in_words(cls: type[Failure], title: str) -> None:
    """A person reads it in the problem document. A base's docstring is about the base."""
    assert cls.title() == title


# What cannot be a field

RESERVED = ["args", "payload", "status", "title", "restore", "payload_type", "add_note", "with_traceback", "__cause__"]


@pytest.mark.parametrize("name", RESERVED)
def test_a_field_cannot_hide_what_an_exception_has(name: str) -> None:
    """`failure.args` would be something else than what was given, and nobody would notice."""
    with pytest.raises(DeclarationError, match=f"Odd: a failure cannot have a field `{name}`"):
        made({name: int})
    with pytest.raises(DeclarationError, match=f"a failure cannot have a field `{name}`"):
        made({name: int}, {name: 5})


@pytest.mark.parametrize("name", ["self", "cls", "message", "code", "fields", "name", "kind"])
def test_other_names_are_free(name: str) -> None:
    """Words of ours that do not reach the instance."""
    failure = made({name: int})(**{name: 5})
    assert getattr(failure, name) == 5
    assert getattr(made({name: int}, {name: 7})(), name) == 7


@pytest.mark.parametrize(
    ("annotation", "message", "way_out"),
    [
        (complex, "Odd: `complex` cannot cross the wire", "two parts as floats"),
        (list[object], "Odd: `object` cannot cross the wire", "name the type"),
        ("NotThere", "name 'NotThere' is not defined", "define or import that type above"),
    ],
)
def test_a_field_that_cannot_cross_is_an_error_at_import(annotation: Any, message: str, way_out: str) -> None:
    """The same as for a parameter."""
    with pytest.raises(UnwireableType, match=message) as caught:
        made({"value": annotation})
    assert way_out in (caught.value.hint or "")


# Over the wire


@quick
@given(typed_values())
def test_any_failure_arrives_as_it_was_raised(typed: tuple[Any, Any]) -> None:
    """With fields of any type that crosses."""
    annotation, value = typed
    cls = made({"value": annotation, "id": UUID})
    failure = cls(value, UUID(int=1))
    codec = CallCodec(contract({}, None, failures=(cls,)))
    assert codec.read_failure("Odd", values.ENCODER.encode(failure.payload)) == failure
