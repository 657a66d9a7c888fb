"""The handshake: who the peers are, and for each call on what terms they can make it.

The client's HELLO names its modules, and for each (module, call) that it may make the hash of the contract that it knows. The
position in that list is the call's `index` on this connection. The server answers per entry: same, differs (with its own
contract), absent, or not allowed. The client then decides by `terms`, which is pure: positional, by name, or refused with both
signatures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ramet.errors import ProtocolError
from ramet.model import compatibility
from ramet.model.contract import CallContract, signature_of
from ramet.wire import values
from ramet.wire.context import OUTSIDE

PROTOCOL = 1
MAGIC = "ramet"


class Offer(msgspec.Struct, array_like=True, frozen=True):
    """One row of the call table."""

    caller: str
    """Module that makes the call; empty for code outside of all modules."""
    call: str
    hash: str


class Hello(msgspec.Struct, frozen=True, omit_defaults=True):
    """The client's first frame."""

    magic: str
    protocol: int
    app: str
    service: str
    instance: str
    version: str
    uses: dict[str, list[str]]
    """For each of the client's modules those that it declares in `uses`."""
    table: list[Offer]
    max_frame_bytes: int
    window_bytes: int
    """Bytes of one stream that the server may send before the first CREDIT."""


class Answer(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    """The server's word on one row. verdict: same, differs, absent or not-allowed."""

    verdict: str
    descriptor: dict[str, Any] | None = None
    """The server's contract, where it differs."""
    is_once_durable: bool = False
    """The keys of a `once` call outlive the instance: it may be repeated at another one."""


class Welcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """The server's first frame."""

    protocol: int
    service: str
    instance: str
    version: str
    answers: list[Answer]
    max_frame_bytes: int
    max_calls: int


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of REFUSE: the last frame before the connection is closed."""

    name: str
    message: str
    hint: str | None = None


class Credit(msgspec.Struct, array_like=True, frozen=True):
    """Body of CREDIT: so many more bytes of CHUNK frames may be sent."""

    more_bytes: int


_HELLO = msgspec.msgpack.Decoder(Hello)
_WELCOME = msgspec.msgpack.Decoder(Welcome)
_REFUSAL = msgspec.msgpack.Decoder(Refusal)
_CREDIT = msgspec.msgpack.Decoder(Credit)


def encode(body: Hello | Welcome | Refusal | Credit) -> bytes:
    return values.ENCODER.encode(body)


def decode_hello(body: bytes, *, app: str) -> Hello:
    """Raises ProtocolError: `bad-hello`, `wrong-protocol` or `wrong-app`."""
    try:
        hello = _HELLO.decode(body)
    except values.DECODE_ERRORS as error:
        raise ProtocolError("bad-hello", str(error)) from error
    if hello.magic != MAGIC or hello.protocol != PROTOCOL:
        raise ProtocolError(
            "wrong-protocol",
            f"the peer speaks {hello.magic!r} {hello.protocol}, this is {MAGIC!r} {PROTOCOL}",
            hint="run versions of Ramet that share a protocol",
        )
    if hello.app != app:
        raise ProtocolError("wrong-app", f"the peer belongs to the application {hello.app!r}, this instance to {app!r}")
    if hello.max_frame_bytes < 1024 or hello.window_bytes < 1:
        raise ProtocolError("bad-hello", "a limit makes calls impossible")
    return hello


def decode_welcome(body: bytes, offered: int) -> Welcome:
    """Raises ProtocolError."""
    try:
        welcome = _WELCOME.decode(body)
    except values.DECODE_ERRORS as error:
        raise ProtocolError("bad-hello", str(error)) from error
    if welcome.protocol != PROTOCOL:
        raise ProtocolError("wrong-protocol", f"the peer speaks protocol {welcome.protocol}, this is {PROTOCOL}")
    if len(welcome.answers) != offered or welcome.max_calls < 1 or welcome.max_frame_bytes < 1024:
        raise ProtocolError("bad-hello", "the answers do not fit the call table, or a limit makes calls impossible")
    return welcome


def decode_refusal(body: bytes) -> ProtocolError:
    try:
        refusal = _REFUSAL.decode(body)
    except values.DECODE_ERRORS:
        return ProtocolError("refused", "the peer refused the connection and gave no reason")
    return ProtocolError(refusal.name, f"refused by the peer: {refusal.message}", hint=refusal.hint)


def encode_refusal(error: ProtocolError) -> bytes:
    return encode(Refusal(error.name, error.detail, error.hint))


def decode_credit(body: bytes) -> int:
    """Raises ProtocolError."""
    try:
        more = _CREDIT.decode(body).more_bytes
    except values.DECODE_ERRORS as error:
        raise ProtocolError("bad-credit", str(error)) from error
    if not 0 < more <= 2**31:
        raise ProtocolError("bad-credit", f"credit of {more} bytes")
    return more


class Hosts(Protocol):
    """What an answer depends on: a call that the server has."""

    @property
    def contract(self) -> CallContract: ...
    @property
    def is_once_durable(self) -> bool: ...
    @property
    def is_private(self) -> bool: ...


def answers(hello: Hello, hosted: Mapping[str, Hosts], *, outside_allowed: bool) -> list[Answer]:
    """The server's answers. A caller is accepted for the modules that it declared in `uses`."""
    return [_answer(offer, hello.uses, hosted.get(offer.call), outside_allowed=outside_allowed) for offer in hello.table]


def _answer(offer: Offer, uses: Mapping[str, Sequence[str]], host: Hosts | None, *, outside_allowed: bool) -> Answer:
    if host is None:
        return Answer("absent")
    contract = host.contract
    from_outside = offer.caller == OUTSIDE.name
    if host.is_private and not (from_outside and outside_allowed):
        return Answer("absent")  # not even its being there is told
    allowed = outside_allowed if from_outside else contract.module in uses.get(offer.caller, ())
    if not allowed:
        return Answer("not-allowed")
    if offer.hash == contract.hash:
        return Answer("same", None, host.is_once_durable)
    return Answer("differs", contract.descriptor, host.is_once_durable)


@dataclass(frozen=True, slots=True)
class Terms:
    """How one call can be made on one connection. `refusal` says why not; `is_absent` that the peer does not host it."""

    index: int
    by_name: bool = False
    is_absent: bool = False
    refusal: str | None = None
    not_allowed: bool = False
    is_once_durable: bool = False
    required: frozenset[str] = frozenset()
    """BY_NAME: parameters that the callee requires, so that they are sent though they have their default."""
    is_idempotent: bool = True
    """Whether the callee, too, knows it as idempotent; meaningless where the caller does not."""

    @property
    def is_agreed(self) -> bool:
        return self.refusal is None and not self.is_absent


def terms(offers: Sequence[tuple[Offer, CallContract]], welcome: Welcome) -> dict[tuple[str, str], Terms]:
    """(caller, call) -> terms."""
    return {
        (offer.caller, offer.call): _terms(index, offer, contract, answer)
        for index, ((offer, contract), answer) in enumerate(zip(offers, welcome.answers, strict=True))
    }


def _terms(index: int, offer: Offer, contract: CallContract, answer: Answer) -> Terms:
    match answer:
        case Answer("same"):
            return Terms(index, is_once_durable=answer.is_once_durable)
        case Answer("differs", dict() as theirs):
            try:
                broken = compatibility.differences(contract.descriptor, theirs)
                signature = signature_of(theirs)
            except (KeyError, TypeError, AttributeError, IndexError, RecursionError):
                return Terms(index, refusal="the callee's contract cannot be read")
            if not broken:
                return Terms(
                    index,
                    by_name=True,
                    required=frozenset(p["name"] for p in theirs["parameters"] if p["required"]),
                    is_once_durable=answer.is_once_durable and theirs.get("once") is True,
                    is_idempotent=theirs.get("idempotent") is True,
                )
            reasons = "; ".join(map(str, broken))
            return Terms(index, refusal=f"{reasons}\n  caller: {contract.signature}\n  callee: {signature}")
        case Answer("not-allowed"):
            who = f"module `{offer.caller}`" if offer.caller else "code outside of all modules"
            return Terms(index, refusal=f"the callee does not accept {who}", not_allowed=True)
        case _:
            return Terms(index, is_absent=True)
