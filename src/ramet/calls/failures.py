"""What a caller sees of what a callee raised: declared failures as themselves, the rest as RemoteError, together and apart."""

import functools
import logging

from ramet.errors import (
    BadAnswer,
    BadArgument,
    CallError,
    ContractMismatch,
    DeadlineExceeded,
    NotAllowed,
    Overloaded,
    RemoteError,
    Unavailable,
)
from ramet.model.contract import CallContract
from ramet.model.failure import Failure
from ramet.wire import values
from ramet.wire.calls import CallCodec, FailureBody, decode_failure, encode_failure

logger = logging.getLogger("ramet.calls")

MAX_MESSAGE = 8192
"""Characters of a foreign exception's message that are sent: it may hold a whole document."""
DECLARED = "failure"
REMOTE = "remote-error"
KINDS: dict[str, type[CallError]] = {
    "bad-argument": BadArgument,
    "deadline-exceeded": DeadlineExceeded,
    "unavailable": Unavailable,
    "overloaded": Overloaded,
    "not-allowed": NotAllowed,
    "contract-mismatch": ContractMismatch,
    "bad-answer": BadAnswer,
}
"""Kind on the wire -> the error that the call itself ended with."""
_NAMES = {cls: kind for kind, cls in KINDS.items()}


def failure_body(error: Exception, contract: CallContract, trace_id: str) -> FailureBody:
    """What the callee's function raised, as the body of FAILURE."""
    if isinstance(error, Failure) and type(error) in contract.failures:
        try:
            if (guard := _guard_of(type(error))) is not None:
                guard(error.payload)
            payload = values.Raw(values.ENCODER.encode(error.payload))
        except values.ENCODE_ERRORS as reason:
            return refusal_body(BadAnswer(f"failure {type(error).__name__}: {reason}", may_have_run=True))
        return FailureBody(DECLARED, type(error).__name__, payload=payload, trace=trace_id)
    return FailureBody(REMOTE, type(error).__qualname__, str(error)[:MAX_MESSAGE], trace=trace_id, hint=_hint(error, contract))


@functools.cache
def _guard_of(failure: type[Failure]) -> values.Guard | None:
    return values.guard_of(failure.payload_type)


def refusal_body(error: CallError) -> FailureBody:
    """An error of the call itself, as the body of FAILURE."""
    return FailureBody(
        _NAMES.get(type(error), "unavailable"), message=error.message, may_have_run=error.may_have_run, hint=error.hint
    )


def error_of(body: FailureBody, codec: CallCodec) -> Exception:
    """What the caller raises."""
    call = codec.contract.qualified
    if body.kind == DECLARED:
        known = codec.read_failure(body.name, bytes(body.payload))
        return known or RemoteError(
            "a failure that this caller's version does not know", type_name=body.name, trace_id=body.trace, call=call
        )
    if body.kind == REMOTE:
        return RemoteError(body.message, type_name=body.name, trace_id=body.trace, call=call, hint=body.hint)
    return KINDS.get(body.kind, Unavailable)(body.message, may_have_run=body.may_have_run, call=call, hint=body.hint)


def read_error(frame_body: bytes, codec: CallCodec) -> Exception:
    """`error_of` for the bytes of a FAILURE frame."""
    try:
        return error_of(decode_failure(frame_body), codec)
    except values.DECODE_ERRORS as error:
        return BadAnswer(f"the failure cannot be read: {error}", may_have_run=True, call=codec.contract.qualified)


def seen_by_caller(error: Exception, codec: CallCodec, trace_id: bytes) -> Exception:
    """What a caller in the same process sees: through the codec and back, with the original as its cause."""
    body = failure_body(error, codec.contract, trace_id.hex())
    seen = read_error(encode_failure(body), codec)
    if seen is not error:
        seen.__cause__ = error
    return seen


def log_unexpected(error: Exception, contract: CallContract) -> None:
    """A callee's own bug, with its stack, where it happened; the caller gets its name and the trace id."""
    if not (isinstance(error, Failure) and type(error) in contract.failures):
        logger.error("call.failed", extra={"call": contract.qualified, "error_type": type(error).__qualname__}, exc_info=error)


def _hint(error: Exception, contract: CallContract) -> str | None:
    if isinstance(error, Failure):
        return f"list it: raises=[{type(error).__name__}] on {contract.qualified}"
    return None
