"""The bodies of CALL, RESULT, CHUNK, END and FAILURE for one contract.

    CALL     [deadline ms, trace id, span id, trace flags, extras, *arguments]     or, BY_NAME, [..., {name: argument}]
    RESULT   value                                                    or, WITH_CAUSAL, [causal token, value]
    FAILURE  {kind, name, message, payload, may_have_run, trace, hint}

Arguments that do not fit are found by encoding each alone, which only the error path pays for.
"""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Union

import msgspec

from ramet.errors import BadAnswer, BadArgument, DeclarationError
from ramet.model import shapes
from ramet.model.contract import CallContract, Parameter
from ramet.wire import values
from ramet.wire.frames import HEADER, HEADER_BYTES, LENGTH_BYTES, WITH_CAUSAL, Kind


class Extras(msgspec.Struct, omit_defaults=True, frozen=True):
    """What few calls carry: key of a `once` call, causal token, baggage."""

    key: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    causal: Annotated[dict[str, int], msgspec.Meta(max_length=1000)] | None = None
    baggage: dict[str, str] | None = None


_TraceId = Annotated[bytes, msgspec.Meta(max_length=16)]
_SpanId = Annotated[bytes, msgspec.Meta(max_length=8)]
# Bounded where they are read: both are kept in the ring of records.

Head = tuple[int, bytes, bytes, int, Extras | None]
"""(deadline in ms from arrival, trace id, span id of the caller, W3C trace flags, extras)"""
HEAD_ITEMS = 5
_PATH = r" - at (`key` in )?`\$\[(\d+)\](.*)`$"
_NAMED_PATH = r" - at (`key` in )?`\$\[\d+\](?:\.(\w+))?(.*)`$"
_AFTER_LENGTH = HEADER_BYTES - LENGTH_BYTES
_CALL = int(Kind.CALL)
_encode = values.ENCODER.encode
_pack = HEADER.pack


class CallCodec:
    """Encodes and decodes what belongs to one contract. Stateless; one per call for the life of the process."""

    def __init__(self, contract: CallContract) -> None:
        self.contract = contract
        self._parameters = contract.parameters
        annotations = [parameter.annotation for parameter in contract.parameters]
        self._positional = values.decoder(tuple[(int, _TraceId, _SpanId, int, Extras | None, *map(values.aware, annotations))])  # pyright: ignore[reportInvalidTypeArguments]
        self.decode_call = self._positional.decode
        self._named = values.decoder(tuple[int, _TraceId, _SpanId, int, Extras | None, _named_struct(contract)])
        result = values.aware(contract.result)
        self._result = values.decoder(result)
        self._result_with_causal = values.decoder(tuple[dict[str, int], result])
        self._guards = [
            (p.name, index, guard) for index, p in enumerate(contract.parameters) if (guard := values.guard_of(p.annotation))
        ]
        self._result_guard = values.guard_of(contract.result)
        self._arguments = [values.decoder(annotation) for annotation in annotations]
        self._failures = {cls.__name__: (cls, values.decoder(cls.payload_type)) for cls in contract.failures}
        self.check_arguments = self._check_arguments if self._guards else None
        self._check_defaults()

    def _check_defaults(self) -> None:
        # At import: a caller that knows an equal contract sends the default like any other value.
        for index, parameter in enumerate(self._parameters):
            if not parameter.is_required:
                try:
                    self.copy_argument(index, parameter.default)
                except BadArgument as error:
                    raise DeclarationError(
                        f"{self.contract.qualified}: the default of {error.message}",
                        where=self.contract.where,
                        hint=f"`{parameter.name}: {shapes.name_of(parameter.annotation)} | None = None`"
                        if parameter.default is None
                        else None,
                    ) from None

    # Arguments

    def encode_call(self, flags: int, index: int, number: int, body: object, max_bytes: int, args: tuple[Any, ...]) -> bytes:
        """A CALL frame. `body` is the head and the arguments, or with BY_NAME the head and their map. Raises BadArgument."""
        try:
            encoded = _encode(body)
        except values.ENCODE_ERRORS as error:
            raise self._bad_argument(args, error) from error
        length = len(encoded) + _AFTER_LENGTH
        if length > max_bytes:
            raise BadArgument(
                f"the arguments are {length} bytes, at most {max_bytes} fit a frame",
                may_have_run=False,
                call=self.contract.qualified,
                hint="send it in parts, or store it and send its key",
            )
        return _pack(length, _CALL, flags, index, number) + encoded

    def named(self, args: tuple[Any, ...], required: Collection[str]) -> dict[str, Any]:
        """The arguments by name: those that differ from their defaults, since an older callee may not know the others, and those
        that it requires."""
        pairs = zip(self._parameters, args, strict=True)
        return {p.name: arg for p, arg in pairs if p.is_required or p.name in required or arg is not p.default}

    def read_named(self, body: bytes) -> tuple[Any, ...]:
        """Like `decode_call`, for BY_NAME. Parameters that were not sent have their defaults. Raises BadArgument."""
        try:
            *head, sent = self._named.decode(body)
        except values.DECODE_ERRORS as error:
            raise self._refused_named(error) from error
        return (
            *head,
            *(p.default if (arg := getattr(sent, p.name)) is msgspec.UNSET else arg for p in self._parameters),
        )

    def _check_arguments(self, args: tuple[Any, ...]) -> None:
        for name, index, guard in self._guards:
            try:
                guard(args[index])
            except (ValueError, RecursionError) as error:
                reason = _reason(error, args[index])
                raise BadArgument(f"`{name}`: {reason}", may_have_run=False, call=self.contract.qualified) from None

    def _bad_argument(self, args: tuple[Any, ...], error: Exception) -> BadArgument:
        for parameter, arg in zip(self._parameters, args, strict=True):
            try:
                values.ENCODER.encode(arg)
            except values.ENCODE_ERRORS as reason:
                return BadArgument(
                    f"`{parameter.name}`: {_reason(reason, arg)}", may_have_run=False, call=self.contract.qualified
                )
        return BadArgument(str(error), may_have_run=False, call=self.contract.qualified)

    def refused_arguments(self, error: Exception) -> BadArgument:
        """What a callee answers to arguments that do not decode: msgspec's message with the parameter's name in place of its
        index."""
        text = _text(error)
        if (match := re.search(_PATH, text)) and (at := int(match[2]) - HEAD_ITEMS) >= 0:
            text = f"{match[1] or ''}`{self._parameters[at].name}{match[3]}`: {text[: match.start()]}"
        return BadArgument(text, may_have_run=False, call=self.contract.qualified)

    def _refused_named(self, error: Exception) -> BadArgument:
        text = _text(error)
        if match := re.search(_NAMED_PATH, text):
            # Without a name it is the map itself: an argument that is missing, or one that this callee does not know.
            where = f"{match[1] or ''}`{match[2]}{match[3]}`: " if match[2] else ""
            text = where + text[: match.start()]
        return BadArgument(text, may_have_run=False, call=self.contract.qualified)

    # Results

    def encode_result(self, kind: int, number: int, value: Any, causal: Mapping[str, int] | None, max_bytes: int) -> bytes:
        """A RESULT or CHUNK frame. Raises BadAnswer."""
        try:
            if self._result_guard is not None:
                self._result_guard(value)
            encoded = _encode(value if causal is None else (causal, value))
        except values.ENCODE_ERRORS as error:
            raise BadAnswer(f"the result: {_reason(error, value)}", may_have_run=True, call=self.contract.qualified) from error
        length = len(encoded) + _AFTER_LENGTH
        if length > max_bytes:
            raise BadAnswer(
                f"the result is {length} bytes, at most {max_bytes} fit a frame",
                may_have_run=True,
                call=self.contract.qualified,
                hint="declare it as AsyncIterator[T] and stream it",
            )
        return _pack(length, kind, 0 if causal is None else WITH_CAUSAL, 0, number) + encoded

    def read_result(self, body: bytes) -> Any:
        try:
            return self._result.decode(body)
        except values.DECODE_ERRORS as error:
            raise self._bad_answer(error) from error

    def read_result_with_causal(self, body: bytes) -> tuple[dict[str, int], Any]:
        try:
            return self._result_with_causal.decode(body)
        except values.DECODE_ERRORS as error:
            raise self._bad_answer(error) from error

    def read_causal(self, body: bytes) -> dict[str, int]:
        """The body of END, WITH_CAUSAL."""
        try:
            return _CAUSAL_DECODER.decode(body)
        except values.DECODE_ERRORS as error:
            raise self._bad_answer(error) from error

    def _bad_answer(self, error: Exception) -> BadAnswer:
        return BadAnswer(f"the result: {_text(error)}", may_have_run=True, call=self.contract.qualified)

    # The same without a wire

    def copy_arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments as a callee in another process would see them. Raises BadArgument."""
        if self.check_arguments:
            self.check_arguments(args)
        try:
            body = values.ENCODER.encode((*_EMPTY_HEAD, *args))
        except values.ENCODE_ERRORS as error:
            raise self._bad_argument(args, error) from error
        try:
            return self._positional.decode(body)[HEAD_ITEMS:]
        except values.DECODE_ERRORS as error:
            raise self.refused_arguments(error) from error

    def copy_argument(self, index: int, value: Any) -> Any:
        """One argument alone; the others are as good as they were."""
        parameter = self._parameters[index]
        guard = next((guard for name, _, guard in self._guards if name == parameter.name), None)
        try:
            if guard:
                guard(value)
            return self._arguments[index].decode(values.ENCODER.encode(value))
        except (*values.ENCODE_ERRORS, *values.DECODE_ERRORS) as error:
            raise BadArgument(
                f"`{parameter.name}`: {_reason(error, value)}", may_have_run=False, call=self.contract.qualified
            ) from error

    def copy_result(self, value: Any) -> Any:
        """The result as a caller in another process would see it. Raises BadAnswer."""
        try:
            if self._result_guard:
                self._result_guard(value)
            body = values.ENCODER.encode(value)
        except values.ENCODE_ERRORS as error:
            raise BadAnswer(f"the result: {_reason(error, value)}", may_have_run=True, call=self.contract.qualified) from error
        return self.read_result(body)

    # Failures

    def read_failure(self, name: str, payload: bytes) -> Exception | None:
        """The declared failure of that name, or None where this side does not know it."""
        if name not in self._failures:
            return None
        cls, decoder = self._failures[name]
        try:
            fields = decoder.decode(payload)
        except values.DECODE_ERRORS as error:
            return self._bad_answer(error)
        failure = cls.__new__(cls)
        failure.restore(fields)
        return failure


class FailureBody(msgspec.Struct, omit_defaults=True, frozen=True):
    """Body of FAILURE. kind: `failure` (declared by the contract), or a CallError's kind as in KINDS."""

    kind: str
    name: str = ""
    message: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"")
    may_have_run: bool = True
    trace: str = ""
    hint: str | None = None


_CAUSAL_DECODER = msgspec.msgpack.Decoder(dict[str, int])
_FAILURE_DECODER = msgspec.msgpack.Decoder(FailureBody)


def encode_failure(body: FailureBody) -> bytes:
    return values.ENCODER.encode(body)


def decode_failure(body: bytes) -> FailureBody:
    """Raises values.DECODE_ERRORS."""
    return _FAILURE_DECODER.decode(body)


_EMPTY_HEAD: Head = (0, b"", b"", 0, None)


def _named_struct(contract: CallContract) -> Any:
    fields: list[Any] = [_named_field(parameter) for parameter in contract.parameters]
    return msgspec.defstruct(f"{contract.name}_arguments", fields, kw_only=True, forbid_unknown_fields=True)


def _named_field(parameter: Parameter) -> Any:
    annotation = values.aware(parameter.annotation)
    if parameter.is_required:
        return (parameter.name, annotation)
    return (parameter.name, Union[annotation, msgspec.UnsetType], msgspec.UNSET)  # noqa: UP007  (the annotation may be one that has no `|`)


def _reason(error: Exception, value: Any) -> str:
    return _text(error) or f"`{type(value).__name__}` cannot be encoded"


def _text(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
