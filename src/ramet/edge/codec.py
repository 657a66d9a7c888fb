"""Values to and from what HTTP carries: JSON by msgspec, pydantic models by pydantic, texts of paths and queries by their type.

Decoding says yes or no as fast as msgspec does. Only after a no is the value looked at again, part by part, so that all that is
wrong with it can be named at once.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast, get_type_hints
from urllib.parse import unquote, unquote_plus

import msgspec
from msgspec import inspect as types

from ramet.model.shapes import inspect_type, pydantic_fields
from ramet.wire import values

ENCODE_ERRORS = values.ENCODE_ERRORS
ValidationError = msgspec.ValidationError
MalformedJson = msgspec.DecodeError

_BACKSLASH = 0x5C
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_GOT_TEXT = re.compile(r"got `str`$")
_AT = re.compile(r" - at `\$\.?(.*?)`$")
MAX_SHOWN = 60


class Misfit(NamedTuple):
    """path: below the whole value, `article.tags[2]`; empty for the whole. message: what is wrong there."""

    path: str
    message: str


def _encode_other(value: Any) -> Any:
    if pydantic_fields(value.__class__) is not None:
        return msgspec.Raw(value.model_dump_json(by_alias=True).encode())
    raise NotImplementedError  # what msgspec asks of a hook that does not know a type: it then names the type


def _decode_other(annotation: type, raw: Any) -> Any:
    return annotation.model_validate(raw)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]  (shapes let only pydantic models through)


encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=_encode_other).encode
decode_any: Callable[[bytes], Any] = msgspec.json.Decoder().decode


def json_decoder(annotation: Any) -> Callable[[bytes], Any]:
    """Decodes a body of the type. Raises MalformedJson, and its subclass ValidationError; ValueError for a datetime without
    time zone and for the character U+0000, which neither PostgreSQL nor most of what a text is handed to can hold."""
    decode = msgspec.json.Decoder(values.aware(annotation), dec_hook=_decode_other).decode
    guard = values.guard_of(annotation)

    def decode_body(body: bytes) -> Any:
        if _BACKSLASH in body and _NUL.search(body):
            raise ValueError("a text holds the character U+0000")
        value = decode(body)
        if guard is not None:
            guard(value)
        return value

    return decode_body


def text_converter(annotation: Any) -> Callable[[Any], Any] | None:
    """From a text, or a list of texts, to a value of the type. None where the text is the value. Raises ValidationError.

    The type stands in a Struct, because msgspec prepares Structs once, and other types at each conversion.
    """
    info = inspect_type(annotation)
    if isinstance(info, types.StrType) and (info.min_length, info.max_length, info.pattern) == (None, None, None):
        return None
    convert = _by_struct(annotation)
    if not isinstance(info, types.IntType | types.FloatType | types.BoolType):
        return convert
    decode = msgspec.json.Decoder(annotation).decode

    def converted(text: Any) -> Any:
        try:
            return decode(text)  # a number as JSON has it takes a tenth of the time
        except MalformedJson:
            return convert(text)

    return converted


def _by_struct(annotation: Any) -> Callable[[Any], Any]:
    holder = msgspec.defstruct("Text", [("value", values.aware(annotation))])
    convert = msgspec.convert
    guard = values.guard_of(annotation)

    def converted(text: Any) -> Any:
        made: Any = convert({"value": text}, holder, strict=False, dec_hook=_decode_other)
        value = made.value
        if guard is not None:
            guard(value)
        return value

    return converted


def fields_converter(annotation: Any) -> Callable[[dict[str, Any]], Any]:
    """From the texts of several parameters to a Struct. Raises ValidationError."""
    return lambda texts: msgspec.convert(texts, annotation, strict=False, dec_hook=_decode_other)


def parse_query(raw: bytes, many: frozenset[str]) -> dict[str, Any]:
    """name -> its last value, or a list of all for the names in `many`. Raises ValueError for what is not UTF-8, or has NUL."""
    text = raw.decode()
    is_plain = "%" not in text and "+" not in text
    found: dict[str, Any] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if not is_plain:
            name, value = unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
        if name in many:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    if "\x00" in text or "%00" in text:
        raise ValueError("a value holds the character U+0000")
    return found


def parse_cookies(raw: bytes) -> dict[str, str]:
    """RFC 6265: what cannot be a cookie is passed over, as browsers do."""
    pairs = (pair.partition("=") for pair in raw.decode("latin-1").split(";"))
    return {name.strip(): unquote(value.strip().strip('"')) for name, equals, value in pairs if equals}


def misfits(annotation: Any, value: Any, *, text: bool = False) -> list[Misfit]:
    """All that keeps a decoded value from being of the type. text: it came as texts, so that `12` is an int."""
    return list(_misfits(annotation, value, "", text=text))


def _misfits(annotation: Any, value: Any, path: str, *, text: bool) -> Iterator[Misfit]:
    try:
        converted = msgspec.convert(value, values.aware(annotation), strict=not text, dec_hook=_decode_other)
        if (guard := values.guard_of(annotation)) is not None:
            guard(converted)
    except (ValueError, TypeError, RecursionError) as error:
        if (parts := _parts(annotation, value)) is not None:
            found = [each for name, inner, part in parts for each in _part_misfits(inner, part, _join(path, name), text=text)]
            if found:
                yield from found
                return
        yield from _pydantic_misfits(error, path) or [_misfit(error, value, path)]


def _part_misfits(annotation: Any, value: Any, path: str, *, text: bool) -> Iterator[Misfit]:
    if value is msgspec.UNSET:
        yield Misfit(path, "is missing")
    else:
        yield from _misfits(annotation, value, path, text=text)


def _parts(annotation: Any, value: Any) -> list[tuple[str, Any, Any]] | None:
    """(name, type, value) of each field of an object that should be a Struct; UNSET for a missing one that is required."""
    info = inspect_type(annotation)
    if isinstance(info, types.UnionType):
        members = [each for each in info.types if not isinstance(each, types.NoneType)]
        info = members[0] if len(members) == 1 else info
    if not isinstance(info, types.StructType | types.DataclassType | types.TypedDictType) or not isinstance(value, dict):
        return None
    if isinstance(info, types.StructType) and info.tag is not None:
        return None
    hints = {field.name: field for field in msgspec.structs.fields(info.cls)} if isinstance(info, types.StructType) else {}
    annotations = _annotations(info.cls)
    held = cast("dict[str, Any]", value)
    parts: list[tuple[str, Any, Any]] = []
    for field in info.fields:
        part = held.get(field.encode_name, msgspec.UNSET)
        if part is msgspec.UNSET and not field.required:
            continue
        hint = hints[field.name].type if field.name in hints else annotations.get(field.name, Any)
        parts.append((field.encode_name, hint, part))
    return parts


def _annotations(cls: Any) -> dict[str, Any]:
    try:
        return get_type_hints(getattr(cls, "__origin__", cls), include_extras=True)
    except (NameError, TypeError):
        return {}


def _pydantic_misfits(error: BaseException, path: str) -> list[Misfit]:
    """Of its ValidationError, which msgspec hands on as the cause of its own."""
    listed: Any = getattr(error, "errors", None) or getattr(error.__cause__, "errors", None)
    if listed is None:
        return []
    return [Misfit(_join(path, ".".join(str(step) for step in each["loc"])), str(each["msg"])) for each in listed()]


def _misfit(error: BaseException, value: Any, path: str) -> Misfit:
    message = str(error)
    if match := _AT.search(message):
        path = _join(path, match[1])
        message = message[: match.start()]
    if isinstance(value, str):
        shown = value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "..."
        message = _GOT_TEXT.sub(lambda _: f"got {shown!r}", message)
    return Misfit(path, message)


def _join(path: str, name: str) -> str:
    return f"{path}{'' if not path or not name or name.startswith('[') else '.'}{name}"
