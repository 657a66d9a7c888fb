"""From a request to the arguments of a function: one function per endpoint, written once when the instance starts.

The text of it takes each argument by the shortest way its source and type allow, and stops at the first misfit. Then, and only
then, `findings` looks at every parameter again, so that a refusal names all that is wrong.

    400  the query is not UTF-8; the body is not JSON        415  the body is of another media type
    422  parameters are missing or do not fit, each named with the reason
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import msgspec
from starlette.datastructures import UploadFile

from ramet.edge import codec, problems
from ramet.edge.problems import Finding, Problem, Refused
from ramet.model.http import Binding, Endpoint, Source, is_array

NOTHING: dict[str, Any] = {}
JSON = b"application/json"


class Arrived(NamedTuple):
    """What a request brought. values: texts of the path's parameters. headers: the last of each name. body: as it came, or of
    a form its fields as text or UploadFile, a list where there are several."""

    values: tuple[str, ...]
    query: bytes
    headers: dict[bytes, bytes]
    body: Any


Bind = Callable[[tuple[str, ...], bytes, dict[bytes, bytes], Any, Any], tuple[Any, ...]]
"""Takes the fields of Arrived, and the Request or WebSocket if there is one; returns the arguments in the parameters' order.
Raises Refused."""


class Binder:
    """How one endpoint's arguments are found. `bind` is the function to call."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._path_names = [segment[1:-1] for segment in endpoint.path.split("/") if segment.startswith("{")]
        self._bodies = endpoint.from_source(Source.BODY)
        self.takes_json = bool(self._bodies) and not self.takes_raw
        self.takes_form = bool(endpoint.from_source(Source.FORM, Source.FILE))
        self.wants_request = bool(endpoint.from_source(Source.REQUEST, Source.SOCKET))
        self.body_type = self._body_type()
        self._is_object = len(self._bodies) > 1 or any(binding.embed for binding in self._bodies)
        self._many = frozenset(_many_names(endpoint.from_source(Source.QUERY)))
        self._form_many = frozenset(_many_names(endpoint.from_source(Source.FORM, Source.FILE)))
        self.bind: Bind = self._generate()

    @property
    def takes_raw(self) -> bool:
        return len(self._bodies) == 1 and not self._bodies[0].embed and (self._bodies[0].shape or {}).get("kind") == "bytes"

    @property
    def may_lack_body(self) -> bool:
        return all(not binding.is_required for binding in self._bodies)

    def _body_type(self) -> Any:
        """The type of the whole body: of the one parameter, or an object with each parameter as a field."""
        if len(self._bodies) == 1 and not self._bodies[0].embed:
            return self._bodies[0].annotation
        fields = [
            (b.wire_name, b.annotation, *(() if b.is_required else (msgspec.field(default_factory=_always(b.default)),)))
            for b in self._bodies
        ]
        fields.sort(key=len)  # msgspec wants those without a default first; by name it makes no difference
        return msgspec.defstruct(f"{self._endpoint.name}_body", fields) if fields else None

    def form_fields(self, form: Any) -> dict[str, Any]:
        """A Starlette FormData as `Arrived.body`."""
        return {name: form.getlist(name) if name in self._form_many else form.get(name) for name in form}

    # The short way

    def _generate(self) -> Bind:
        names: dict[str, Any] = {
            "explain": self._explain,
            "nothing": NOTHING,
            "parse_query": codec.parse_query,
            "many": self._many,
            "parse_cookies": codec.parse_cookies,
        }
        lines = ["def bind(values, query_string, headers, body, wrapped):", "    try:"]
        if self._endpoint.from_source(Source.QUERY):
            lines.append("        query = parse_query(query_string, many) if query_string else nothing")
        if self._endpoint.from_source(Source.COOKIE):
            lines.append("        cookies = parse_cookies(headers.get(b'cookie', b''))")
        if self._bodies and not self.takes_raw:
            names["decode"] = codec.json_decoder(self.body_type)
            if self.may_lack_body:
                names["absent"] = self.body_type() if self._is_object else self._bodies[0].default
            lines.append(f"        decoded = decode(body){' if body else absent' if self.may_lack_body else ''}")
        arguments: list[str] = []
        for index, binding in enumerate(self._endpoint.bindings):
            source, used = self._expression(index, binding)
            names |= used
            lines.append(f"        a{index} = {source}")
            arguments.append(f"a{index}, ")
        lines += [
            f"        return ({''.join(arguments)})",
            "    except Exception as error:",
            "        raise explain(error, values, query_string, headers, body) from None",
        ]
        exec("\n".join(lines), names)  # noqa: S102  (our own text; what users named is in `names`, not in it)
        return names["bind"]

    def _expression(self, index: int, binding: Binding) -> tuple[str, dict[str, Any]]:
        """Source of one argument, with the names that it uses."""
        wire = repr(binding.wire_name)
        match binding.source:
            case Source.PATH:
                return _converted(index, binding, f"values[{self._path_names.index(binding.name)}]")
            case Source.QUERY | Source.FORM if binding.fields is not None:
                return f"group_{index}({'query' if binding.source is Source.QUERY else 'body'})", {
                    f"group_{index}": codec.fields_converter(binding.annotation)
                }
            case Source.QUERY:
                return _looked_up(index, binding, f"query.get({wire})", f"query[{wire}]")
            case Source.COOKIE:
                return _looked_up(index, binding, f"cookies.get({wire})", f"cookies[{wire}]")
            case Source.HEADER:
                key = repr(binding.wire_name.encode())
                return _looked_up(index, binding, f"headers.get({key})", f"headers[{key}]", decode=".decode('latin-1')")
            case Source.FORM | Source.FILE:
                return _looked_up(index, binding, f"body.get({wire})", f"body[{wire}]")
            case Source.BODY if self.takes_raw:
                return "body", {}
            case Source.BODY if self._is_object:
                return f"decoded.{binding.wire_name}", {}
            case Source.BODY:
                return "decoded", {}
            case Source.REQUEST | Source.SOCKET:
                return "wrapped", {}

    # The long way, once something did not fit

    def _explain(
        self, error: Exception, values: tuple[str, ...], query_string: bytes, headers: dict[bytes, bytes], body: Any
    ) -> Refused:
        if isinstance(error, Refused):
            return error
        try:
            query = codec.parse_query(query_string, self._many) if query_string else NOTHING
        except ValueError as reason:
            return Refused(Problem(status=400, detail=f"the query: {_reason(reason)}"))
        found = list(self._findings(Arrived(values, query_string, headers, body), query))
        if self._bodies and not self.takes_raw:
            try:
                found += self._body_findings(body)
            except Refused as refused:
                return refused
        return Refused(problems.misfit(found or [Finding("request", "", _reason(error))]))

    def _findings(self, arrived: Arrived, query: dict[str, Any]) -> Iterator[Finding]:
        cookies = codec.parse_cookies(arrived.headers.get(b"cookie", b""))
        for binding in self._endpoint.bindings:
            wire = binding.wire_name
            match binding.source:
                case Source.PATH:
                    given = arrived.values[self._path_names.index(binding.name)]
                case Source.QUERY | Source.FORM if binding.fields is not None:
                    given = query if binding.source is Source.QUERY else arrived.body
                case Source.QUERY:
                    given = query.get(wire)
                case Source.COOKIE:
                    given = cookies.get(wire)
                case Source.HEADER:
                    raw = arrived.headers.get(wire.encode())
                    given = None if raw is None else raw.decode("latin-1")
                case Source.FORM | Source.FILE:
                    given = arrived.body.get(wire)
                case _:
                    continue
            yield from _judge(binding, given)

    def _body_findings(self, body: bytes) -> list[Finding]:
        """Raises Refused where it is not JSON at all."""
        if not body:
            return [] if self.may_lack_body else [Finding("body", "", "is missing")]
        try:
            raw = codec.decode_any(body)
        except RecursionError:
            raise Refused(Problem(status=400, detail="the body is nested too deeply")) from None
        except (codec.MalformedJson, ValueError) as error:
            raise Refused(Problem(status=400, detail=f"the body is not JSON: {_reason(error)}")) from None
        found = [Finding("body", path, message) for path, message in codec.misfits(self.body_type, raw)]
        if found:
            return found
        try:
            codec.json_decoder(self.body_type)(body)
        except Exception as error:  # noqa: BLE001  (whatever the types' own hooks raise becomes the finding)
            return [Finding("body", "", _reason(error))]
        return []


def _judge(binding: Binding, given: Any) -> Iterator[Finding]:
    place = "form" if binding.source is Source.FILE else str(binding.source)
    if given is None:
        if binding.is_required:
            yield Finding(place, binding.wire_name, "is missing")
    elif binding.source is Source.FILE:
        if not all(isinstance(each, UploadFile) for each in (given if binding.is_many else [given])):
            yield Finding(place, binding.wire_name, "is not a file")
    else:
        name = "" if binding.fields is not None else binding.wire_name
        for path, message in codec.misfits(binding.annotation, given, text=True):
            yield Finding(place, f"{name}{path}", message)


def _converted(index: int, binding: Binding, text: str) -> tuple[str, dict[str, Any]]:
    convert = None if binding.source is Source.FILE else codec.text_converter(binding.annotation)
    if binding.source is Source.FILE:
        return f"file_{index}({text})", {f"file_{index}": _file}
    return (text, {}) if convert is None else (f"convert_{index}({text})", {f"convert_{index}": convert})


def _looked_up(index: int, binding: Binding, get: str, item: str, decode: str = "") -> tuple[str, dict[str, Any]]:
    """A value that may be missing: its default then, or KeyError where it is required."""
    if binding.is_required:
        return _converted(index, binding, item + decode)
    source, names = _converted(index, binding, f"t{index}{decode}")
    return f"default_{index} if (t{index} := {get}) is None else {source}", {**names, f"default_{index}": binding.default}


def _file(given: Any) -> Any:
    files = cast("list[Any]", given) if isinstance(given, list) else [given]
    if not all(isinstance(each, UploadFile) for each in files):
        raise TypeError("not a file")
    return cast("Any", given)


def _many_names(bindings: list[Binding]) -> Iterator[str]:
    for binding in bindings:
        if binding.fields is not None:
            yield from (field["name"] for field in binding.fields if is_array(field["type"]))
        elif binding.is_many:
            yield binding.wire_name


def _always(default: Any) -> Callable[[], Any]:
    return lambda: default


def _reason(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 200 else text[:200] + "..."


def is_json(content_type: bytes | None) -> bool:
    """`application/json`, and any `+json`. Nothing else, and not its absence: a page of another site can send those unasked."""
    kind = (content_type or b"").partition(b";")[0].strip().lower()
    return kind == JSON or (kind.startswith(b"application/") and kind.endswith(b"+json"))
