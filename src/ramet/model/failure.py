"""Failures: values of the user's domain that a call may raise, and that cross the wire as themselves."""

from typing import Any, ClassVar, dataclass_transform

import msgspec

from ramet.model import shapes


@dataclass_transform(kw_only_default=False)
class Failure(Exception):
    """Base of the failures that a module's face declares. Annotated fields become the constructor's parameters.

        class NoSuchArticle(Failure, status=404):
            slug: str

    status: the HTTP status of an endpoint that raises it, 400 to 599; default 400.
    The first line of the docstring is the title of its problem document.

    Raises at class creation: TypeError for a field that cannot cross the wire (`ramet.model.shapes.NoShape`), ValueError for
    a status out of range.
    """

    status: ClassVar[int] = 400
    payload_type: ClassVar[type[msgspec.Struct]] = msgspec.defstruct("FailurePayload", [])

    def __init_subclass__(cls, *, status: int | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if status is not None:
            if not 400 <= status <= 599:
                raise ValueError(f"{cls.__qualname__}: status={status}, expected 400 to 599")
            cls.status = status
        cls.payload_type = _payload_type(cls)
        shapes.describe(cls.payload_type)

    def __init__(self, *args: Any, **fields: Any) -> None:
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
        return type(other) is type(self) and isinstance(other, Failure) and other.payload == self.payload

    __hash__ = Exception.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args

    @classmethod
    def title(cls) -> str:
        doc = (cls.__doc__ or "").strip().splitlines()
        return doc[0].rstrip(".") if doc and cls.__doc__ != Failure.__doc__ else _words(cls.__name__)


def _payload_type(cls: type[Failure]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for base in reversed(cls.__mro__):
        if base is Failure or not issubclass(base, Failure):
            continue
        for name, annotation in base.__dict__.get("__annotations__", {}).items():
            if "ClassVar" in str(annotation):
                continue
            fields.append((name, annotation, base.__dict__[name]) if name in base.__dict__ else (name, annotation))
            if name in base.__dict__:
                delattr(base, name)  # the default lives in the payload now; the class attribute would hide the field
    return msgspec.defstruct(cls.__name__, fields, module=cls.__module__, frozen=True)


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() and index else letter for index, letter in enumerate(name))
