"""Failures: values of the user's domain that a call may raise, and that cross the wire as themselves."""

import inspect
from typing import Any, ClassVar, dataclass_transform

import msgspec

from ramet.errors import DeclarationError, UnwireableType
from ramet.model import shapes


@dataclass_transform(kw_only_default=False)
class Failure(Exception):
    """Base of the failures that a module's face declares. Annotated fields become the constructor's parameters.

        class NoSuchArticle(Failure, status=404):
            slug: str

    status: the HTTP status of an endpoint that raises it, 400 to 599; default 400.
    The first line of the docstring is the title of its problem document.

    Raises at class creation: UnwireableType for a field that cannot cross the wire, DeclarationError for one whose name an
    exception has already, and for a status out of range.
    """

    status: ClassVar[int] = 400
    payload_type: ClassVar[type[msgspec.Struct]] = msgspec.defstruct("FailurePayload", [])

    def __init_subclass__(cls, *, status: int | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if status is not None:
            if not isinstance(status, int) or not 400 <= status <= 599:  # pyright: ignore[reportUnnecessaryIsInstance]  (users' value)
                raise DeclarationError(f"{cls.__qualname__}: status={status!r}, expected 400 to 599")
            cls.status = status
        cls.payload_type = _payload_type(cls)

    def __init__(self, /, *args: Any, **fields: Any) -> None:
        try:
            payload = self.payload_type(*args, **fields)
        except TypeError as error:
            raise TypeError(f"{type(self).__qualname__}: {error}") from None
        super().__init__()
        self.restore(payload)

    def restore(self, payload: msgspec.Struct) -> None:
        """Take the fields from a decoded payload."""
        self.payload = payload
        self.args = tuple(getattr(payload, name) for name in self.payload_type.__struct_fields__)

    def __getattr__(self, name: str) -> Any:
        # Only reached where ordinary look-up fails: the fields live in the payload, so that they are sent as they are.
        if name != "payload" and name in self.payload_type.__struct_fields__:
            return getattr(self.payload, name)
        raise AttributeError(f"{type(self).__qualname__!r} has no attribute {name!r}", name=name, obj=self)

    def __str__(self) -> str:
        return ", ".join(f"{name}={getattr(self.payload, name)!r}" for name in self.payload_type.__struct_fields__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failure) and type(other) is type(self) and other.payload == self.payload

    def __hash__(self) -> int:
        # Equal failures have equal hashes, and a failure with a list in it has one too: an exception must always be hashable.
        return hash(type(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args

    @classmethod
    def title(cls) -> str:
        doc = (cls.__doc__ or "").strip().splitlines()
        return doc[0].rstrip(".") if doc and cls.__doc__ != Failure.__doc__ else _words(cls.__name__)


def _payload_type(cls: type[Failure]) -> type[msgspec.Struct]:
    fields: dict[str, Any] = {}
    for base in reversed(cls.__mro__[1:]):
        if issubclass(base, Failure):
            fields |= {
                field.name: (field.name, field.type, *_default(field)) for field in msgspec.structs.fields(base.payload_type)
            }
    for name, annotation in inspect.get_annotations(cls).items():
        if "ClassVar" in str(annotation):
            continue
        if name == "payload" or hasattr(Failure, name):
            raise DeclarationError(
                f"{cls.__qualname__}: a failure cannot have a field `{name}`, since every exception or failure has one",
                hint="give the field another name",
            )
        fields.pop(name, None)
        if name in cls.__dict__:
            fields[name] = (name, annotation, cls.__dict__[name])
            delattr(cls, name)  # the default lives in the payload now; the class attribute would hide the field
        else:
            fields[name] = (name, annotation)
    try:
        made = msgspec.defstruct(cls.__name__, list(fields.values()), module=cls.__module__, frozen=True)
        shapes.describe(made)
    except shapes.NoShape as error:
        raise UnwireableType(f"{cls.__qualname__}: {error}", hint=error.way_out) from None
    except TypeError as error:  # msgspec's: a required field behind one with a default
        raise DeclarationError(f"{cls.__qualname__}: {error}", hint="give it a default too") from None
    return made


def _default(field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    if field.default is not msgspec.NODEFAULT:
        return (field.default,)
    return () if field.default_factory is msgspec.NODEFAULT else (msgspec.field(default_factory=field.default_factory),)


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() and index else letter for index, letter in enumerate(name))
