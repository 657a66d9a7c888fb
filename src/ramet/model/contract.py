"""The contract of a call: its signature as data, with a hash that is equal where caller and callee can talk positionally."""

import inspect
import types
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from ramet.errors import DeclarationError, UnwireableType
from ramet.model import shapes
from ramet.model.failure import Failure
from ramet.model.shapes import Shape

REQUIRED: Any = inspect.Parameter.empty


class Parameter(msgspec.Struct, frozen=True):
    name: str
    annotation: Any
    shape: Shape
    default: Any = REQUIRED
    keyword_only: bool = False

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED


class CallContract(msgspec.Struct, frozen=True, eq=False, dict=True):
    """What a call promises. Compared by identity; equality over the wire is `hash`."""

    module: str
    name: str
    parameters: tuple[Parameter, ...]
    result: Any
    """Type of the result; of one item where `streams`."""
    result_shape: Shape
    streams: bool = False
    failures: tuple[type[Failure], ...] = ()
    idempotent: bool = False
    """Running it twice is as good as once: it may be repeated and hedged."""
    once: bool = False
    """Its key is stored with its write: it may be repeated with the same key."""
    deadline_s: float = 5.0
    hedge_after_s: float | None = None
    """Seconds after which a second endpoint is asked too. None: never. Only with `idempotent`."""
    where: str = ""
    """file:line of the declaration."""

    @cached_property
    def qualified(self) -> str:
        return f"{self.module}.{self.name}"

    @cached_property
    def descriptor(self) -> dict[str, Any]:
        """The contract as JSON: sent to peers whose hash differs, and compared by `ramet.model.compatibility`."""
        return {
            "call": self.qualified,
            "parameters": [{"name": p.name, "type": p.shape, "required": p.is_required} for p in self.parameters],
            "result": self.result_shape,
            "streams": self.streams,
            "failures": {
                cls.__name__: shapes.describe(cls.payload_type) for cls in sorted(self.failures, key=lambda cls: cls.__name__)
            },
            "idempotent": self.idempotent,
            "once": self.once,
        }

    @cached_property
    def hash(self) -> str:
        return hash_of(self.descriptor)

    @cached_property
    def signature(self) -> str:
        return signature_of(self.descriptor)


def hash_of(descriptor: dict[str, Any]) -> str:
    """16 hex digits of SHA-256 over a contract's descriptor without the names of types."""
    import hashlib  # OpenSSL is a tenth of `import ramet`, and only connections ask for hashes

    return hashlib.sha256(shapes.canonical(shapes.unnamed(descriptor))).hexdigest()[:16]


def signature_of(descriptor: dict[str, Any]) -> str:
    """A contract on one line, for errors: `articles.get(slug: str) -> Article{...} raises NoSuchArticle`."""
    parameters = ", ".join(
        f"{p['name']}: {shapes.signature_of(p['type'])}{'' if p['required'] else ' = ...'}" for p in descriptor["parameters"]
    )
    result = shapes.signature_of(descriptor["result"])
    raises = f" raises {', '.join(descriptor['failures'])}" if descriptor["failures"] else ""
    return f"{descriptor['call']}({parameters}) -> {f'AsyncIterator[{result}]' if descriptor['streams'] else result}{raises}"


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `expose` and the HTTP verbs take beside the function."""

    raises: Sequence[type[Failure]] = ()
    idempotent: bool = False
    once: bool = False
    deadline_s: float = 5.0
    hedge_after_s: float | None = None


def contract_of(module: str, function: Callable[..., Any], options: CallOptions) -> CallContract:
    """Resolve a function's signature.

    Raises:
        UnwireableType: a type cannot cross the wire; names module, call, parameter, type and the way out.
        DeclarationError: anything else that cannot work, such as `*args` or a missing annotation.
    """
    name = getattr(function, "__name__", "")
    if not name.isidentifier() or isinstance(function, type):
        raise DeclarationError(f"module `{module}` exposes {function!r}, which is not a function with a name", hint="use `def`")
    where = where_of(function)
    subject = f"{module}.{name}"
    _check_options(subject, options, where)
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, SyntaxError) as error:
        raise DeclarationError(
            f"{subject}: {error}",
            where=where,
            hint="define or import that type above the call; signatures are resolved at import",
        ) from None
    parameters = tuple(
        _parameter(subject, parameter, hints, where) for parameter in inspect.signature(function).parameters.values()
    )
    if "return" not in hints:
        raise DeclarationError(
            f"{subject} has no result type", where=where, hint=f"write `-> None` or the type that {name} returns"
        )
    result = hints["return"]
    streams = get_origin(result) in {AsyncIterator} or result is AsyncIterator
    if streams:
        result = (*get_args(result), Any)[0]
    if streams and options.once:
        raise DeclarationError(
            f"{subject} is declared once, but its result is streamed",
            where=where,
            hint="a stream is not repeated: leave once out",
        )
    _check_yields(subject, function, result, streams=streams, where=where)
    return CallContract(
        module=module,
        name=name,
        parameters=parameters,
        result=result,
        result_shape=_shape(subject, "result", result, where),
        streams=streams,
        failures=tuple(options.raises),
        idempotent=options.idempotent,
        once=options.once,
        deadline_s=options.deadline_s,
        hedge_after_s=options.hedge_after_s,
        where=where,
    )


def where_of(function: Callable[..., Any]) -> str:
    """file:line of its definition, or its module where it has no Python code."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, types.CodeType) else function.__module__


def _check_yields(subject: str, function: Callable[..., Any], result: Any, *, streams: bool, where: str) -> None:
    if streams and not inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{subject} promises a stream, but it is not an async generator",
            where=where,
            hint="write it as `async def` with `yield`; of another iterator: `async for item in other: yield item`",
        )
    if not streams and (inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)):
        raise DeclarationError(
            f"{subject} yields, but its result is {shapes.name_of(result)}",
            where=where,
            hint="write it as `async def`, and declare the result as AsyncIterator[T]",
        )


def _check_options(subject: str, options: CallOptions, where: str) -> None:
    for cls in options.raises:
        if not (isinstance(cls, type) and issubclass(cls, Failure)):  # pyright: ignore[reportUnnecessaryIsInstance]  (users' value)
            raise DeclarationError(
                f"{subject}: raises= lists {cls!r}, which is not a Failure",
                where=where,
                hint="make it a subclass of ramet.Failure",
            )
    if len({cls.__name__ for cls in options.raises}) < len(options.raises):
        raise DeclarationError(
            f"{subject}: raises= lists two failures of one name; they could not be told apart on the wire", where=where
        )
    if options.hedge_after_s is not None and options.hedge_after_s <= 0:
        raise DeclarationError(f"{subject}: hedge_after= must be longer than nothing", where=where)
    if options.idempotent and options.once:
        raise DeclarationError(
            f"{subject} is declared idempotent and once", where=where, hint="idempotent needs no key: leave once out"
        )
    if options.hedge_after_s is not None and not options.idempotent:
        raise DeclarationError(
            f"{subject}: hedge_after= without idempotent=True would run it twice",
            where=where,
            hint="add idempotent=True if that is so",
        )
    if options.deadline_s <= 0:
        raise DeclarationError(f"{subject}: a deadline must be longer than nothing", where=where)


def _parameter(subject: str, parameter: inspect.Parameter, hints: dict[str, Any], where: str) -> Parameter:
    name = parameter.name
    if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise DeclarationError(
            f"{subject}: `{parameter}` has no signature that could be checked",
            where=where,
            hint="name the parameters, or take one list or Struct",
        )
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise DeclarationError(
            f"{subject}: `{name}` is positional-only, but versions are matched by name",
            where=where,
            hint="leave the `/` out",
        )
    if name not in hints:
        raise DeclarationError(f"{subject}: parameter `{name}` has no type", where=where, hint=f"annotate it: `{name}: str`")
    return Parameter(
        name=name,
        annotation=hints[name],
        shape=_shape(subject, f"parameter `{name}`", hints[name], where),
        default=parameter.default,
        keyword_only=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
    )


def _shape(subject: str, what: str, annotation: Any, where: str) -> Shape:
    try:
        return shapes.describe(annotation)
    except shapes.NoShape as error:
        whole = shapes.name_of(annotation)
        within = f" (in {whole})" if whole != error.type_name else ""
        raise UnwireableType(f"{subject}: {what}: {error}{within}", where=where, hint=error.way_out) from None
