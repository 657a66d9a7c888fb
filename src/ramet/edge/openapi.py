"""The OpenAPI 3.1 document of an application, from the same types that bind its requests."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, get_args, get_origin, get_type_hints

import msgspec

from ramet.edge import codec, problems
from ramet.edge.problems import RenderProblem
from ramet.model.failure import Failure
from ramet.model.http import SOCKET_METHOD, Binding, Endpoint, Source
from ramet.model.replies import Reply, ServerEvent
from ramet.model.shapes import pydantic_fields

REF = "#/components/schemas/{name}"
_PROBLEM = "Problem"
_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": _PROBLEM,
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"in": {"type": "string"}, "name": {"type": "string"}, "message": {"type": "string"}},
                "required": ["in", "name", "message"],
            },
        },
    },
    "required": ["type", "title", "status"],
}
_FILE: dict[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}
_SHARED = {
    "400": "malformed",
    "413": "the body is too large",
    "415": "the body is of another media type",
    "422": "something does not fit",
}


class Described(NamedTuple):
    """An endpoint at its full path."""

    path: str
    endpoint: Endpoint


class Documented(Protocol):
    """What the document needs of a Module."""

    @property
    def endpoints(self) -> Sequence[Endpoint]: ...


def described(modules: Iterable[Documented], prefix: str) -> list[Described]:
    """Their endpoints, WebSockets left out. prefix: before the paths of all. Mounted applications have documents of their own."""
    return [
        Described(prefix + endpoint.path, endpoint)
        for module in modules
        for endpoint in module.endpoints
        if endpoint.method != SOCKET_METHOD
    ]


class _Schemas:
    """Schemas of all types at once, so that equal names of different types are told apart."""

    def __init__(self, annotations: Sequence[Any]) -> None:
        unique: dict[int, Any] = {}
        for annotation in annotations:
            unique.setdefault(id(annotation), annotation)
        self._defs: dict[str, Any] = {}
        made, components = msgspec.json.schema_components(list(unique.values()), schema_hook=self._foreign, ref_template=REF)
        self._by_id = dict(zip(unique, made, strict=True))
        self.components: dict[str, Any] = {**components, **self._defs}

    def of(self, annotation: Any) -> dict[str, Any]:
        return self._by_id[id(annotation)]

    def _foreign(self, cls: type) -> dict[str, Any]:
        if pydantic_fields(cls) is None:
            return {}
        model: Any = cls
        schema: dict[str, Any] = model.model_json_schema(ref_template=REF.replace("{name}", "{model}"))
        self._defs.update(schema.pop("$defs", {}))
        self._defs[cls.__name__] = schema
        return {"$ref": REF.format(name=cls.__name__)}


def openapi(described: Sequence[Described], *, title: str, version: str, render: RenderProblem) -> dict[str, Any]:
    rendered = _rendered_type(render)
    schemas = _Schemas(
        [each for _, endpoint in described for each in _annotations(endpoint)] + ([] if rendered is None else [rendered])
    )
    paths: dict[str, dict[str, Any]] = {}
    failures: dict[str, Any] = {}
    for path, endpoint in described:
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, schemas, failures, rendered)
    components = {**schemas.components, **failures}
    if rendered is None:
        components[_PROBLEM] = _PROBLEM_SCHEMA
    document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version or "0"},
        "paths": paths,
        "components": {"schemas": components},
        "tags": [{"name": name} for name in sorted({tag for _, endpoint in described for tag in _tags(endpoint)})],
    }
    return codec.decode_any(codec.encode(document))  # defaults are values of Python's


def _annotations(endpoint: Endpoint) -> list[Any]:
    found = [binding.annotation for binding in endpoint.bindings if binding.shape is not None]
    result = _body_type(endpoint.result)
    if _is_described(result):
        found.append(result)
    return [*found, *(cls.payload_type for cls in endpoint.failures)]


def _body_type(result: Any) -> Any:
    """Of a Reply[T] or ServerEvent[T], the T."""
    return get_args(result)[0] if get_origin(result) in {Reply, ServerEvent} else result


def _is_described(result: Any) -> bool:
    """Not nothing, and not one of Starlette's responses, whose content only their author knows."""
    return result not in {None, type(None), Reply, inspect.Signature.empty} and not (
        isinstance(result, type) and result.__module__.startswith("starlette.")
    )


def _tags(endpoint: Endpoint) -> list[str]:
    return list(endpoint.tags) or [endpoint.module]


def _operation(endpoint: Endpoint, schemas: _Schemas, failures: dict[str, Any], rendered: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": f"{endpoint.module}.{endpoint.name}", "tags": _tags(endpoint)}
    if endpoint.summary:
        made["summary"] = endpoint.summary
    if endpoint.description:
        made["description"] = endpoint.description
    if parameters := [each for binding in endpoint.bindings for each in _parameters(binding, schemas)]:
        made["parameters"] = parameters
    if body := _request_body(endpoint, schemas):
        made["requestBody"] = body
    made["responses"] = _responses(endpoint, schemas, failures, rendered)
    return made


def _parameters(binding: Binding, schemas: _Schemas) -> list[dict[str, Any]]:
    if binding.source not in {Source.PATH, Source.QUERY, Source.HEADER, Source.COOKIE}:
        return []
    if binding.fields is not None:
        held = _resolved(schemas.of(binding.annotation), schemas)
        required = held.get("required", [])
        return [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in held["properties"].items()
        ]
    schema = schemas.of(binding.annotation)
    if not binding.is_required and isinstance(binding.default, str | int | float | bool):
        schema = {**schema, "default": binding.default}
    made: dict[str, Any] = {"name": binding.wire_name, "in": str(binding.source), "schema": schema}
    made["required"] = binding.source is Source.PATH or binding.is_required
    if binding.description:
        made["description"] = binding.description
    return [made]


def _resolved(schema: dict[str, Any], schemas: _Schemas) -> dict[str, Any]:
    return schemas.components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _request_body(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any] | None:
    bodies = endpoint.from_source(Source.BODY)
    fields = endpoint.from_source(Source.FORM, Source.FILE)
    if fields:
        kinds = (
            ["multipart/form-data"]
            if endpoint.from_source(Source.FILE)
            else ["application/x-www-form-urlencoded", "multipart/form-data"]
        )
        schema = _object(fields, schemas)
        return {"required": any(each.is_required for each in fields), "content": {kind: {"schema": schema} for kind in kinds}}
    if not bodies:
        return None
    if len(bodies) == 1 and not bodies[0].embed:
        is_raw = (bodies[0].shape or {}).get("kind") == "bytes"
        content: dict[str, Any] = (
            {"application/octet-stream": {}} if is_raw else {"application/json": {"schema": schemas.of(bodies[0].annotation)}}
        )
        return {"required": bodies[0].is_required and not is_raw, "content": content}
    content = {"application/json": {"schema": _object(bodies, schemas)}}
    return {"required": any(each.is_required for each in bodies), "content": content}


def _object(bindings: Sequence[Binding], schemas: _Schemas) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for binding in bindings:
        if binding.source is Source.FORM and binding.fields is not None:
            held = _resolved(schemas.of(binding.annotation), schemas)
            properties |= held["properties"]
            required += held.get("required", [])
            continue
        one = _FILE if binding.source is Source.FILE else schemas.of(binding.annotation)
        properties[binding.wire_name] = (
            {"type": "array", "items": one} if binding.source is Source.FILE and binding.is_many else one
        )
        required += [binding.wire_name] if binding.is_required else []
    return {"type": "object", "properties": properties, "required": required}


def _responses(endpoint: Endpoint, schemas: _Schemas, failures: dict[str, Any], rendered: Any) -> dict[str, Any]:
    made: dict[str, Any] = {str(_status(endpoint)): _success(endpoint, schemas)}
    if get_origin(endpoint.result) is Reply:
        made["2XX"] = _success(endpoint, schemas)  # a Reply may have another status than the declared one
    by_status: dict[str, list[type[Failure]]] = {}
    for cls in endpoint.failures:
        by_status.setdefault(str(cls.status), []).append(cls)
    for status, classes in by_status.items():
        if rendered is None:
            for cls in classes:
                failures.setdefault(cls.__name__, _failure_schema(cls, schemas))
        shown = [{"$ref": REF.format(name=cls.__name__)} for cls in classes]
        made[status] = _failed(
            "; ".join(cls.title() for cls in classes), shown[0] if len(shown) == 1 else {"anyOf": shown}, schemas, rendered
        )
    problem = {"$ref": REF.format(name=_PROBLEM)}
    for status, meaning in _shared(endpoint).items():
        if status in made and rendered is None:
            given = made[status]["content"][problems.MEDIA_TYPE]["schema"]
            shown = [*given.get("anyOf", [given]), problem]
            made[status] = _failed(f"{made[status]['description']}; {meaning}", {"anyOf": shown}, schemas, rendered)
        else:
            made.setdefault(status, _failed(meaning, problem, schemas, rendered))
    made["default"] = _failed("anything else", problem, schemas, rendered)
    return made


def _shared(endpoint: Endpoint) -> dict[str, str]:
    """What binding itself may answer."""
    has_body = bool(endpoint.from_source(Source.BODY, Source.FORM, Source.FILE))
    can_misfit = has_body or any(binding.source not in {Source.REQUEST} for binding in endpoint.bindings)
    has_query = bool(endpoint.from_source(Source.QUERY))
    wanted = {"400": has_body or has_query, "413": has_body, "415": has_body, "422": can_misfit}
    return {status: meaning for status, meaning in _SHARED.items() if wanted[status]}


def _status(endpoint: Endpoint) -> int:
    return 204 if endpoint.status == 200 and endpoint.result in {None, type(None)} and not endpoint.streams else endpoint.status


def _success(endpoint: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {"description": "success"}
    result = _body_type(endpoint.result)
    if endpoint.streams:
        item = {"schema": {"type": "string"}}
        made["description"] = "a stream of items, each as JSON in an event or a line"
        made["content"] = {"text/event-stream": item, "application/x-ndjson": item}
    elif _is_described(result):
        made["content"] = {"application/json": {"schema": schemas.of(result)}}
    return made


def _failed(description: str, schema: dict[str, Any], schemas: _Schemas, rendered: Any) -> dict[str, Any]:
    if rendered is not None:
        return {"description": description, "content": {"application/json": {"schema": schemas.of(rendered)}}}
    return {"description": description, "content": {problems.MEDIA_TYPE: {"schema": schema}}}


def _failure_schema(cls: type[Failure], schemas: _Schemas) -> dict[str, Any]:
    held = _resolved(schemas.of(cls.payload_type), schemas)
    own = {problems.member(name): schema for name, schema in held.get("properties", {}).items()}
    return {
        "title": cls.__name__,
        "description": cls.title(),
        "allOf": [
            {"$ref": REF.format(name=_PROBLEM)},
            {"type": "object", "properties": {**own, "type": {"const": problems.type_of(cls)}, "status": {"const": cls.status}}},
        ],
    }


def _rendered_type(render: RenderProblem) -> Any:
    """The T of the hook's `-> Reply[T]`; None for the default, which every failure has a schema of its own under."""
    if render is problems.render:
        return None
    result = get_type_hints(render).get("return", Reply)
    return get_args(result)[0] if get_origin(result) is Reply else Any
