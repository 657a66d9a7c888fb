"""HELLO and its answers: what a peer may say, and on what terms each call is made."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ramet.errors import ProtocolError
from ramet.model.contract import CallContract
from ramet.wire import hello
from ramet.wire.hello import Answer, Credit, Hello, Offer, Refusal, Welcome
from tests.wire.generated import contract, quick

HELLO = Hello(
    "ramet", 1, "shop", "front", "front-1", "1.0", {"front": ["orders"]}, [Offer("front", "orders.place", "ab")], 2**24, 2**18
)
WELCOME = Welcome(1, "orders", "orders-1", "1.0", [Answer("same")], 2**24, 1024)
BODIES = {
    "hello": (HELLO, lambda body: hello.decode_hello(body, app="shop")),
    "welcome": (WELCOME, lambda body: hello.decode_welcome(body, 1)),
    "credit": (Credit(100), hello.decode_credit),
    "refusal": (Refusal("frame-too-large", "it is", "cut it"), hello.decode_refusal),
}
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(
    ["magic", "protocol", "app", "uses", "table", "answers", "max_calls", "max_frame_bytes", "name", "message"]
)
bodies = st.one_of(
    st.binary(max_size=80),
    plain.map(msgspec.msgpack.encode),
    st.dictionaries(names, plain, max_size=6).map(msgspec.msgpack.encode),
)


def but(value: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(value, **changes)


NESTED = b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0"
NOT_UTF8 = b"\x81\xa7message\xa2\xff\xfe"
FOUR_BILLION = b"\xdd\xff\xff\xff\xff"


@pytest.mark.parametrize("kind", BODIES)
@quick
@given(body=bodies)
@example(body=NESTED)
@example(body=NOT_UTF8)
@example(body=FOUR_BILLION)
@example(body=b"")
def test_no_body_of_a_handshake_brings_anything_but_a_protocol_error(kind: str, body: bytes) -> None:
    """The peer is a stranger until this is done: text that is none, nesting without end and lengths that lie included."""
    try:
        found = BODIES[kind][1](body)
    except ProtocolError as error:
        found = error
    assert found is not None


@pytest.mark.parametrize("kind", BODIES)
@quick
@given(data=st.data())
def test_a_damaged_body_brings_a_value_or_a_protocol_error(kind: str, data: st.DataObject) -> None:
    """Nearly right is where decoders fail."""
    value, decode = BODIES[kind]
    body = bytearray(hello.encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(body[: data.draw(st.integers(0, len(body)))]))
    except ProtocolError as error:
        assert error.name in {"bad-hello", "wrong-protocol", "wrong-app", "bad-credit"}


def test_each_body_of_the_handshake_survives_the_wire() -> None:
    """Including the answer that carries a contract."""
    assert hello.decode_hello(hello.encode(HELLO), app="shop") == HELLO
    welcome = but(WELCOME, answers=[Answer("differs", {"call": "a"}, True), Answer("absent")])
    assert hello.decode_welcome(hello.encode(welcome), 2) == welcome
    assert hello.decode_credit(hello.encode(Credit(7))) == 7


def test_a_later_version_may_say_more() -> None:
    """Fields that this version does not know are passed over, so that the handshake itself can grow."""
    more = {**msgspec.structs.asdict(HELLO), "table": [["front", "orders.place", "ab", "new"]], "region": "eu"}
    assert hello.decode_hello(msgspec.msgpack.encode(more), app="shop") == HELLO


REFUSED_HELLOS = {
    "another protocol": (but(HELLO, protocol=2), "wrong-protocol"),
    "another magic": (but(HELLO, magic="camel"), "wrong-protocol"),
    "another application": (but(HELLO, app="bank"), "wrong-app"),
    "frames too small to be answered in": (but(HELLO, max_frame_bytes=100), "bad-hello"),
    "a window that never opens": (but(HELLO, window_bytes=0), "bad-hello"),
    "a window that takes credit": (but(HELLO, window_bytes=-5), "bad-hello"),
}


@pytest.mark.parametrize("case", REFUSED_HELLOS)
def test_a_peer_of_another_kind_is_refused_by_name(case: str) -> None:
    """It is told why."""
    body, name = REFUSED_HELLOS[case]
    with pytest.raises(ProtocolError) as caught:
        hello.decode_hello(hello.encode(body), app="shop")
    assert caught.value.name == name
    assert any(value in caught.value.detail for value in ("2", "'camel'", "'bank'", "impossible"))


REFUSED_WELCOMES = {
    "another protocol": {"protocol": 2},
    "an answer too few": {"answers": []},
    "an answer too many": {"answers": [Answer("same"), Answer("same")]},
    "no calls at all": {"max_calls": 0},
    "less than none": {"max_calls": -1},
    "frames too small to say anything": {"max_frame_bytes": 100},
}


@pytest.mark.parametrize("case", REFUSED_WELCOMES)
def test_a_welcome_that_makes_calls_impossible_is_refused(case: str) -> None:
    """Better than a connection on which every call waits for ever."""
    with pytest.raises(ProtocolError):
        hello.decode_welcome(hello.encode(but(WELCOME, **REFUSED_WELCOMES[case])), 1)


@pytest.mark.parametrize(("more", "taken"), [(1, True), (2**31, True), (0, False), (-1, False), (2**31 + 1, False)])
def test_credit_only_grows_and_only_so_far(more: int, taken: bool) -> None:
    """Negative credit would stop a stream for ever; too much would be no back-pressure."""
    if taken:
        assert hello.decode_credit(hello.encode(Credit(more))) == more
    else:
        with pytest.raises(ProtocolError, match="bad-credit"):
            hello.decode_credit(hello.encode(Credit(more)))


def test_a_refusal_crosses_with_its_hint() -> None:
    """Who was refused reads the other side's reason."""
    told = hello.decode_refusal(hello.encode_refusal(ProtocolError("wrong-app", "not yours", hint="check the address")))
    assert (told.name, told.detail, told.hint) == ("wrong-app", "refused by the peer: not yours", "check the address")


# Terms


@dataclass
class Hosted:
    contract: CallContract
    is_once_durable: bool = False
    is_private: bool = False


V1 = contract({"sku": str}, int)
EQUAL = contract({"sku": str}, int)
ADDITIVE = contract({"sku": str, "currency": str}, int, defaults={"currency": "EUR"})
BROKEN = contract({"warehouse": int}, int)

TERMS = {
    "the same contract": (EQUAL, {"by_name": False, "is_agreed": True}),
    "a parameter more, with a default": (ADDITIVE, {"by_name": True, "is_agreed": True}),
    "another parameter": (BROKEN, {"is_agreed": False, "not_allowed": False, "is_absent": False}),
    "not hosted": (None, {"is_absent": True, "is_agreed": False, "refusal": None}),
}


def meet(
    caller: str, known: CallContract, hosted: CallContract | None, uses: dict[str, list[str]], *, outside: bool = False
) -> hello.Terms:
    offers = [(Offer(caller, "orders.place", known.hash), known)]
    greeting = but(HELLO, uses=uses, table=[offer for offer, _ in offers])
    greeting = hello.decode_hello(hello.encode(greeting), app="shop")
    hosts = {"orders.place": Hosted(hosted, is_once_durable=True)} if hosted else {}
    welcome = but(WELCOME, answers=hello.answers(greeting, hosts, outside_allowed=outside))
    return hello.terms(offers, hello.decode_welcome(hello.encode(welcome), 1))[caller, "orders.place"]


@pytest.mark.parametrize("case", TERMS)
def test_the_terms_follow_from_the_two_contracts(case: str) -> None:
    """Equal: by position. Additive: by name. Else refused, and only that call."""
    hosted, expected = TERMS[case]
    terms = meet("front", V1, hosted, {"front": ["orders"]})
    assert {name: getattr(terms, name) for name in expected} == expected
    assert terms.is_once_durable == (hosted is EQUAL)


ONCE = contract({"sku": str, "currency": str}, int, defaults={"currency": "EUR"}, once=True)
IDEMPOTENT = contract({"sku": str, "currency": str}, int, defaults={"currency": "EUR"}, idempotent=True)


@pytest.mark.parametrize(
    ("hosted", "durable", "idempotent"), [(ADDITIVE, False, False), (ONCE, True, False), (IDEMPOTENT, False, True)]
)
def test_a_call_is_repeated_only_where_the_callee_knows_that_it_may_be(
    hosted: CallContract, durable: bool, idempotent: bool
) -> None:
    """The caller's version may promise what the callee's does not keep."""
    terms = meet("front", V1, hosted, {"front": ["orders"]})
    assert (terms.by_name, terms.is_once_durable, terms.is_idempotent) == (True, durable, idempotent)


def test_what_the_callee_requires_is_known_to_the_caller() -> None:
    """So that a default of the caller's is sent where the callee has none."""
    known = contract({"sku": str, "currency": str}, int, defaults={"currency": "EUR"})
    assert meet("front", known, contract({"sku": str, "currency": str}, int), {"front": ["orders"]}).required == {
        "sku",
        "currency",
    }


def test_an_incompatible_call_shows_both_signatures() -> None:
    """Whoever reads the error sees what is to be changed, on either side."""
    refusal = meet("front", V1, BROKEN, {"front": ["orders"]}).refusal or ""
    assert "caller: orders.place(sku: str) -> int" in refusal
    assert "callee: orders.place(warehouse: int) -> int" in refusal
    assert "warehouse: the callee requires it, the caller does not know it" in refusal


CALLERS = {
    "a module that declared it": ("front", {"front": ["orders"]}, False, True),
    "a module that did not": ("front", {"front": ["accounts"]}, False, False),
    "a module that is not in uses at all": ("front", {}, False, False),
    "another module of the same peer that declared it": ("front", {"back": ["orders"]}, False, False),
    "outside code at a door for it": ("", {}, True, True),
    "outside code elsewhere": ("", {"": ["orders"]}, False, False),
    "a module at the door for outside code": ("front", {}, True, False),
}


@pytest.mark.parametrize("case", CALLERS)
def test_the_callee_takes_only_callers_that_declared_it(case: str) -> None:
    """A production caller does not check itself."""
    caller, uses, outside, allowed = CALLERS[case]
    terms = meet(caller, V1, EQUAL, uses, outside=outside)
    assert terms.is_agreed == allowed
    assert terms.not_allowed == (not allowed)
    if not allowed:
        assert (f"`{caller}`" if caller else "outside") in (terms.refusal or "")


@pytest.mark.parametrize(("caller", "outside", "seen"), [("", True, True), ("", False, False), ("front", True, False)])
def test_a_private_call_is_there_for_tools_of_this_user_alone(caller: str, outside: bool, seen: bool) -> None:
    """To everyone else it does not exist."""
    greeting = but(HELLO, uses={"front": ["orders"]}, table=[Offer(caller, "orders.place", V1.hash)])
    [answer] = hello.answers(greeting, {"orders.place": Hosted(V1, is_private=True)}, outside_allowed=outside)
    assert answer.verdict == ("same" if seen else "absent")


def test_who_is_not_allowed_learns_nothing_of_the_contract() -> None:
    """Signatures are for those who may call."""
    greeting = but(HELLO, uses={}, table=[Offer("front", "orders.place", "other")])
    [answer] = hello.answers(greeting, {"orders.place": Hosted(V1)}, outside_allowed=True)
    assert answer == Answer("not-allowed")


@quick
@given(
    st.one_of(
        plain,
        st.fixed_dictionaries(
            {
                "call": plain,
                "streams": plain,
                "result": plain,
                "failures": plain,
                "parameters": plain
                | st.lists(st.fixed_dictionaries({"name": plain, "type": plain, "required": plain}), max_size=3),
            }
        ),
    )
)
def test_a_callees_contract_that_makes_no_sense_refuses_that_call_alone(theirs: Any) -> None:
    """A descriptor is data from a peer: it is compared, never trusted."""
    offers = [(Offer("front", "orders.place", V1.hash), V1)]
    answer = Answer("differs", theirs if isinstance(theirs, dict) else None)
    terms = hello.terms(offers, but(WELCOME, answers=[answer]))["front", "orders.place"]
    assert isinstance(terms.is_agreed, bool)


shapes_by_a_fiend = st.recursive(
    st.builds(dict, kind=st.sampled_from(["int", "str", "any", "none", "odd"]))
    | st.builds(lambda up: {"kind": "ref", "up": up}, st.integers(-3, 3)),
    lambda inner: st.one_of(
        st.builds(lambda item: {"kind": "array", "item": item}, inner),
        st.builds(lambda of: {"kind": "union", "of": of}, st.lists(inner, max_size=3)),
        st.builds(
            lambda kind, types: {
                "kind": kind,
                "name": "X",
                "fields": [{"name": f"f{i}", "type": t, "required": True} for i, t in enumerate(types)],
            },
            st.sampled_from(["struct", "json"]),
            st.lists(inner, max_size=3),
        ),
    ),
    max_leaves=8,
)


class Tree(msgspec.Struct):
    f0: "list[Tree] | None"
    f1: int


@quick
@given(shapes_by_a_fiend)
@example({"kind": "struct", "name": "X", "fields": [{"name": "f0", "type": {"kind": "ref", "up": 0}, "required": True}]})
def test_a_recursive_contract_is_compared_with_any_other_in_finite_time(shape: dict[str, Any]) -> None:
    """References that lead nowhere, or round in circles, end as a refusal."""
    known = contract({"p": Tree}, Tree)
    theirs = {**known.descriptor, "parameters": [{"name": "p", "type": shape, "required": True}], "result": shape}
    offers = [(Offer("front", "orders.place", known.hash), known)]
    terms = hello.terms(offers, but(WELCOME, answers=[Answer("differs", theirs)]))["front", "orders.place"]
    assert not terms.is_agreed


def test_terms_are_values() -> None:
    """They are compared and kept, never changed."""
    assert hello.Terms(1) == hello.Terms(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        hello.Terms(1).index = 2  # type: ignore[misc]
