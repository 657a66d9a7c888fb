"""Old reads new, new reads old; and where they would not, the difference is named."""

import enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ramet.model.compatibility import differences
from ramet.model.contract import CallContract
from ramet.wire.calls import CallCodec
from ramet.wire.frames import HEADER_BYTES
from tests.wire.generated import Spec, annotation_of, changed, contract, default_of, grown, quick, small_structs, specs, values_of


def made(name: str, *fields: Any, **options: Any) -> Any:
    return msgspec.defstruct(name, fields, **options)


X = made("X", ("a", int))
X_MORE = made("X", ("a", int), ("b", str, ""))
X_NEEDS_MORE = made("X", ("a", int), ("b", str))
X_CLOSED = made("X", ("a", int), forbid_unknown_fields=True)
X_ARRAY = made("X", ("a", int), array_like=True)
X_ARRAY_MORE = made("X", ("a", int), ("b", str, ""), array_like=True)
X_ARRAY_NEEDS_MORE = made("X", ("a", int), ("b", str), array_like=True)
X_ARRAY_CLOSED = made("X", ("a", int), array_like=True, forbid_unknown_fields=True)
X_TAGGED = made("X", ("a", int), tag="x")
Y_TAGGED = made("Y", ("a", int), tag="y")


class One(NamedTuple):
    a: int


class Two(NamedTuple):
    a: int
    b: int = 0


class Needed(TypedDict):
    a: int


class Optional(TypedDict):
    a: NotRequired[int]


class Small(enum.Enum):
    A = "a"


class Large(enum.Enum):
    A = "a"
    B = "b"


class Tree(msgspec.Struct):
    value: int
    children: "list[Tree]" = []


class TreeMore(msgspec.Struct):
    value: int
    children: "list[TreeMore]" = []
    note: str = ""


class TreeText(msgspec.Struct):
    value: str
    children: "list[TreeText]" = []


PASSES: dict[str, tuple[Any, Any]] = {
    "the same": (X, X),
    "a field more, with a default": (X, X_MORE),
    "a field less, that had one": (X_MORE, X),
    "a field less, that had none": (X_NEEDS_MORE, X),
    "a positional field more, with a default": (X_ARRAY, X_ARRAY_MORE),
    "a positional field less": (X_ARRAY_MORE, X_ARRAY),
    "a tuple's field more, with a default": (One, Two),
    "a field that is always sent, and may be missing": (Needed, Optional),
    "a reader that forbids what nobody sends": (X, X_CLOSED),
    "int to float": (int, float),
    "int to an optional float": (int, float | None),
    "int or float to float": (int | float, float),
    "int to int or str": (int, int | str),
    "an alternative less": (int, int | str | None),
    "a literal to str": (Literal["a"], str),
    "a number literal to int": (Literal[1], int),
    "an enum to str": (Small, str),
    "fewer values to more": (Small, Large),
    "fewer literals to more": (Literal["a"], Literal["a", "b"]),
    "a literal to an enum": (Literal["b"], Large),
    "anything to Any": (dict[str, X], Any),
    "a list to a set": (list[int], set[int]),
    "in a list": (list[X], list[X_MORE]),
    "in a dict": (dict[str, X], dict[str, X_MORE]),
    "in a tuple": (tuple[int, X], tuple[int, X_MORE]),
    "in an optional": (X | None, X_MORE | None),
    "one of a tagged union": (X_TAGGED, X_TAGGED | Y_TAGGED),
    "unlimited reader": (Annotated[int, msgspec.Meta(gt=0)], int),
    "the same limits": (Annotated[int, msgspec.Meta(gt=0)], Annotated[int, msgspec.Meta(gt=0)]),
    "recursive": (Tree, TreeMore),
    "recursive, back": (TreeMore, Tree),
}
BREAKS: dict[str, tuple[Any, Any, str]] = {
    "another type": (int, str, "p: int is sent, the reader expects str"),
    "float to int": (float, int, "p: float is sent, the reader expects int"),
    "a field that the reader requires": (X, X_NEEDS_MORE, "p.b: the reader requires it, the writer does not send it"),
    "a field that the writer may leave out": (X_MORE, X_NEEDS_MORE, "p.b: the reader requires it, the writer may leave it out"),
    "a key that may be missing": (Optional, Needed, "p.a: the reader requires it, the writer may leave it out"),
    "a reader that forbids more": (X_MORE, X_CLOSED, "p.b: the writer sends it, the reader forbids unknown fields"),
    "by position and by name": (X, X_ARRAY, "p: one side sends the fields by position, the other by name"),
    "a positional field that the reader requires": (X_ARRAY, X_ARRAY_NEEDS_MORE, "p[1]: the reader requires `b`, the writer does not send it"),
    "a positional field that the reader forbids": (X_ARRAY_MORE, X_ARRAY_CLOSED, "p[1]: the writer sends it, the reader takes no more fields"),
    "a tuple's field too many": (Two, One, "p[1]: the writer sends it, the reader takes no more fields"),
    "a tuple of another length": (tuple[int, int], tuple[int], "p: tuple[int, int] is sent, the reader expects tuple[int]"),
    "a tuple to a list": (tuple[int, int], list[int], "p: tuple[int, int] is sent, the reader expects list[int]"),
    "None": (int | None, int, "p: None is sent, the reader expects int"),
    "an alternative more": (int | str, int, "p: str is sent, the reader expects int"),
    "a literal that the reader does not know": (Literal["a", "b"], Literal["a"], "p: 'b' may be sent, the reader knows Literal['a']"),
    "an enum value that the reader does not know": (Large, Small, "p: 'b' may be sent, the reader knows Small('a')"),
    "True for 1": (Literal[True], Literal[1], "p: True may be sent, the reader knows Literal[1]"),
    "a bool for an int": (Literal[True], int, "p: Literal[True] is sent, the reader expects int"),
    "text to a literal": (str, Literal["a"], "p: str is sent, the reader expects Literal['a']"),
    "text to a number": (Literal["a"], int, "p: Literal['a'] is sent, the reader expects int"),
    "a limit that only the reader has": (int, Annotated[int, msgspec.Meta(gt=0)], "p: int is sent, the reader expects int(gt=0)"),
    "another limit": (
        Annotated[str, msgspec.Meta(max_length=9)],
        Annotated[str, msgspec.Meta(max_length=5)],
        "p: str(max_length=9) is sent, the reader expects str(max_length=5)",
    ),
    "another tag": (X_TAGGED, Y_TAGGED, "p: the tag of X is ['type', 'x'], the reader expects ['type', 'y']"),
    "a union member that the reader does not know": (X_TAGGED | Y_TAGGED, X_TAGGED, "p: the tag of Y is ['type', 'y'], the reader expects ['type', 'x']"),
    "in a list": (list[int], list[str], "p[]: int is sent, the reader expects str"),
    "the key of a dict": (dict[str, int], dict[int, int], "p key: str is sent, the reader expects int"),
    "the value of a dict": (dict[str, int], dict[str, str], "p[]: int is sent, the reader expects str"),
    "in a tuple": (tuple[int, int], tuple[int, str], "p[1]: int is sent, the reader expects str"),
    "deep inside": (
        dict[str, list[made("O", ("x", X))]],
        dict[str, list[made("O", ("x", X_NEEDS_MORE))]],
        "p[][].x.b: the reader requires it, the writer does not send it",
    ),
    "in a recursive struct": (Tree, TreeText, "p.value: int is sent, the reader expects str"),
}  # fmt: skip


def found(caller: CallContract, callee: CallContract) -> list[str]:
    return [str(each) for each in differences(caller.descriptor, callee.descriptor)]


@pytest.mark.parametrize("case", PASSES)
def test_an_additive_difference_passes(case: str) -> None:
    """As a parameter from caller to callee, and as a result the other way."""
    writer, reader = PASSES[case]
    assert found(contract({"p": writer}), contract({"p": reader})) == []
    assert found(contract({}, reader), contract({}, writer)) == []


@pytest.mark.parametrize("case", BREAKS)
def test_a_breaking_difference_is_refused_with_its_place_and_reason(case: str) -> None:
    """The path is what the author looks for, the reason what to change."""
    writer, reader, reason = BREAKS[case]
    assert found(contract({"p": writer}), contract({"p": reader})) == [reason]
    assert found(contract({}, reader), contract({}, writer)) == [reason.replace("p", "result", 1)]


def test_parameters_are_matched_by_name() -> None:
    """Order does not matter, and a parameter of one side alone only where it is optional."""
    both = contract({"a": int, "b": str})
    assert found(both, contract({"b": str, "a": int})) == []
    assert found(both, contract({"a": int, "b": str, "c": int}, defaults={"c": 1})) == []
    assert found(contract({"a": int, "b": str}, defaults={"b": ""}), contract({"a": int})) == []
    assert found(both, contract({"a": int})) == ["b: the caller always sends it, the callee does not know it"]
    assert found(contract({"a": int}), both) == ["b: the callee requires it, the caller does not know it"]


def test_all_differences_are_told_at_once() -> None:
    """One at a time would be one release at a time."""
    caller = contract({"a": int, "b": X, "c": int}, str)
    callee = contract({"a": str, "b": X_NEEDS_MORE, "d": int}, int)
    assert len(found(caller, callee)) == 5


def test_a_stream_is_no_value() -> None:
    """Nothing else is worth comparing then."""
    assert found(contract({}, int, streams=True), contract({}, int)) == ["result: one side streams it, the other does not"]


def test_a_caller_that_knows_no_failure_is_still_compatible() -> None:
    """A failure that it does not know arrives as RemoteError."""
    from ramet import Failure

    class Gone(Failure):
        slug: str

    assert found(contract({}), contract({}, failures=(Gone,))) == []


# Properties: the comparison and the decoders agree


def by_name(caller: CallContract, callee: CallContract, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments, written by one version and read by the other."""
    codec = CallCodec(caller)
    required = {parameter.name for parameter in callee.parameters if parameter.is_required}
    frame = codec.encode_call(1, 0, 1, (0, b"", b"", 0, None, codec.named(args, required)), 2**24, args)
    return CallCodec(callee).read_named(frame[HEADER_BYTES:])[5:]


def by_result(callee: CallContract, caller: CallContract, value: Any) -> Any:
    return CallCodec(caller).read_result(CallCodec(callee).encode_result(3, 1, value, None, 2**24)[HEADER_BYTES:])


@quick
@given(specs(), st.data())
def test_old_reads_new_and_new_reads_old_after_additive_edits(spec: Spec, data: st.DataObject) -> None:
    """The promise on which live releases stand: both versions run at the same time."""
    newer = data.draw(grown(spec))
    extra = data.draw(specs(depth=1))
    one, two = annotation_of(spec), annotation_of(newer)
    v1 = contract({"p": one}, one)
    v2 = contract({"extra": annotation_of(extra), "p": two}, two, defaults={"extra": default_of(extra)})
    assert found(v1, v2) == []
    assert found(v2, v1) == []

    old, new = data.draw(values_of(spec)), data.draw(values_of(newer))
    default, arrived = by_name(v1, v2, (old,))
    assert default == default_of(extra)
    assert by_name(v2, v1, (v2.parameters[0].default, arrived)) == (old,)
    by_name(v2, v1, (v2.parameters[0].default, new))
    by_result(v1, v2, old)
    by_result(v2, v1, new)


@pytest.mark.parametrize("of", [small_structs(), specs()], ids=["small structs", "any types"])
@settings(quick, max_examples=150)
@given(data=st.data())
def test_where_no_difference_is_found_no_value_fails_to_decode(of: st.SearchStrategy[Spec], data: st.DataObject) -> None:
    """The other half: the comparison never lets through what would break at a call."""
    spec = data.draw(of)
    other = data.draw(changed(spec))
    writer, reader = annotation_of(spec), annotation_of(other)
    sending, taking = contract({"p": writer}, writer), contract({"p": reader}, reader)
    value = data.draw(values_of(spec))
    if not found(sending, taking):
        by_name(sending, taking, (value,))
    if not found(taking, sending):
        by_result(sending, taking, value)


@pytest.mark.parametrize("of", [small_structs(), specs()], ids=["small structs", "any types"])
@quick
@given(data=st.data())
def test_equal_hashes_mean_that_values_pass_by_position(of: st.SearchStrategy[Spec], data: st.DataObject) -> None:
    """Peers with one hash compare nothing else."""
    spec = data.draw(of)
    other = data.draw(changed(spec))
    one, two = contract({"p": annotation_of(spec)}), contract({"p": annotation_of(other)})
    assume(one.hash == two.hash)
    value = data.draw(values_of(spec))
    codec = CallCodec(one)
    frame = codec.encode_call(0, 0, 1, (0, b"", b"", 0, None, value), 2**24, (value,))
    CallCodec(two).decode_call(frame[HEADER_BYTES:])


parameters = st.dictionaries(
    st.sampled_from("abc"), st.tuples(st.sampled_from([Spec("int"), Spec("float"), Spec("str")]), st.booleans())
)


def with_parameters(of: dict[str, tuple[Spec, bool]]) -> CallContract:
    return contract(
        {name: annotation_of(spec) for name, (spec, _) in of.items()},
        defaults={name: default_of(spec) for name, (spec, required) in of.items() if not required},
    )


@quick
@given(parameters, parameters, st.data())
def test_compatible_parameters_arrive_whatever_was_optional_where(
    caller: dict[str, tuple[Spec, bool]], callee: dict[str, tuple[Spec, bool]], data: st.DataObject
) -> None:
    """At its default, or set where the callee knows it."""
    sending, taking = with_parameters(caller), with_parameters(callee)
    assume(not found(sending, taking))
    args = {
        p.name: data.draw(values_of(spec)) if p.name in callee and (required or data.draw(st.booleans())) else p.default
        for p, (spec, required) in zip(sending.parameters, caller.values(), strict=True)
    }
    arrived = dict(zip(callee, by_name(sending, taking, tuple(args.values())), strict=True))
    # An int that arrives as a float is the nearest one: beyond 2**53 they have gaps.
    assert arrived == {p.name: p.annotation(args.get(p.name, p.default)) for p in taking.parameters}


@quick
@given(specs())
def test_every_contract_is_compatible_with_itself(spec: Spec) -> None:
    """The least that can be asked."""
    made_of = annotation_of(spec)
    same = contract({"p": made_of}, made_of)
    assert found(same, same) == []
