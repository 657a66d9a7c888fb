"""Generated types with values of them, and pairs of types that differ. The ground of the wire's and the model's properties.

A `Spec` says what a type is made of; `annotation_of` makes the type, `values_of` its values, `grown` adds to it what old readers
may ignore, `changed` changes anything.
"""

import collections
import dataclasses
import datetime
import decimal
import enum
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NotRequired, TypedDict

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ramet.model import shapes
from ramet.model.contract import REQUIRED, CallContract, Parameter

quick = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


_ints = st.integers(-(2**63), 2**64 - 1)
_texts = st.text(st.characters(codec="utf-8"), max_size=5)
_datetimes = st.datetimes(
    min_value=datetime.datetime(1900, 1, 1),  # noqa: DTZ001  (hypothesis wants it naive)
    max_value=datetime.datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30))]),
)
SCALARS: dict[str, tuple[Any, st.SearchStrategy[Any], Any]] = {
    "int": (int, _ints, 0),
    "float": (float, st.floats(allow_nan=False), 0.0),
    "str": (str, _texts, ""),
    "bool": (bool, st.booleans(), False),
    "bytes": (bytes, st.binary(max_size=5), b""),
    "none": (None, st.none(), None),
    "uuid": (uuid.UUID, st.uuids(), uuid.UUID(int=0)),
    "decimal": (decimal.Decimal, st.decimals(allow_nan=False), decimal.Decimal(0)),
    "datetime": (datetime.datetime, _datetimes, datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)),
    "date": (datetime.date, st.dates(), datetime.date(2000, 1, 1)),
    "time": (datetime.time, st.times(), datetime.time(0)),
    "timedelta": (datetime.timedelta, st.timedeltas(), datetime.timedelta(0)),
    "color": (Color, st.sampled_from(Color), Color.RED),
    "level": (Level, st.sampled_from(Level), Level.LOW),
    "literal": (Literal["red", "green"], st.sampled_from(["red", "green"]), "red"),
    "number": (Literal[1, 2, 3], st.sampled_from([1, 2, 3]), 1),
}
KEYS = ("str", "int", "uuid", "date", "color")
_COMPARABLE = ("int", "str", "uuid", "date", "bytes")
STRUCTS = ("struct", "frozen", "omitting", "closed", "array_like", "dataclass", "frozen_dataclass", "typed_dict", "named_tuple")
POSITIONAL = ("array_like", "named_tuple")
NAMES = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Spec:
    """kind: a scalar's name, `list`, `set`, `map`, `tuple`, `optional`, or one of STRUCTS. key: a map's key."""

    kind: str
    parts: tuple["Spec", ...] = ()
    fields: tuple["Field", ...] = ()
    key: str = "str"


@dataclass(frozen=True)
class Field:
    name: str
    spec: Spec
    required: bool = True


def specs(structs: tuple[str, ...] = STRUCTS, depth: int = 2) -> st.SearchStrategy[Spec]:
    scalars = st.sampled_from(tuple(SCALARS)).map(Spec)
    if depth == 0:
        return scalars
    inner = specs(structs, depth - 1)
    return st.one_of(
        scalars,
        inner.map(lambda part: Spec("list", (part,))),
        st.sampled_from(_COMPARABLE).map(lambda kind: Spec("set", (Spec(kind),))),
        st.builds(lambda part, key: Spec("map", (part,), key=key), inner, st.sampled_from(KEYS)),
        st.lists(inner, max_size=3).map(lambda parts: Spec("tuple", tuple(parts))),
        inner.filter(lambda part: part.kind not in {"optional", "none"}).map(lambda part: Spec("optional", (part,))),
        st.builds(_struct, st.sampled_from(structs), st.lists(fields(inner), max_size=3, unique_by=lambda field: field.name)),
    )


def fields(inner: st.SearchStrategy[Spec]) -> st.SearchStrategy[Field]:
    return st.builds(Field, st.sampled_from(NAMES), inner, st.booleans())


def _struct(kind: str, members: list[Field]) -> Spec:
    return Spec(kind, fields=tuple(sorted(members, key=lambda field: not field.required)))


def small_structs() -> st.SearchStrategy[Spec]:
    """Structs of few fields of few types, so that a change of one meets another of its kind."""
    few = st.sampled_from([Spec("int"), Spec("str"), Spec("optional", (Spec("int"),)), Spec("list", (Spec("int"),))])
    return st.builds(
        _struct, st.sampled_from(STRUCTS), st.lists(fields(few), min_size=1, max_size=2, unique_by=lambda field: field.name)
    )


def annotation_of(spec: Spec) -> Any:
    return _annotation(spec, "Made")


@cache
def _annotation(spec: Spec, name: str) -> Any:
    parts = [_annotation(part, name) for part in spec.parts]
    match spec.kind:
        case "list":
            return list[parts[0]]
        case "set":
            return set[parts[0]]
        case "map":
            return dict[SCALARS[spec.key][0], parts[0]]
        case "tuple":
            return tuple[*parts] if parts else tuple[()]
        case "optional":
            return parts[0] | None if not isinstance(parts[0], str) else None
        case kind if kind in STRUCTS:
            return _made(kind, [(f.name, _annotation(f.spec, name), f) for f in spec.fields], name)
        case kind:
            return SCALARS[kind][0]


def _made(kind: str, members: list[tuple[str, Any, Field]], name: str) -> Any:
    match kind:
        case "dataclass" | "frozen_dataclass":
            made = [
                (n, t) if f.required else (n, t, dataclasses.field(default_factory=lambda f=f: default_of(f.spec)))
                for n, t, f in members
            ]
            return dataclasses.make_dataclass(name, made, frozen=kind == "frozen_dataclass")
        case "typed_dict":
            return TypedDict(name, {n: t if f.required else NotRequired[t] for n, t, f in members})
        case "named_tuple":
            defaults = [default_of(f.spec) for _, _, f in members if not f.required]
            cls = collections.namedtuple(name, [n for n, _, _ in members], defaults=defaults)
            cls.__annotations__ = {n: t for n, t, _ in members}
            return cls
        case _:
            made = [
                (n, t) if f.required else (n, t, msgspec.field(default_factory=lambda f=f: default_of(f.spec)))
                for n, t, f in members
            ]
            return msgspec.defstruct(
                name,
                made,
                frozen=kind == "frozen",
                omit_defaults=kind == "omitting",
                forbid_unknown_fields=kind == "closed",
                array_like=kind == "array_like",
            )


def default_of(spec: Spec) -> Any:
    match spec.kind:
        case "list":
            return []
        case "set":
            return set()
        case "map":
            return {}
        case "tuple":
            return tuple(default_of(part) for part in spec.parts)
        case "optional":
            return None
        case "typed_dict":
            return {field.name: default_of(field.spec) for field in spec.fields}
        case kind if kind in STRUCTS:
            return annotation_of(spec)(*(default_of(field.spec) for field in spec.fields))
        case kind:
            return SCALARS[kind][2]


def values_of(spec: Spec) -> st.SearchStrategy[Any]:
    match spec.kind:
        case "list":
            return st.lists(values_of(spec.parts[0]), max_size=3)
        case "set":
            return st.sets(values_of(spec.parts[0]), max_size=3)
        case "map":
            return st.dictionaries(SCALARS[spec.key][1], values_of(spec.parts[0]), max_size=3)
        case "tuple":
            return st.tuples(*(values_of(part) for part in spec.parts))
        case "optional":
            return st.none() | values_of(spec.parts[0])
        case "typed_dict":
            return st.fixed_dictionaries(
                {field.name: values_of(field.spec) for field in spec.fields if field.required},
                optional={field.name: values_of(field.spec) for field in spec.fields if not field.required},
            )
        case kind if kind in STRUCTS:
            cls = annotation_of(spec)
            members = [
                values_of(field.spec) if field.required else st.builds(default_of, st.just(field.spec)) | values_of(field.spec)
                for field in spec.fields
            ]
            return st.tuples(*members).map(lambda items: cls(*items))
        case kind:
            return SCALARS[kind][1]


@st.composite
def typed_values(draw: st.DrawFn, structs: tuple[str, ...] = STRUCTS) -> tuple[Any, Any]:
    """(a type, a value of it)"""
    spec = draw(specs(structs))
    return annotation_of(spec), draw(values_of(spec))


OPEN = tuple(kind for kind in STRUCTS if kind not in {"closed", *POSITIONAL})
"""Kinds to which a field can be added while old readers are about."""


@st.composite
def grown(draw: st.DrawFn, spec: Spec) -> Spec:
    """The spec with optional fields added: old and new read each other."""
    parts = tuple(draw(grown(part)) for part in spec.parts) if spec.kind != "set" else spec.parts
    members = [Field(field.name, draw(grown(field.spec)), field.required) for field in spec.fields]
    if spec.kind in OPEN and draw(st.booleans()):
        free = [name for name in ("new", *NAMES) if name not in {field.name for field in members}]
        members.append(Field(free[0], draw(specs(depth=1)), required=False))
    return dataclasses.replace(spec, parts=parts, fields=tuple(members))


@st.composite
def changed(draw: st.DrawFn, spec: Spec) -> Spec:
    """The spec, changed in any way or in none."""
    actions = ["keep", "inside", "other", "wrap", "mix"] + ["kind", "drop", "add", "require"] * (4 * (spec.kind in STRUCTS))
    action = draw(st.sampled_from(actions))
    if action == "inside":
        parts = tuple(draw(changed(part)) for part in spec.parts) if spec.kind != "set" else spec.parts
        if spec.kind == "optional" and parts[0].kind in {"optional", "none"}:
            parts = spec.parts
        members = [dataclasses.replace(field, spec=draw(changed(field.spec))) for field in spec.fields]
        return dataclasses.replace(spec, parts=parts, fields=tuple(members))
    if action == "wrap" and spec.kind not in {"optional", "none"}:
        return Spec("optional", (spec,))
    if action == "mix":
        return Spec(draw(st.sampled_from(["int", "float", "str", "color", "literal", "level", "number"])))
    if action == "other":
        return draw(specs(depth=1))
    if spec.kind in STRUCTS:
        members = list(spec.fields)
        if action == "kind":
            return _struct(draw(st.sampled_from(STRUCTS)), members)
        if action == "drop" and members:
            members.pop(draw(st.integers(0, len(members) - 1)))
        if action == "add":
            free = [name for name in ("new", *NAMES) if name not in {field.name for field in members}]
            members.append(Field(free[0], draw(specs(depth=1)), draw(st.booleans())))
        if action == "require":
            members = [dataclasses.replace(field, required=draw(st.booleans())) for field in members]
        return _struct(spec.kind, members)
    return spec


def contract(
    parameters: dict[str, Any], result: Any = None, *, defaults: dict[str, Any] | None = None, **options: Any
) -> CallContract:
    """A contract of `orders.place` from annotations."""
    return CallContract(
        module="orders",
        name="place",
        parameters=tuple(
            Parameter(name, annotation, shapes.describe(annotation), (defaults or {}).get(name, REQUIRED))
            for name, annotation in parameters.items()
        ),
        result=result,
        result_shape=shapes.describe(result),
        **options,
    )
