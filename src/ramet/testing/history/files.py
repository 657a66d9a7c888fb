"""A history as a file, so that one that is wrong can be kept, looked at and judged again. JSON lines.

The first line says what it is and what there was before, the last one may have the final state; between them each line is a
request, without what is empty. Reading is strict: what `save` does not write is refused, with its line.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

from ramet.testing.history.errors import HistoryRefused
from ramet.testing.history.operation import Operation, Outcome, Seen, Some, Value
from ramet.testing.history.recording import History, checked_seen, checked_tokens, checked_value

FORMAT = "ramet history 1"
MOST_S = 1e15
"""Of a time: with more, a float no longer tells milliseconds apart."""


def save(path: Path, history: History, final: Mapping[str, Seen] | None = None) -> None:
    """Write it, and the final state if there is one. Raises OSError."""
    with path.open("w", encoding="utf-8") as file:
        write(file, history, final)


def write(file: TextIO, history: History, final: Mapping[str, Seen] | None = None) -> None:
    _line(file, {"format": FORMAT, "initial": _seen_as_json(history.initial)})
    for operation in history.operations:
        _line(file, _operation_as_json(operation))
    if final is not None:
        _line(file, {"final": _seen_as_json({key: checked_seen(key, seen) for key, seen in final.items()})})


def load(path: Path) -> tuple[History, dict[str, Seen] | None]:
    """The history and its final state, None if it has none. Raises HistoryRefused, with file and line; OSError."""
    try:
        return read(path.read_text(encoding="utf-8").split("\n"), file=str(path))
    except UnicodeDecodeError as error:
        raise HistoryRefused(f"not UTF-8: {error}", where=str(path)) from error


def read(lines: Iterable[str], *, file: str) -> tuple[History, dict[str, Seen] | None]:
    """file: for messages. Raises HistoryRefused."""
    history: History | None = None
    final: dict[str, Seen] | None = None
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            values = _object(line)
            if final is not None:
                _no("a line after the final state")
            if history is None:
                history = _first(values)
            elif "final" in values:
                final = _Fields(values).only(final=_seen)["final"]
            else:
                history.append(_operation(values))
        except HistoryRefused as error:
            raise HistoryRefused(error.message, where=f"{file}:{number}", hint=error.hint) from error
    if history is None:
        raise HistoryRefused("it is empty", where=file, hint="a file of `save` has a first line at least")
    return history, final


# Writing


def _line(file: TextIO, value: dict[str, Any]) -> None:
    file.write(json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n")


def _operation_as_json(operation: Operation) -> dict[str, Any]:
    optional = {
        "status": operation.status,
        "reason": operation.reason or None,
        "request_id": operation.request_id,
        "sets": dict(operation.sets) or None,
        "adds": dict(operation.adds) or None,
        "removes": dict(operation.removes) or None,
        "reads": _seen_as_json(operation.reads) or None,
    }
    return {
        "client": operation.client,
        "name": operation.name,
        "due_s": operation.due_s,
        "invoked_s": operation.invoked_s,
        "returned_s": operation.returned_s,
        "outcome": operation.outcome.value,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _seen_as_json(reads: Mapping[str, Seen]) -> dict[str, Any]:
    return {key: _some_as_json(seen) if isinstance(seen, Some) else seen for key, seen in reads.items()}


def _some_as_json(some: Some) -> dict[str, Any]:
    values = {"has": some.has, "lacks": some.lacks, "count": some.count}
    return {name: value for name, value in values.items() if value not in ((), None)}


# Reading


def _no(message: str) -> NoReturn:
    raise HistoryRefused(message)


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=_once, parse_constant=lambda name: _no(f"{name} is no number of JSON"))
    except RecursionError as error:
        raise HistoryRefused("not JSON: nested too deeply") from error
    except ValueError as error:  # a JSONDecodeError, or a number of more than 4300 digits
        raise HistoryRefused(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        _no("not an object of JSON")
    return cast("dict[str, Any]", value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        _no("a key stands there twice")
    return values


class _Fields:
    """Of one object."""

    def __init__(self, values: dict[str, Any], what: str = "") -> None:
        self._values = values
        self._what = what

    def only(self, required: int | None = None, /, **readers: Callable[[str, Any], Any]) -> dict[str, Any]:
        """Each by its reader, which gets its name and value. The first `required` must be there (None: all); no other may be."""
        names = list(readers)
        missing = [name for name in names[:required] if name not in self._values]
        if missing:
            _no(f"{self._what}{missing[0]} is missing")
        unknown = [name for name in self._values if name not in readers]
        if unknown:
            raise HistoryRefused(f"{self._what}{unknown[0]} is not known", hint=f"known: {', '.join(names)}")
        return {name: readers[name](f"{self._what}{name}", value) for name, value in self._values.items()}


def _first(values: dict[str, Any]) -> History:
    if values.get("format") != FORMAT:
        raise HistoryRefused(f"the first line is not that of a history: format {values.get('format')!r}", hint=f'"{FORMAT}"')
    return History(initial=_Fields(values).only(format=_text, initial=_seen)["initial"])


def _operation(values: dict[str, Any]) -> Operation:
    fields = _Fields(values).only(
        6,
        client=_text_or_none,
        name=_text,
        due_s=_time,
        invoked_s=_time,
        returned_s=lambda name, value: None if value is None else _time(name, value),
        outcome=_outcome,
        status=_whole,
        reason=_text,
        request_id=_text,
        sets=_values,
        adds=_token_lists,
        removes=_token_lists,
        reads=_seen,
    )
    operation = Operation(**fields)
    if operation.returned_s is None and operation.outcome is not Outcome.UNKNOWN:
        _no(f"outcome is {operation.outcome} and nothing was returned")
    if operation.returned_s is not None and operation.returned_s < operation.invoked_s:
        _no("it returned before it was invoked")
    return operation


def _text(name: str, value: Any) -> str:
    return value if isinstance(value, str) else _no(f"{name}: {value!r} is no text")


def _text_or_none(name: str, value: Any) -> str | None:
    return None if value is None else _text(name, value)


def _whole(name: str, value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else _no(f"{name}: {value!r} is no whole number")


def _time(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > MOST_S:
        _no(f"{name}: {value!r} is no time in seconds")
    return float(value)


def _outcome(name: str, value: Any) -> Outcome:
    try:
        return Outcome(value)
    except ValueError:
        raise HistoryRefused(f"{name}: {value!r} is no outcome", hint=", ".join(Outcome)) from None


def _table(name: str, value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else _no(f"{name}: {value!r} is no object")


def _list(name: str, value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else _no(f"{name}: {value!r} is no list")


def _values(name: str, value: Any) -> dict[str, Value]:
    return {key: checked_value(f"{name}.{key}", each) for key, each in _table(name, value).items()}


def _tokens(name: str, value: Any) -> tuple[str, ...]:
    return checked_tokens(name, _list(name, value))


def _token_lists(name: str, value: Any) -> dict[str, tuple[str, ...]]:
    return {key: _tokens(f"{name}.{key}", each) for key, each in _table(name, value).items()}


def _seen(name: str, value: Any) -> dict[str, Seen]:
    return {key: _one_seen(f"{name}.{key}", each) for key, each in _table(name, value).items()}


def _one_seen(name: str, value: Any) -> Seen:
    if isinstance(value, dict):
        some = _Fields(cast("dict[str, Any]", value), f"{name}.").only(0, has=_tokens, lacks=_tokens, count=_whole)
        return Some(**some)
    return checked_seen(name, value)
