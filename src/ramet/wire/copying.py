"""Copies of values as cheap as isolation allows, generated once per type.

`copier(type)` gives a function equal in effect to encode-then-decode for a value of its declared type, and None where the type
is deeply immutable, so that the value itself may be shared. A value of another type than declared takes the long way through
the codec, which refuses or converts it as the wire would.
"""

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect as types

from ramet.model.shapes import bare, inspect_type

Copier = Callable[[Any], Any]

_IMMUTABLE: dict[type[types.Type], type] = {
    types.BoolType: bool,
    types.IntType: int,
    types.FloatType: float,
    types.StrType: str,
    types.BytesType: bytes,
    types.DateTimeType: datetime.datetime,
    types.DateType: datetime.date,
    types.TimeType: datetime.time,
    types.TimeDeltaType: datetime.timedelta,
    types.UUIDType: uuid.UUID,
    types.DecimalType: decimal.Decimal,
}
_LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz")


def is_immutable(annotation: Any) -> bool:
    return _is_immutable(inspect_type(annotation), set())


def _is_immutable(info: types.Type, above: set[type]) -> bool:
    info = bare(info)
    match info:
        case types.NoneType() | types.EnumType() | types.LiteralType():
            return True
        case types.FrozenSetType() | types.VarTupleType():
            return _is_immutable(info.item_type, above)
        case types.TupleType(item_types=items):
            return all(_is_immutable(item, above) for item in items)
        case types.UnionType(types=members):
            return all(_is_immutable(member, above) for member in members)
        case types.StructType() | types.DataclassType() if _is_frozen(info.cls):
            return info.cls in above or all(_is_immutable(field.type, above | {info.cls}) for field in info.fields)
        case types.NamedTupleType():
            return all(_is_immutable(field.type, above) for field in info.fields)
        case _:
            return type(info) in _IMMUTABLE


def _is_plain(cls: object) -> bool:
    """A class, and not a generic with its arguments, which msgspec's view has as `cls` too."""
    return isinstance(cls, type)


def _is_frozen(cls: Any) -> bool:
    cls = getattr(cls, "__origin__", cls)
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_config__.frozen
    return hasattr(cls, "__dataclass_params__") and cls.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def type_test(annotation: Any, value: str, *, prefix: str) -> tuple[str, dict[str, Any]] | None:
    """Source of a test that `value` (a source expression) is of exactly the declared type, with the names that it uses.
    They begin with `prefix`.

    For immutable types whose top level can be told by identity; None where only the codec can tell.
    """
    names: dict[str, Any] = {}
    parts = _tests(inspect_type(annotation), value, names, prefix)
    return (" or ".join(parts), names) if parts else None


def _tests(info: types.Type, value: str, names: dict[str, Any], prefix: str) -> list[str] | None:
    info = bare(info)
    match info:
        case types.NoneType():
            return [f"{value} is None"]
        case types.UnionType(types=members):
            parts = [_tests(member, value, names, prefix) for member in members]
            return [test for part in parts if part for test in part] if all(parts) else None
        case types.EnumType(cls=cls) | types.StructType(cls=cls) | types.DataclassType(cls=cls) if _is_plain(cls):
            pass
        case _ if type(info) in _IMMUTABLE and all(getattr(info, limit, None) is None for limit in _LIMITS):
            cls = _IMMUTABLE[type(info)]
        case _:
            return None
    name = f"{prefix}_{len(names)}"
    names[name] = cls
    test = f"{value}.__class__ is {name}"
    return [f"({test} and {value}.tzinfo is not None)" if cls is datetime.datetime else test]


class _NotAsDeclared(Exception):
    """Somewhere inside a value there is another type than declared."""


def copier(annotation: Any, codec: Copier) -> Copier | None:
    """None for a deeply immutable type. `codec` is the long way: the value encoded and decoded."""
    info = inspect_type(annotation)
    if _is_immutable(info, set()):
        return None
    short = _copier(info, set())
    if short is None:
        return codec

    def copy(value: Any) -> Any:
        try:
            return short(value)
        except _NotAsDeclared:
            return codec(value)

    return copy


def _same(value: Any) -> Any:
    return value


def _copier(info: types.Type, above: set[type]) -> Copier | None:
    """A function that copies or raises _NotAsDeclared; None where only the codec can copy."""
    info = bare(info)
    if _is_immutable(info, set()):
        return _same
    match info:
        case types.StructType(cls=cls) if _is_plain(cls) and cls not in above:
            return _copy_struct(cls, {field.name: _copier(field.type, above | {cls}) for field in info.fields})
        case types.ListType():
            return _copy_container(
                list, _copier(info.item_type, above), lambda item: lambda value: [item(each) for each in value]
            )
        case types.DictType() if _is_immutable(info.key_type, set()):
            return _copy_container(
                dict,
                _copier(info.value_type, above),
                lambda item: lambda value: {key: item(each) for key, each in value.items()},
            )
        case types.SetType() if _is_immutable(info.item_type, set()):
            return _copy_container(set, _same, lambda _: set)
        case types.UnionType(types=(inner, types.NoneType())) | types.UnionType(types=(types.NoneType(), inner)):
            copy = _copier(inner, above)
            return copy and (lambda value: None if value is None else copy(value))
        case _:
            return None


def _copy_struct(cls: type, fields: dict[str, Copier | None]) -> Copier | None:
    if None in fields.values():
        return None
    deep = {name: copy for name, copy in fields.items() if copy is not _same}
    names: dict[str, Any] = {
        "cls": cls,
        "Odd": _NotAsDeclared,
        "replace": msgspec.structs.replace,
        **{f"copy_{name}": copy for name, copy in deep.items()},
    }
    lines = ["def copy(value):", "    if value.__class__ is not cls:", "        raise Odd"]
    if _is_frozen(cls):
        lines += [f"    return replace(value, {', '.join(f'{name}=copy_{name}(value.{name})' for name in deep)})"]
    elif deep:
        lines += [
            "    made = value.__copy__()",
            *(f"    made.{name} = copy_{name}(made.{name})" for name in deep),
            "    return made",
        ]
    else:
        lines += ["    return value.__copy__()"]
    exec("\n".join(lines), names)  # noqa: S102  (our own text over field names that Python has accepted)
    return names["copy"]


def _copy_container(cls: type, item: Copier | None, deeply: Callable[[Copier], Copier]) -> Copier | None:
    if item is None:
        return None
    copy_all: Copier = cls if item is _same else deeply(item)

    def copy(value: Any) -> Any:
        if value.__class__ is not cls:
            raise _NotAsDeclared
        return copy_all(value)

    return copy
