"""Parameters of a statement as the text that PostgreSQL reads them from: what crosses to whoever explains the query. Pure.

Subclasses, such as members of a StrEnum, count as what they are made of.

`EXECUTE query('...', '...')` takes them as literals of no type, so the server reads each as the type that the statement wants.
"""

import datetime
import decimal
import re
import uuid
from collections.abc import Sequence
from typing import Any

MAX_CHARACTERS = 4096
"""Of all parameters of one statement together. More is data, and not worth keeping for a plan."""

_HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which is no character and has no bytes."""


class _Unfit(Exception):
    pass


def as_texts(args: Sequence[Any]) -> list[str | None] | None:
    """One text for each parameter, None for NULL; None for all where one is too long or of a type that has no known text."""
    try:
        found = [_text(value) for value in args]
    except (_Unfit, RecursionError):
        return None
    return found if sum(len(text) for text in found if text) <= MAX_CHARACTERS else None


def quoted(text: str | None) -> str:
    """As a literal of SQL."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str():
            if len(value) > MAX_CHARACTERS or "\0" in value or _HALF.search(value):
                raise _Unfit
            return str.__str__(value)
        case float():
            return float.__repr__(value)  # the server reads nan and inf as Python writes them
        case int():
            return int.__repr__(value)
        case uuid.UUID() | decimal.Decimal() | datetime.date() | datetime.time():  # a datetime is a date
            return str(value)
        case datetime.timedelta():
            return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
        case bytes() | bytearray():
            if len(value) * 2 > MAX_CHARACTERS:
                raise _Unfit
            return "\\x" + bytes(value).hex()
        case list():  # a tuple may be a row as well, which is written in another way
            return _array(value)  # pyright: ignore[reportUnknownArgumentType]  (its items are looked at one by one)
        case _:
            raise _Unfit


def _array(values: Sequence[Any]) -> str:
    if len(values) > MAX_CHARACTERS:
        raise _Unfit
    return "{" + ",".join(_item(value) for value in values) + "}"


def _item(value: Any) -> str:
    if isinstance(value, list):
        return _array(value)  # pyright: ignore[reportUnknownArgumentType]
    text = _text(value)
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
