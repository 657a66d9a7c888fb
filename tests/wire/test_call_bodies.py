"""The bodies of CALL, RESULT and FAILURE: what goes in comes out, and what cannot names the parameter."""

import datetime
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet import Failure
from ramet.errors import BadAnswer, BadArgument, DeclarationError
from ramet.wire import calls, values
from ramet.wire.calls import CallCodec, Extras, FailureBody
from ramet.wire.frames import BY_NAME, HEADER, HEADER_BYTES, WITH_CAUSAL, Kind
from tests.wire.generated import contract, quick, typed_values

HEAD = (5000, bytes(16), bytes(8), 1, None)
MAX = 2**24


def codec(parameters: dict[str, Any], result: Any = None, **options: Any) -> CallCodec:
    return CallCodec(contract(parameters, result, **options))


def sent(under_test: CallCodec, *args: Any) -> tuple[Any, ...]:
    """The arguments as they arrive, by position."""
    if under_test.check_arguments:
        under_test.check_arguments(args)
    frame = under_test.encode_call(0, 0, 1, (*HEAD, *args), MAX, args)
    return under_test.decode_call(frame[HEADER_BYTES:])[calls.HEAD_ITEMS :]


def sent_by_name(under_test: CallCodec, *args: Any, to: CallCodec | None = None) -> tuple[Any, ...]:
    callee = to or under_test
    required = {parameter.name for parameter in callee.contract.parameters if parameter.is_required}
    frame = under_test.encode_call(BY_NAME, 0, 1, (*HEAD, under_test.named(args, required)), MAX, args)
    return callee.read_named(frame[HEADER_BYTES:])[calls.HEAD_ITEMS :]


@quick
@given(typed_values(), typed_values())
def test_arguments_arrive_as_they_were_sent(first, second) -> None:
    """By position and by name, and the same as a copy within one process."""
    under_test = codec({"a": first[0], "b": second[0]})
    args = (first[1], second[1])
    assert sent(under_test, *args) == args
    assert sent_by_name(under_test, *args) == args
    assert under_test.copy_arguments(args) == args
    assert under_test.copy_argument(1, args[1]) == args[1]


@quick
@given(typed_values(), st.none() | st.dictionaries(st.text(max_size=3), st.integers(0, 2**63), max_size=2))
def test_results_arrive_as_they_were_returned(typed, causal) -> None:
    """With the causal token of what the callee saw, or without one."""
    under_test = codec({}, typed[0])
    frame = under_test.encode_result(Kind.RESULT, 7, typed[1], causal, MAX)
    length, kind, flags, index, number = HEADER.unpack_from(frame)
    assert (length, kind, index, number) == (len(frame) - 4, Kind.RESULT, 0, 7)
    body = frame[HEADER_BYTES:]
    if causal is None:
        assert flags == 0
        assert under_test.read_result(body) == typed[1]
    else:
        assert flags == WITH_CAUSAL
        assert under_test.read_result_with_causal(body) == (causal, typed[1])
    assert under_test.copy_result(typed[1]) == typed[1]


@quick
@given(st.binary(max_size=60), typed_values(), st.booleans())
def test_no_body_brings_anything_but_a_named_error(body: bytes, typed: tuple[Any, Any], valid_head: bool) -> None:
    """A peer that was let in may still send anything."""
    under_test = codec({"a": typed[0]}, typed[0])
    if valid_head:
        body = msgspec.msgpack.encode([*HEAD, msgspec.Raw(body)])
    for read in (under_test.decode_call, under_test.read_named):
        try:
            read(body)
        except (BadArgument, *values.DECODE_ERRORS):
            pass
    for read in (under_test.read_result, under_test.read_result_with_causal, under_test.read_causal):
        try:
            read(body)
        except BadAnswer as error:
            assert error.may_have_run


def test_the_head_travels_with_the_arguments() -> None:
    """Deadline, trace, flags and what few calls carry."""
    under_test = codec({"a": int})
    extras = Extras(key="k", causal={"s": 5}, baggage={"a": "b"})
    head = (250, bytes(range(16)), bytes(range(8)), 1, extras)
    frame = under_test.encode_call(0, 9, 3, (*head, 1), MAX, (1,))
    assert HEADER.unpack_from(frame)[1:] == (Kind.CALL, 0, 9, 3)
    assert under_test.decode_call(frame[HEADER_BYTES:]) == (*head, 1)


# By name


@pytest.mark.parametrize(("trace_id", "span_id"), [(bytes(17), bytes(8)), (bytes(16), bytes(9)), (bytes(2**20), bytes(8))])
def test_ids_are_no_longer_than_ids(trace_id: bytes, span_id: bytes) -> None:
    """They are kept with the last records: a peer must not choose how much memory that takes."""
    under_test = codec({"a": int})
    body = msgspec.msgpack.encode([5000, trace_id, span_id, 1, None, 1])
    with pytest.raises(values.DECODE_ERRORS):
        under_test.decode_call(body)


def test_defaults_are_not_sent_by_name() -> None:
    """An older callee may not know the parameter; a newer one may have another default."""
    under_test = codec({"a": int, "b": str}, defaults={"b": "x"})
    assert under_test.named((1, "x"), {"a"}) == {"a": 1}
    assert under_test.named((1, "y"), {"a"}) == {"a": 1, "b": "y"}
    newer = codec({"a": int, "b": str}, defaults={"b": "new"})
    assert sent_by_name(under_test, 1, "x", to=newer) == (1, "new")


def test_a_default_is_sent_where_the_callee_requires_the_parameter() -> None:
    """It was optional once, and callers of that time are still about."""
    under_test = codec({"a": int, "b": str}, defaults={"b": "x"})
    assert under_test.named((1, "x"), {"a", "b"}) == {"a": 1, "b": "x"}
    assert sent_by_name(under_test, 1, "x", to=codec({"a": int, "b": str})) == (1, "x")


def test_by_name_the_order_of_parameters_is_free() -> None:
    """Two versions may declare them in any order."""
    assert sent_by_name(codec({"a": int, "b": str}), 1, "x", to=codec({"b": str, "a": int})) == ("x", 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"a": 1, "b": "x", "c": 1}, "unknown field `c`"),
        ({"b": "x"}, "missing required field `a`"),
        ({"a": "text", "b": "x"}, "`a`: Expected `int`, got `str`"),
        ({"a": 1, "b": 5}, "`b`: Expected `str`, got `int`"),
    ],
)
def test_what_does_not_fit_by_name_is_named(wrong: dict[str, Any], message: str) -> None:
    """And nothing ran."""
    under_test = codec({"a": int, "b": str})
    with pytest.raises(BadArgument) as caught:
        under_test.read_named(msgspec.msgpack.encode([*HEAD, wrong]))
    assert message in caught.value.message
    assert not caught.value.may_have_run


# What does not fit


class Item(msgspec.Struct):
    sku: str
    tags: list[str] = []


class Chain(msgspec.Struct):
    next: "Chain | None" = None


def chain(length: int) -> Chain:
    made = Chain()
    for _ in range(length):
        made = Chain(made)
    return made


def emptied() -> Item:
    item = Item("a")
    del item.sku
    return item


def bottomless() -> list[Any]:
    inner: list[Any] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


WRONG = {
    "another type": (int, "text", "`p`: Expected `int`, got `str`"),
    "bool for int": (int, True, "`p`: Expected `int`, got `bool`"),
    "inside a list": (list[int], [1, "x"], "`p[1]`: Expected `int`, got `str`"),
    "the value of a dict": (dict[str, int], {"a": "x"}, "`p[...]`: Expected `int`, got `str`"),
    "the key of a dict": (dict[int, int], {"a": 1}, "`key` in `p`: Expected `int`, got `str`"),
    "a field of a struct": (Item, Item(5), "`p.sku`: Expected `str`, got `int`"),
    "deep in a struct": (list[Item], [Item("a", ["x", 1])], "`p[0].tags[1]`: Expected `str`, got `int`"),
    "a struct for another": (Item, Chain(), "`p`: Object missing required field `sku`"),
    "an int beyond 64 bits": (int, 2**64, "`p`: "),
    "an int below 64 bits": (int, -(2**63) - 1, "`p`: "),
    "an int for a float, beyond 64 bits": (float, 2**70, "`p`: "),
    "a lone surrogate": (str, "a\ud800", "`p`: 'utf-8' codec can't encode"),
    "a lone surrogate as a key": (dict[str, int], {"\udfff": 1}, "`p`: 'utf-8' codec can't encode"),
    "an object": (int, object(), "`p`: `object` cannot cross the wire"),
    "an object inside": (Any, [{"a": object()}], "`p`: `object` cannot cross the wire"),
    "a function": (str, len, "`p`: `builtin_function_or_method` cannot cross the wire"),
    "a struct with a field never set": (Item, emptied(), "`p`: "),
    "nesting beyond any stack": (Any, bottomless(), "`p`: it is nested too deeply"),
    "a chain beyond any stack": (Chain, chain(100_000), "`p`: it is nested too deeply"),
    "a datetime that has no UTC": (
        datetime.datetime,
        datetime.datetime.max.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-1))),
        "`p`: date value out of range",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_argument_that_does_not_fit_is_named(case: str) -> None:
    """The same words together and apart, and nothing ran."""
    annotation, value, message = WRONG[case]
    under_test = codec({"other": int, "p": annotation})
    with pytest.raises(BadArgument) as together:
        under_test.copy_arguments((1, value))
    with pytest.raises(BadArgument) as apart:
        try:
            sent(under_test, 1, value)
        except values.DECODE_ERRORS as error:
            raise under_test.refused_arguments(error) from None
    assert str(together.value) == str(apart.value)
    assert together.value.message.startswith(message), together.value.message
    assert together.value.call == "orders.place"
    assert not together.value.may_have_run
    with pytest.raises(BadArgument, match="`p`"):
        under_test.copy_argument(1, value)


@pytest.mark.parametrize("case", WRONG)
def test_a_result_that_does_not_fit_is_the_callees_fault(case: str) -> None:
    """The caller learns that the work may be done."""
    annotation, value, _ = WRONG[case]
    under_test = codec({}, annotation)
    with pytest.raises(BadAnswer) as together:
        under_test.copy_result(value)
    with pytest.raises(BadAnswer) as apart:
        under_test.read_result(under_test.encode_result(Kind.RESULT, 1, value, None, MAX)[HEADER_BYTES:])
    assert str(together.value) == str(apart.value)
    assert together.value.may_have_run


def test_what_is_too_large_says_how_large_and_what_to_do() -> None:
    """The limit is of the whole frame."""
    under_test = codec({"p": bytes}, bytes)
    with pytest.raises(BadArgument, match="at most 1000 fit a frame") as argument:
        under_test.encode_call(0, 0, 1, (*HEAD, bytes(1000)), 1000, (bytes(1000),))
    assert argument.value.hint
    with pytest.raises(BadAnswer, match="at most 1000 fit a frame") as answer:
        under_test.encode_result(Kind.RESULT, 1, bytes(1000), None, 1000)
    assert "AsyncIterator" in (answer.value.hint or "")


@pytest.mark.parametrize("size", [900, 980, 985, 988, 989, 990, 995])
def test_what_the_writer_lets_through_the_reader_takes(size: int) -> None:
    """Both count the same bytes."""
    from ramet.wire.frames import FrameReader

    try:
        frame = codec({}, bytes).encode_result(Kind.RESULT, 1, bytes(size), None, 1000)
    except BadAnswer:
        assert size > 1000 - 8 - 3
    else:
        assert FrameReader(max_frame_bytes=1000, kinds=frozenset({3})).feed(frame)


def test_a_default_that_does_not_fit_its_type_is_found_at_import() -> None:
    """A caller with an equal contract sends the default like any value: it would fail at each call."""
    with pytest.raises(DeclarationError, match="the default of `a`: Expected `int`, got `None`") as caught:
        codec({"a": int}, defaults={"a": None})
    assert caught.value.hint == "`a: int | None = None`"


@pytest.mark.parametrize(
    "value", [0, -1, 2**63, 2**64 - 1, -(2**63), 0.1, math.inf, -0.0, "", "\x00", "é😀", b"", True, None, [], {}, [[]], {"a": {}}]
)
def test_plain_values_pass_where_any_is_declared(value: Any) -> None:
    """`Any` takes JSON-like values, with bytes and 64-bit integers."""
    [found] = sent(codec({"p": Any}), value)
    assert (found, type(found)) == (value, type(value))


# Failures


class SoldOut(Failure, status=409):
    sku: str
    left: int = 0


def test_a_declared_failure_arrives_as_itself() -> None:
    """With its fields, and nothing of its stack."""
    under_test = codec({}, None, failures=(SoldOut,))
    payload = values.ENCODER.encode(SoldOut("a", left=2).payload)
    assert under_test.read_failure("SoldOut", payload) == SoldOut("a", left=2)
    assert under_test.read_failure("Other", payload) is None


@quick
@given(st.binary(max_size=40))
def test_a_failure_that_cannot_be_read_is_a_bad_answer(payload: bytes) -> None:
    """Never an error of the decoder's own."""
    found = codec({}, None, failures=(SoldOut,)).read_failure("SoldOut", payload)
    assert isinstance(found, (SoldOut, BadAnswer))
    try:
        calls.decode_failure(payload)
    except values.DECODE_ERRORS:
        return


def test_the_body_of_a_failure_survives_the_wire() -> None:
    """Kind, message, trace, whether it may have run."""
    body = FailureBody("overloaded", message="full", may_have_run=False, trace="ab", hint="later")
    assert calls.decode_failure(calls.encode_failure(body)) == body
