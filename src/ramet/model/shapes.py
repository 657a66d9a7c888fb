"""The shape of a type: what crosses the wire when a value of it is sent, as plain data.

A shape is JSON: it is hashed into a contract, sent in HELLO, compared with the peer's, printed in errors. Types with equal
shapes are read and written alike whatever their Python names, so the names are kept for people and left out of the hash.

kinds:  none bool int float str bytes datetime date time timedelta uuid decimal any
        literal {values}  enum {name, values}  array {item}  tuple {items}  map {key, value}  union {of}
        struct {name, fields: [{name, type, required}], tag, positional, closed}  ref {up}  (a recursive struct: `up` structs
        above)
        json {name, fields, closed}  (a pydantic model: its own JSON, in a str)
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast, get_origin

import msgspec
from msgspec import inspect as types

Shape = dict[str, Any]

_SCALARS: dict[type[types.Type], str] = {
    types.NoneType: "none",
    types.BoolType: "bool",
    types.IntType: "int",
    types.FloatType: "float",
    types.StrType: "str",
    types.BytesType: "bytes",
    types.ByteArrayType: "bytes",
    types.MemoryViewType: "bytes",
    types.DateTimeType: "datetime",
    types.DateType: "date",
    types.TimeType: "time",
    types.TimeDeltaType: "timedelta",
    types.UUIDType: "uuid",
    types.DecimalType: "decimal",
    types.AnyType: "any",
}
_LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")
SCALARS = {
    "str",
    "int",
    "float",
    "bool",
    "bytes",
    "datetime",
    "date",
    "time",
    "timedelta",
    "uuid",
    "decimal",
    "literal",
    "enum",
}
_WAYS_OUT: dict[str, str] = {
    "complex": "send the two parts as floats",
    "PosixPath": "send it as str",
    "Path": "send it as str",
    "object": "name the type, or use typing.Any for JSON-like values",
    "Callable": "a function cannot be sent; send what it needs, or publish an event",
    "Iterator": "declare AsyncIterator[T] as the result to stream, or list[T] to send it whole",
    "Generator": "declare AsyncIterator[T] as the result to stream, or list[T] to send it whole",
    "AsyncIterator": "only a call's whole result can be AsyncIterator[T]; use list[T] here",
    "AsyncGenerator": "declare the result as AsyncIterator[T]",
    "AsyncIterable": "declare the result as AsyncIterator[T]",
    "Iterable": "send it as list[T]",
    "deque": "send it as list[T]",
    "range": "send it as list[int], or its ends",
    "Counter": "send it as dict[K, int]",
    "OrderedDict": "send it as dict[K, V], which keeps its order",
    "defaultdict": "send it as dict[K, V]",
    "IPv4Address": "send it as str",
    "IPv6Address": "send it as str",
    "Pattern": "send its source as str",
    "Fraction": "send the two parts as ints",
    "array": "send it as list[float] or bytes",
    "ndarray": "send it as bytes, with its shape beside it",
}


_MODULE = r"'[^']*'|(?:[A-Za-z_<][\w<>]*\.)+(?=\w)"
"""A literal text, which is kept, or the path of a module, which is not."""


class NoShape(TypeError):
    """A type that cannot cross the wire. `type_name` is the offending inner type, `way_out` the code to write instead."""

    def __init__(self, type_name: str, reason: str, way_out: str) -> None:
        super().__init__(f"`{type_name}` {reason}")
        self.type_name = type_name
        self.reason = reason
        self.way_out = way_out


def name_of(annotation: object) -> str:
    """The type as its author would write it."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__qualname__
    return re.sub(_MODULE, lambda match: match[0] if match[0][0] == "'" else "", str(annotation))


def inspect_type(annotation: object) -> types.Type:
    """msgspec's view of a type. Raises NoShape where it has none."""
    try:
        return types.type_info(annotation)
    except (TypeError, NameError, AttributeError) as error:
        reason = str(error).split(" - type ")[0]
        raise NoShape(name_of(annotation), f"has no wire form: {reason}", _way_out(reason, error)) from error


def _way_out(reason: str, error: Exception) -> str:
    if isinstance(error, NameError):
        return "define or import that type above; types are resolved at import"
    if "union" in reason:
        return "wrap the alternatives in tagged msgspec Structs (`class A(msgspec.Struct, tag=True)`)"
    if "Enum" in reason:
        return "give all of its members str values, or all of them int values"
    return "use a msgspec Struct or a dataclass"


def bare(info: types.Type) -> types.Type:
    """The type itself, without a title, description or examples (`Annotated[str, msgspec.Meta(description=...)]`)."""
    while isinstance(info, types.Metadata):
        info = info.type
    return info


def describe(annotation: object) -> Shape:
    """The shape of a type annotation. Raises NoShape."""
    return _describe(inspect_type(annotation), ())


def pydantic_fields(cls: type) -> Mapping[str, Any] | None:
    """The fields of a pydantic v2 model, None for any other class. By its face, so that pydantic need not be installed."""
    if hasattr(cls, "model_validate_json") and hasattr(cls, "model_dump_json"):
        return cast("Mapping[str, Any]", cls.model_fields)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  (a pydantic model, see above)
    return None


def _describe(info: types.Type, above: tuple[type, ...]) -> Shape:
    info = bare(info)
    match info:
        case types.DateTimeType(tz=False):
            raise NoShape("datetime", "is declared without a time zone: another instant on each machine", "use datetime, aware")
        case _ if scalar := _SCALARS.get(type(info)):
            return _with_limits({"kind": scalar}, info)
        case types.LiteralType(values=values):
            return {"kind": "literal", "values": sorted(values, key=repr)}
        case types.EnumType(cls=cls):
            return {"kind": "enum", "name": cls.__name__, "values": sorted((member.value for member in cls), key=repr)}
        case types.SetType() | types.FrozenSetType() if not _is_hashable(info.item_type):
            raise NoShape(
                signature_of(_describe(info.item_type, above)),
                "cannot be in a set: it is not hashable",
                "use list[T], or make the items frozen",
            )
        case types.ListType() | types.SetType() | types.FrozenSetType() | types.VarTupleType():
            return _with_limits({"kind": "array", "item": _describe(info.item_type, above)}, info)
        case types.TupleType(item_types=items):
            return {"kind": "tuple", "items": [_describe(item, above) for item in items]}
        case types.DictType() | types.FrozenDictType():
            return _with_limits({"kind": "map", "key": _key(info, above), "value": _describe(info.value_type, above)}, info)
        case types.UnionType(types=members):
            return {"kind": "union", "of": [_describe(member, above) for member in members]}
        case types.StructType() | types.DataclassType() | types.TypedDictType() | types.NamedTupleType():
            return _struct(info, above)
        case types.CustomType(cls=cls):
            return _custom(cls, above)
        case _:
            raise NoShape(
                type(info).__name__.removesuffix("Type"), "cannot cross the wire", "use a msgspec Struct or a dataclass"
            )


def _is_hashable(info: types.Type) -> bool:
    info = bare(info)
    match info:
        case types.ListType() | types.SetType() | types.DictType() | types.TypedDictType() | types.ByteArrayType():
            return False
        case types.StructType(cls=cls) | types.DataclassType(cls=cls):
            cls = get_origin(cls) or cls
            if issubclass(cls, msgspec.Struct):
                return cls.__struct_config__.frozen or not cls.__struct_config__.eq
            return cls.__hash__ is not None
        case types.FrozenSetType() | types.VarTupleType():
            return _is_hashable(info.item_type)
        case types.TupleType(item_types=members) | types.UnionType(types=members):
            return all(_is_hashable(member) for member in members)
        case _:
            return True


def _with_limits(shape: Shape, info: types.Type) -> Shape:
    limits = {name: value for name in _LIMITS if (value := getattr(info, name, None)) is not None}
    return {**shape, "limits": limits} if limits else shape


def _key(info: types.DictType | types.FrozenDictType, above: tuple[type, ...]) -> Shape:
    key = _describe(info.key_type, above)
    members = key["of"] if key["kind"] == "union" else [key]
    for member in members:
        if member["kind"] not in SCALARS | {"any"}:
            raise NoShape(
                signature_of(member),
                "cannot be the key of a dict on the wire",
                "use str, int, UUID, date or an Enum as the key",
            )
    return key


def _struct(
    info: types.StructType | types.DataclassType | types.TypedDictType | types.NamedTupleType, above: tuple[type, ...]
) -> Shape:
    if info.cls in above:
        return {"kind": "ref", "up": above[::-1].index(info.cls)}
    below = (*above, info.cls)
    return {
        "kind": "struct",
        "name": getattr(info.cls, "__name__", str(info.cls)),
        "fields": [
            {"name": field.encode_name, "type": _describe(field.type, below), "required": field.required} for field in info.fields
        ],
        "tag": [info.tag_field, info.tag] if isinstance(info, types.StructType) and info.tag is not None else None,
        "positional": isinstance(info, types.NamedTupleType) or getattr(info, "array_like", False),
        # A reader that takes no fields but its own. A NamedTuple takes no more items than it has.
        "closed": isinstance(info, types.NamedTupleType) or getattr(info, "forbid_unknown_fields", False),
    }


def _custom(cls: type, above: tuple[type, ...]) -> Shape:
    fields = pydantic_fields(cls)
    if fields is None:
        way_out = _WAYS_OUT.get(
            cls.__name__, f"make {cls.__name__} a msgspec Struct, a dataclass, a TypedDict or a pydantic model"
        )
        raise NoShape(cls.__name__, "cannot cross the wire", way_out)
    if cls in above:
        return {"kind": "ref", "up": above[::-1].index(cls)}
    described: list[Shape] = []
    shape: Shape
    for name, field in fields.items():
        try:
            shape = _describe(inspect_type(field.annotation), (*above, cls))
        except _NoJson:
            raise
        except NoShape as error:
            # pydantic reads and writes more types than we can name
            shape = {"kind": "json", "name": error.type_name, "fields": []}
        written = field.serialization_alias or name
        _check_json(cls, name, field, written, shape)
        described.append({"name": written, "type": _with_checks(shape, field.metadata), "required": field.is_required()})
    return {"kind": "json", "name": cls.__name__, "fields": described, "closed": _config(cls).get("extra") == "forbid"}


class _NoJson(NoShape):
    """A pydantic model that cannot read what it writes."""


def _config(cls: type) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", cls.model_config)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  (a pydantic model)


def _check_json(cls: type, name: str, field: Any, written: str, shape: Shape) -> None:
    config = _config(cls)
    if _holds_bytes(shape) and config.get("ser_json_bytes") != "base64":
        raise _NoJson(
            cls.__name__,
            f"has the bytes field `{name}`, which pydantic's JSON cannot hold",
            "model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')",
        )
    if field.exclude and field.is_required():
        raise _NoJson(cls.__name__, f"requires its field `{name}` and leaves it out of its JSON", "leave exclude=True out")
    alias = field.validation_alias
    read = {name} if alias is None else {alias} if isinstance(alias, str) else _choices(alias)
    if config.get("validate_by_name") or config.get("populate_by_name"):
        read.add(name)
    if config.get("validate_by_alias") is False:
        read = {name}
    if written not in read:
        raise _NoJson(
            cls.__name__,
            f"writes its field `{name}` as `{written}`, and does not read it under that name",
            "give it one name for both: Field(alias=...)",
        )


def _choices(alias: Any) -> set[str]:
    # The plain names in an AliasChoices; an AliasPath has none.
    return {choice for choice in getattr(alias, "choices", ()) if isinstance(choice, str)}


def _holds_bytes(shape: Shape) -> bool:
    if shape["kind"] in {"bytes", "json"}:  # another model has a config of its own
        return shape["kind"] == "bytes"
    return any(map(_holds_bytes, parts_of(shape)))


def parts_of(shape: Shape) -> list[Shape]:
    """The shapes that a shape is directly made of: items, keys, values, alternatives, types of fields."""
    parts: list[Any] = [shape.get("item"), shape.get("key"), shape.get("value"), *shape.get("items", ()), *shape.get("of", ())]
    parts += [field["type"] for field in shape.get("fields", ())]
    return [part for part in parts if part]


def _with_checks(shape: Shape, metadata: list[Any]) -> Shape:
    # Functions print their address, which is another in each process; they are left out.
    checks = sorted(text for each in metadata if " at 0x" not in (text := repr(each)))
    return {**shape, "limits": {**shape.get("limits", {}), "checks": checks}} if checks else shape


def unnamed(shape: Any) -> Any:
    """The shape without the names that do not reach the wire; what the contract hash covers."""
    if isinstance(shape, list):
        return [unnamed(item) for item in cast("list[Any]", shape)]
    if isinstance(shape, dict):
        kind = cast("Shape", shape).get("kind")
        drop = isinstance(kind, str) and kind in {"struct", "enum", "json"}
        return {key: unnamed(value) for key, value in cast("Shape", shape).items() if not (drop and key == "name")}
    return shape


def signature_of(shape: Shape, *, within: Sequence[str] | None = None) -> str:
    """The shape as a person would write it, on one line.

    within: None for structs with all of their fields. Otherwise structs are written as their names, and these are the names of
    those that the shape stands in, outermost first; a recursive struct refers to one of them.
    """
    write = partial(signature_of, within=within)
    match shape["kind"]:
        case "array":
            text = f"list[{write(shape['item'])}]"
        case "tuple":
            text = f"tuple[{', '.join(map(write, shape['items']))}]"
        case "map":
            text = f"dict[{write(shape['key'])}, {write(shape['value'])}]"
        case "union":
            text = " | ".join(map(write, shape["of"]))
        case "literal":
            text = f"Literal[{', '.join(map(repr, shape['values']))}]"
        case "enum":
            text = f"{shape['name']}({', '.join(map(repr, shape['values']))})"
        case "struct" | "json" if within is not None:
            text = str(shape["name"])
        case "struct" | "json":
            fields = ", ".join(
                f"{field['name']}{'' if field['required'] else '?'}: {write(field['type'])}" for field in shape["fields"]
            )
            text = f"{shape['name']}{{{fields}}}"
        case "none":
            text = "None"
        case "ref":
            text = str(within[-1 - int(shape["up"])]) if within else "..."
        case kind:
            text = {"uuid": "UUID", "decimal": "Decimal", "any": "Any"}.get(str(kind), str(kind))
    limits = shape.get("limits")
    return f"{text}({', '.join(f'{name}={value}' for name, value in limits.items())})" if limits else text


def canonical(value: object) -> bytes:
    """Bytes that are equal exactly when the plain data is."""
    return msgspec.json.encode(value, order="deterministic")
