"""The face of each module as data: what it offers, owns and uses, in the words in which a reader gets it.

The Markdown and the picture of the module map are two views of this, so they cannot disagree.
"""

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.kit.durations import format_duration
from ramet.model.contract import CallContract, Parameter
from ramet.model.failure import Failure
from ramet.model.http import SOCKET_METHOD
from ramet.model.shapes import Shape, describe, parts_of, signature_of
from ramet.model.topology import Topology
from ramet.module import Module

LONGEST_DEFAULT = 30
"""Characters of a parameter's default that are shown; a longer one is `...`."""


@dataclass(frozen=True, slots=True)
class CallFace:
    """signature: with its types by their names. failures: names of classes. says: the docstring's first line."""

    name: str
    signature: str
    options: tuple[str, ...]
    failures: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True)
class EndpointFace:
    """path: with the application's prefix. call: name of the function behind it. status: of a success; None for a WebSocket."""

    method: str
    path: str
    call: str
    status: int | None
    failures: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True)
class FailureFace:
    """fields: as those of a type."""

    name: str
    status: int
    fields: tuple[tuple[str, str], ...]
    title: str


@dataclass(frozen=True, slots=True)
class TypeFace:
    """fields: name, with `?` where it may be left out, and type."""

    name: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DataFace:
    """key: name of the value that rows are divided by, None without. migrations: id and message of each, oldest first."""

    schema: str
    key: str | None
    migrations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModuleFace:
    """says: what the module is for. service: None where no topology was asked for. mounts: prefixes of whole applications."""

    name: str
    says: str
    service: str | None
    uses: tuple[str, ...]
    used_by: tuple[str, ...]
    calls: tuple[CallFace, ...]
    endpoints: tuple[EndpointFace, ...]
    mounts: tuple[str, ...]
    failures: tuple[FailureFace, ...]
    types: tuple[TypeFace, ...]
    data: DataFace | None


def faces_of(
    modules: Mapping[str, Module],
    *,
    purposes: Mapping[str, str],
    migrations: Mapping[str, Sequence[str]],
    topology: Topology | None = None,
    prefix: str = "",
) -> list[ModuleFace]:
    """In the order of `modules`. purposes: name -> docstring of its package. prefix: before the paths of all endpoints."""
    return [
        ModuleFace(
            name=name,
            says=_first_paragraph(purposes.get(name, "")),
            service=topology.service_of(name).name if topology else None,
            uses=tuple(sorted(module.uses)),
            used_by=tuple(sorted(other.name for other in modules.values() if name in other.uses)),
            calls=tuple(_call(call.contract, call.function) for call in module.calls.values()),
            endpoints=tuple(_endpoints(module, prefix)),
            mounts=tuple(f"{prefix}{mount.prefix}" or "/" for mount in module.mounts),
            failures=tuple(_failures(module)),
            types=tuple(_types_of(module)),
            data=DataFace(name, module.db.key, tuple(migrations.get(name, ()))) if module.db else None,
        )
        for name, module in modules.items()
    ]


def _call(contract: CallContract, function: Any) -> CallFace:
    result = signature_of(contract.result_shape, within=())
    parameters = [_parameter(each) for each in contract.parameters]
    options = [
        *(["idempotent"] if contract.idempotent else []),
        *(["once"] if contract.once else []),
        f"deadline {format_duration(contract.deadline_s)}",
        *([f"hedged after {format_duration(contract.hedge_after_s)}"] if contract.hedge_after_s else []),
    ]
    return CallFace(
        name=contract.name,
        signature=f"{contract.name}({', '.join(parameters)}) -> {f'AsyncIterator[{result}]' if contract.streams else result}",
        options=tuple(options),
        failures=_names(contract.failures),
        says=_first_line(inspect.getdoc(function)),
    )


def _parameter(parameter: Parameter) -> str:
    text = f"{parameter.name}: {signature_of(parameter.shape, within=())}"
    if parameter.is_required:
        return text
    default = repr(parameter.default)
    # A set is in another order each time, and the map is the same each time.
    is_shown = len(default) <= LONGEST_DEFAULT and not isinstance(parameter.default, (set, frozenset))
    return f"{text} = {default if is_shown else '...'}"


def _endpoints(module: Module, prefix: str) -> Iterator[EndpointFace]:
    for each in module.endpoints:
        yield EndpointFace(
            method=each.method,
            path=f"{prefix}{each.path}",
            call=each.name,
            status=None if each.method == SOCKET_METHOD else each.status,
            failures=_names(each.failures),
            says=each.summary,
        )


def _failures(module: Module) -> Iterator[FailureFace]:
    """All that its calls and endpoints raise, by name. Those of other modules among them: a client meets them here."""
    raised = {cls for call in module.calls.values() for cls in call.contract.failures}
    raised |= {cls for endpoint in module.endpoints for cls in endpoint.failures}
    for cls in sorted(raised, key=lambda cls: (cls.__name__, cls.__module__)):
        fields = _fields(describe(cls.payload_type), (cls.__name__,))
        yield FailureFace(cls.__name__, cls.status, fields, cls.title())


def _types_of(module: Module) -> list[TypeFace]:
    """Those with fields that its calls take and return, by name."""
    contracts = [call.contract for call in module.calls.values()]
    shapes = [shape for each in contracts for shape in (*(p.shape for p in each.parameters), each.result_shape)]
    found = {face for shape in shapes for face in _types_in(shape, ())}
    return sorted(found, key=lambda face: (face.name, face.fields))


def _types_in(shape: Shape, above: tuple[str, ...]) -> Iterator[TypeFace]:
    if shape.get("fields"):
        above = (*above, shape["name"])
        yield TypeFace(shape["name"], _fields(shape, above))
    for part in parts_of(shape):
        yield from _types_in(part, above)


def _fields(shape: Shape, above: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Of a struct. above: the names of the structs that it stands in, and its own."""
    return tuple(
        (f"{field['name']}{'' if field['required'] else '?'}", signature_of(field["type"], within=above))
        for field in shape["fields"]
    )


def _names(failures: Collection[type[Failure]]) -> tuple[str, ...]:
    return tuple(cls.__name__ for cls in failures)


def _first_line(text: str | None) -> str:
    return next(iter((text or "").strip().splitlines()), "")


def _first_paragraph(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split())


def services_of(faces: Iterable[ModuleFace]) -> dict[str, list[ModuleFace]]:
    """Service -> its modules, in their order; empty where no topology was asked for."""
    services: dict[str, list[ModuleFace]] = {}
    for face in faces:
        if face.service is not None:
            services.setdefault(face.service, []).append(face)
    return services
