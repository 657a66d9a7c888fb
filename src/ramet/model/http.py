"""HTTP endpoints as data: which method and path lead to which function, and where each of its parameters comes from.

Everything is decided at import, from types alone, so that a declaration that cannot work fails where it is written. An endpoint
is a call of its module, unless a parameter or the result is one of Starlette's types: those cannot cross the wire, so the
function is no call then, and runs where its module runs.

Pure and light: nothing of the server, of Starlette or of the event loop is imported here.
"""

import enum
import inspect
import re
import types
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from ramet.errors import DeclarationError
from ramet.model import shapes
from ramet.model.contract import REQUIRED, CallContract, where_of
from ramet.model.failure import Failure
from ramet.model.parameters import Body, Cookie, Form, Header, Marker, Query
from ramet.model.shapes import Shape

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
SOCKET_METHOD = "WEBSOCKET"
"""In place of a method, for an endpoint that takes WebSockets."""

_PATH = r"(/([A-Za-z0-9_.~!$&'()*+,;=:@%-]|\{[A-Za-z_]\w*\})*)+"
_WHOLE_SEGMENT = r"\{\w+\}|[^{}]*"


class Source(enum.StrEnum):
    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"
    FORM = "form"
    FILE = "file"
    REQUEST = "request"
    SOCKET = "socket"


_STARLETTE = {
    "starlette.requests.Request": Source.REQUEST,
    "starlette.websockets.WebSocket": Source.SOCKET,
    "starlette.datastructures.UploadFile": Source.FILE,
}
_STARLETTE_RESPONSE = "starlette.responses.Response"


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter and where it comes from. shape: None for Starlette's types."""

    name: str
    source: Source
    wire_name: str
    annotation: Any
    shape: Shape | None
    default: Any = REQUIRED
    keyword_only: bool = False
    embed: bool = False
    description: str = ""

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED

    @property
    def is_many(self) -> bool:
        """Whether it may be given several times, as a list does."""
        return is_array(self.shape) if self.shape else get_origin(self.annotation) is not None

    @property
    def fields(self) -> list[dict[str, Any]] | None:
        """Of a Struct whose fields are parameters of their own; None for a single value."""
        return self.shape["fields"] if self.shape and self.shape["kind"] == "struct" else None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """path: `/articles/{slug}`; each name in braces is a parameter. status: of a success, 200 to 299.

    function: None where it is a call; the author's own where Starlette's types are involved. result: of one item where
    `streams`. max_body_bytes: None for the instance's limit.
    """

    method: str
    path: str
    module: str
    name: str
    bindings: tuple[Binding, ...]
    result: Any
    streams: bool = False
    status: int = 200
    failures: tuple[type[Failure], ...] = ()
    deadline_s: float = 5.0
    function: Callable[..., Any] | None = None
    tags: tuple[str, ...] = ()
    summary: str = ""
    description: str = ""
    max_body_bytes: int | None = None
    where: str = ""

    def from_source(self, *sources: Source) -> list[Binding]:
        return [binding for binding in self.bindings if binding.source in sources]


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A whole ASGI or WSGI application below a prefix. prefix: `/legacy`, or empty for everything that nothing else takes.

    deadline_s: until the response begins. None: the instance's limits.
    """

    module: str
    prefix: str
    app: Any
    is_wsgi: bool
    deadline_s: float | None = None
    max_body_bytes: int | None = None
    where: str = ""


class HttpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the verbs take beside what a call takes."""

    status: int = 200
    tags: Sequence[str] = ()
    summary: str | None = None
    max_body_bytes: int | None = None


def endpoint_of_call(
    method: str, path: str, contract: CallContract, function: Callable[..., Any], options: HttpOptions
) -> Endpoint:
    """Raises DeclarationError."""
    subject = contract.qualified
    names = _path_names(subject, path, contract.where)
    bindings = tuple(
        _binding(subject, p.name, p.annotation, p.shape, p.default, p.keyword_only, method, names, contract.where)
        for p in contract.parameters
    )
    _check(subject, method, names, bindings, options, contract.where)
    return Endpoint(
        method=method,
        path=path,
        module=contract.module,
        name=contract.name,
        bindings=bindings,
        result=contract.result,
        streams=contract.streams,
        failures=contract.failures,
        deadline_s=contract.deadline_s,
        where=contract.where,
        **_described(function, options),
    )


def endpoint_of_function(
    method: str,
    path: str,
    module: str,
    function: Callable[..., Any],
    options: HttpOptions,
    *,
    raises: Sequence[type[Failure]] = (),
    deadline_s: float = 5.0,
) -> Endpoint:
    """An endpoint that is no call, because `needs_request(function)`. Raises DeclarationError."""
    subject = f"{module}.{function.__name__}"
    where = where_of(function)
    names = _path_names(subject, path, where)
    hints = _hints(subject, function, where)
    bindings: list[Binding] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints or parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise DeclarationError(
                f"{subject}: parameter `{parameter}` has no type", where=where, hint=f"annotate it: `{name}: str`"
            )
        shape = None if starlette_source(hints[name]) else _shape(subject, name, hints[name], where)
        only = parameter.kind is parameter.KEYWORD_ONLY
        bindings.append(_binding(subject, name, hints[name], shape, parameter.default, only, method, names, where))
    _check(subject, method, names, tuple(bindings), options, where)
    result = hints.get("return")
    streams = get_origin(result) is AsyncIterator or inspect.isasyncgenfunction(function)
    return Endpoint(
        method=method,
        path=path,
        module=module,
        name=function.__name__,
        bindings=tuple(bindings),
        result=(*get_args(result), Any)[0] if streams else result,
        streams=streams,
        failures=tuple(raises),
        deadline_s=deadline_s,
        function=function,
        where=where,
        **_described(function, options),
    )


def mount_of(
    module: str,
    app: Any,
    prefix: str,
    *,
    wsgi: bool | None = None,
    deadline_s: float | None = None,
    max_body_bytes: int | None = None,
    where: str = "",
) -> Mount:
    """wsgi: None to see it from the application: what is not a coroutine function is WSGI. Raises DeclarationError."""
    prefix = prefix.rstrip("/")
    if prefix and (not re.fullmatch(_PATH, prefix) or "{" in prefix):
        raise DeclarationError(f"{module}: {prefix!r} is not a prefix of paths", hint='write it as "/legacy"')
    if not callable(app):
        raise DeclarationError(f"{module}: {app!r} is no application", hint="mount the ASGI or WSGI object itself")
    is_wsgi = not _is_coroutine_function(app) if wsgi is None else wsgi
    return Mount(
        module=module,
        prefix=prefix,
        app=app,
        is_wsgi=is_wsgi,
        deadline_s=deadline_s,
        max_body_bytes=max_body_bytes,
        where=where,
    )


def needs_request(function: Callable[..., Any]) -> bool:
    """Whether a parameter or the result is one of Starlette's types."""
    return any(
        starlette_source(hint) or _is_response(hint) for hint in _hints(function.__name__, function, where_of(function)).values()
    )


def starlette_source(annotation: Any) -> Source | None:
    """For one of Starlette's types, `| None` and a list of them included."""
    if get_origin(annotation) in {Annotated, list, Union, types.UnionType}:
        return next((found for each in get_args(annotation) if (found := starlette_source(each))), None)
    return next((_STARLETTE[name] for name in _ancestry(annotation) if name in _STARLETTE), None)


def is_scalar(shape: Shape) -> bool:
    if shape["kind"] == "union":
        return all(member["kind"] == "none" or is_scalar(member) for member in shape["of"])
    return shape["kind"] in shapes.SCALARS


def is_array(shape: Shape) -> bool:
    """A list of scalars, `| None` included."""
    if shape["kind"] == "union":
        members = [member for member in shape["of"] if member["kind"] != "none"]
        return len(members) == 1 and is_array(members[0])
    return shape["kind"] == "array" and is_scalar(shape["item"])


def _binding(
    subject: str,
    name: str,
    annotation: Any,
    shape: Shape | None,
    default: Any,
    keyword_only: bool,
    method: str,
    path_names: Sequence[str],
    where: str,
) -> Binding:
    marker = _marker(subject, name, annotation, where)
    source = starlette_source(annotation) or _source(marker, name, shape, path_names)
    wire_name = getattr(marker, "name", "") or (name.replace("_", "-") if source is Source.HEADER else name)
    made = Binding(
        name=name,
        source=source,
        wire_name=wire_name.lower() if source is Source.HEADER else wire_name,
        annotation=annotation,
        shape=shape,
        default=default,
        keyword_only=keyword_only,
        embed=isinstance(marker, Body) and marker.embed,
        description=marker.description if marker else "",
    )
    if shape is not None and (problem := _misfit(made, shape, method)):
        raise DeclarationError(f"{subject}: parameter `{name}` {problem[0]}", where=where, hint=problem[1])
    return made


def _source(marker: Marker | None, name: str, shape: Shape | None, path_names: Sequence[str]) -> Source:
    match marker:
        case _ if name in path_names:
            return Source.PATH
        case Header():
            return Source.HEADER
        case Cookie():
            return Source.COOKIE
        case Query():
            return Source.QUERY
        case Form():
            return Source.FORM
        case Body():
            return Source.BODY
        case _:
            return Source.QUERY if shape and (is_scalar(shape) or is_array(shape)) else Source.BODY


def _misfit(binding: Binding, shape: Shape, method: str) -> tuple[str, str] | None:
    """What is wrong with a parameter at its source, and what to write instead."""
    one, several = is_scalar(shape), is_array(shape)
    grouped = shape["kind"] == "struct" and all(is_scalar(field["type"]) or is_array(field["type"]) for field in shape["fields"])
    written = shapes.signature_of(shape)
    match binding.source:
        case Source.BODY if method not in WITH_BODY:
            return (
                f"of type {written} would be a body, which {method} has not",
                "mark it Annotated[..., Query()], or use POST, PUT or PATCH",
            )
        case Source.PATH | Source.HEADER | Source.COOKIE if not one:
            return f"is {written}, but a {binding.source} holds one value", "make it a str, int, UUID, date or Enum"
        case Source.QUERY | Source.FORM if not (one or several or grouped):
            return (
                f"is {written}, which a {binding.source} cannot hold",
                "make it a scalar, a list of scalars or a Struct of those",
            )
        case _:
            return None


def _marker(subject: str, name: str, annotation: Any, where: str) -> Marker | None:
    if get_origin(annotation) is Annotated:
        found = [each for each in get_args(annotation)[1:] if isinstance(each, Marker)]
        if len(found) > 1:
            raise DeclarationError(
                f"{subject}: parameter `{name}` has {len(found)} sources", where=where, hint="leave one of the markers"
            )
        return found[0] if found else None
    if get_origin(annotation) in {Union, types.UnionType}:
        for each in get_args(annotation):
            if _marker(subject, name, each, where):
                written = type(_marker(subject, name, each, where)).__name__
                raise DeclarationError(
                    f"{subject}: the marker of `{name}` stands inside of a union",
                    where=where,
                    hint=f"Annotated[... | None, {written}(...)]",
                )
    return None


def _check(
    subject: str,
    method: str,
    path_names: Sequence[str],
    bindings: tuple[Binding, ...],
    options: HttpOptions,
    where: str,
) -> None:
    names = {binding.name for binding in bindings}
    sources = [binding.source for binding in bindings]
    problem: tuple[str, str] | None = None
    if unknown := [name for name in path_names if name not in names]:
        problem = (
            f"the path names {{{unknown[0]}}}, which is not a parameter",
            f"add the parameter `{unknown[0]}`, or correct the path",
        )
    elif not 200 <= options.status <= 299:
        problem = (
            f"status={options.status} is not a success",
            "a failure has its own status: class X(Failure, status=404)",
        )
    elif Source.BODY in sources and (Source.FORM in sources or Source.FILE in sources):
        problem = "a JSON body and a form cannot both be the body", "mark the other parameters Annotated[..., Form()]"
    elif (Source.FORM in sources or Source.FILE in sources) and method not in WITH_BODY:
        problem = f"{method} has no form", "use POST, PUT or PATCH"
    elif sources.count(Source.SOCKET) != (method == SOCKET_METHOD):
        problem = "a WebSocket is taken by @module.websocket, which takes exactly one", "def chat(socket: WebSocket)"
    elif Source.REQUEST in sources and method == SOCKET_METHOD:
        problem = "a WebSocket endpoint has no Request", "what it holds is also in the WebSocket"
    if problem:
        raise DeclarationError(f"{subject}: {problem[0]}", where=where, hint=problem[1])


def _path_names(subject: str, path: str, where: str) -> list[str]:
    if not re.fullmatch(_PATH, path) or not all(re.fullmatch(_WHOLE_SEGMENT, segment) for segment in path.split("/")):
        raise DeclarationError(f"{subject}: {path!r} is not a path", where=where, hint='write it as "/articles/{slug}"')
    names = re.findall(r"\{(\w+)\}", path)
    if len(set(names)) < len(names):
        raise DeclarationError(f"{subject}: the path names a parameter twice: {path}", where=where)
    return names


def _described(function: Callable[..., Any], options: HttpOptions) -> dict[str, Any]:
    first, _, rest = (inspect.getdoc(function) or "").partition("\n")
    return {
        "status": options.status,
        "tags": tuple(options.tags),
        "summary": first.rstrip(".") if options.summary is None else options.summary,
        "description": rest.strip(),
        "max_body_bytes": options.max_body_bytes,
    }


def _hints(subject: str, function: Callable[..., Any], where: str) -> Mapping[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        hint = "define or import that type above the endpoint; signatures are resolved at import"
        raise DeclarationError(f"{subject}: {error}", where=where, hint=hint) from None


def _shape(subject: str, name: str, annotation: Any, where: str) -> Shape:
    try:
        return shapes.describe(annotation)
    except shapes.NoShape as error:
        raise DeclarationError(f"{subject}: parameter `{name}`: {error}", where=where, hint=error.way_out) from None


def _ancestry(annotation: Any) -> list[str]:
    return [f"{cls.__module__}.{cls.__qualname__}" for cls in annotation.__mro__] if isinstance(annotation, type) else []


def _is_response(annotation: Any) -> bool:
    return _STARLETTE_RESPONSE in _ancestry(annotation)


def _is_coroutine_function(app: Any) -> bool:
    while hasattr(app, "func"):  # functools.partial
        app = app.func
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004
