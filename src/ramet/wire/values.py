"""One value to MessagePack and back, by its declared type. What msgspec does not know by itself is settled here.

pydantic models travel as their own JSON in a str: pydantic validates and writes more than MessagePack types can say. UUIDs are
16 bytes, Decimals text, aware datetimes the timestamp extension (-1). Naive datetimes are refused: they mean another instant
on each machine.
"""

import datetime
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import inspect as types

from ramet.model.shapes import inspect_type, pydantic_fields

DecodeError = msgspec.DecodeError
ValidationError = msgspec.ValidationError
Raw = msgspec.Raw

T = TypeVar("T")
Guard = Callable[[Any], None]


def _encode_other(value: Any) -> Any:
    if pydantic_fields(cast("type", type(value))) is not None:
        return value.model_dump_json(by_alias=True, round_trip=True)
    raise NotImplementedError


def _decode_other(annotation: type, raw: Any) -> Any:
    if not isinstance(raw, str):
        raise TypeError(f"Expected the JSON of `{annotation.__name__}` in a `str`, got `{type(raw).__name__}`")
    return annotation.model_validate_json(raw)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]  (shapes let only pydantic models through)


ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_other, uuid_format="bytes", decimal_format="string")
JSON_ENCODER = msgspec.json.Encoder(enc_hook=str)

ENCODE_ERRORS = (TypeError, ValueError, OverflowError, RecursionError)
"""What encoding raises for a value that is not of its declared type; UnicodeEncodeError is a ValueError."""
DECODE_ERRORS = (msgspec.DecodeError, ValueError, TypeError, RecursionError)
"""msgspec wraps the errors of pydantic's validation in its own."""


def decoder(annotation: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(aware(annotation), dec_hook=_decode_other)


def encode_json(value: Any) -> bytes:
    return JSON_ENCODER.encode(value)


def decode_json(text: bytes | str) -> Any:
    return msgspec.json.decode(text)


def aware(annotation: Any) -> Any:
    return Annotated[datetime.datetime, msgspec.Meta(tz=True)] if annotation is datetime.datetime else annotation


def guard_of(annotation: Any) -> Guard | None:
    """A check that every datetime inside a value is aware, or None where the type holds no datetime. Raises ValueError."""
    return _guard(inspect_type(annotation), {})


def _guard(info: types.Type, seen: dict[int, list[Guard]]) -> Guard | None:
    match info:
        case types.DateTimeType():
            return _check_aware
        case types.ListType() | types.SetType() | types.FrozenSetType() | types.VarTupleType():
            item = _guard(info.item_type, seen)
            return None if item is None else lambda values: [item(value) for value in values] and None
        case types.TupleType(item_types=item_types):
            items = [(index, guard) for index, each in enumerate(item_types) if (guard := _guard(each, seen))]
            return (lambda values: [guard(values[index]) for index, guard in items] and None) if items else None
        case types.DictType() | types.FrozenDictType():
            key, each = _guard(info.key_type, seen), _guard(info.value_type, seen)
            if key is None and each is None:
                return None
            return lambda mapping: [(key and key(k), each and each(v)) for k, v in mapping.items()] and None
        case types.UnionType(types=members):
            guards = [guard for member in members if (guard := _guard(member, seen))]
            # A union's members are told apart by the guards themselves: each passes over what is not its own.
            return (lambda value: [_lenient(guard, value) for guard in guards] and None) if guards else None
        case types.StructType() | types.DataclassType() | types.NamedTupleType():
            return _fields_guard(info, seen, getattr)
        case types.TypedDictType():
            return _fields_guard(info, seen, lambda value, name, default: value.get(name, default))
        case _:
            return None


def _fields_guard(info: Any, seen: dict[int, list[Guard]], get: Callable[..., Any]) -> Guard | None:
    if id(info) in seen:
        inner = seen[id(info)]
        return lambda value: inner[0](value) if inner else None
    inner: list[Guard] = seen.setdefault(id(info), [])
    fields = [(field.name, guard) for field in info.fields if (guard := _guard(field.type, seen))]
    if not fields:
        return None

    def check(value: Any) -> None:
        for name, guard in fields:
            guard(get(value, name, None))

    inner.append(check)
    return check


def _check_aware(value: Any) -> None:
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        raise ValueError(f"the datetime {value.isoformat()} has no time zone; make it aware, e.g. datetime.now(datetime.UTC)")


def _lenient(guard: Guard, value: Any) -> None:
    try:
        guard(value)
    except (TypeError, AttributeError, KeyError, IndexError):
        return


def decode_json_as(text: bytes, annotation: type[T]) -> T:
    """Raises DECODE_ERRORS."""
    return msgspec.json.decode(text, type=annotation)
