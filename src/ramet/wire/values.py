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

from ramet.model.shapes import bare, inspect_type, pydantic_fields

DecodeError = msgspec.DecodeError
ValidationError = msgspec.ValidationError
Raw = msgspec.Raw

T = TypeVar("T")
Guard = Callable[[Any], object]


def _encode_other(value: Any) -> Any:
    if pydantic_fields(cast("type[Any]", type(value))) is not None:
        return value.model_dump_json(by_alias=True, round_trip=True)
    raise TypeError(f"`{type(value).__name__}` cannot cross the wire")


def _decode_other(annotation: type, raw: Any) -> Any:
    if not isinstance(raw, str):
        raise TypeError(f"Expected the JSON of `{annotation.__name__}` in a `str`, got `{type(raw).__name__}`")
    return annotation.model_validate_json(raw)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]  (shapes let only pydantic models through)


ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_other, uuid_format="bytes", decimal_format="string")
JSON_ENCODER = msgspec.json.Encoder(enc_hook=str)

ENCODE_ERRORS = (TypeError, ValueError, OverflowError, RecursionError, AttributeError)
"""What encoding raises for a value that is not of its declared type; UnicodeEncodeError is a ValueError, AttributeError means a
Struct with a field that was never set."""
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
    """A check that every datetime inside a value is aware, or None where the type holds no datetime. Raises ValueError.

    It passes over what is not of the declared type: decoding will say so better.
    """
    guard = _guard(inspect_type(annotation), {})
    return guard and (lambda value: _lenient(guard, value))


def _guard(info: types.Type, seen: dict[int, list[Guard]]) -> Guard | None:
    info = bare(info)
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
        case types.StructType() | types.DataclassType() | types.NamedTupleType() | types.TypedDictType():
            return _fields_guard(info, seen)
        case _:
            return None


def _fields_guard(info: Any, seen: dict[int, list[Guard]]) -> Guard | None:
    if id(info) in seen:
        inner = seen[id(info)]
        return lambda value: inner[0](value) if inner else None
    if not _holds_datetime(info, set()):
        return None
    inner: list[Guard] = seen.setdefault(id(info), [])
    fields = [
        (field.name, field.encode_name, index, guard)
        for index, field in enumerate(info.fields)
        if (guard := _guard(field.type, seen))
    ]

    def check(value: Any) -> None:
        if value is None:
            return
        for name, encoded, index, guard in fields:
            guard(_field(value, name, encoded, index))

    inner.append(check)
    return check


def _field(value: Any, name: str, encoded: str, index: int) -> Any:
    # Whatever the wire would take in place of a struct is looked into as well: a dict, or the items in order.
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).get(encoded)
    if isinstance(value, (list, tuple)):
        return cast("list[Any]", value)[index] if index < len(cast("list[Any]", value)) else None
    return getattr(value, name, None)


def _holds_datetime(info: Any, above: set[int]) -> bool:
    info = bare(info)
    if isinstance(info, types.DateTimeType):
        return True
    if id(info) in above:
        return False
    above.add(id(info))
    parts: list[Any] = [getattr(info, name, None) for name in ("item_type", "key_type", "value_type")]
    parts += [
        *getattr(info, "item_types", ()),
        *getattr(info, "types", ()),
        *(field.type for field in getattr(info, "fields", ())),
    ]
    return any(_holds_datetime(part, above) for part in parts if part is not None)


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


def to_plain(value: Any) -> Any:
    """A Struct as dicts, lists, texts and numbers."""
    return msgspec.to_builtins(value)
