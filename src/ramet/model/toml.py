"""Reading a TOML table with every mistake named: what, where (file and line), and what was meant."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, cast

from ramet.errors import ConfigError
from ramet.kit.durations import parse_duration_s
from ramet.kit.near import did_you_mean
from ramet.kit.toml_lines import key_lines, line_of

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")
NAMES = "lower-case letters, digits, _ and -, at most 48"
"""What a name is made of, for a hint."""


def is_name(text: str) -> bool:
    """Whether an application or a service can be called so."""
    return _NAME.fullmatch(text) is not None


class Reader:
    """One table. Values are taken by name; `done` reports what was not taken, `finish` (of the root) raises what was found."""

    def __init__(
        self,
        values: dict[str, Any],
        path: tuple[str, ...],
        file: str,
        lines: dict[tuple[str, ...], int],
        faults: list[ConfigError],
    ) -> None:
        self.values = values
        self.lines = lines
        self._path = path
        self._file = file
        self._faults = faults
        self._taken: set[str] = set()
        self._is_readable = True
        """False for what is no table: then that is its one mistake, and nothing is missing in it."""
        self.has_faults = False

    @classmethod
    def of(cls, text: str, *, file: str) -> "Reader":
        """Raises ConfigError for a text that is not TOML."""
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            where = f"{file}:{line[1]}" if line else file
            raise ConfigError(f"not TOML: {error}", where=where) from error
        except RecursionError as error:
            raise ConfigError("not TOML: nested too deeply", where=file) from error
        except ValueError as error:  # a number of more than 4300 digits
            raise ConfigError(f"not TOML: {error}", where=file) from error
        return cls(values, (), file, key_lines(text), [])

    def finish(self) -> None:
        """Raise what was found: one error, or one that lists them all."""
        if len(self._faults) == 1:
            raise self._faults[0]
        if self._faults:
            listed = "\n".join(
                f"  {fault.where}: {fault.message}{f' ({fault.hint})' if fault.hint else ''}" for fault in self._faults
            )
            raise ConfigError(f"{len(self._faults)} mistakes:\n{listed}", where=self._file)

    def fault(self, key: str, message: str, *, hint: str | None = None) -> None:
        path = (*self._path, key) if key else self._path
        line = line_of(self.lines, path)
        dotted = ".".join(path)
        self.has_faults = True
        self._faults.append(
            ConfigError(
                f"{dotted}: {message}" if dotted else message, where=f"{self._file}:{line}" if line else self._file, hint=hint
            )
        )

    def unknown(self, key: str, name: str, known: Iterable[str], *, what: str) -> None:
        known = list(known)
        self.fault(key, f"{name!r} is no {what}", hint=did_you_mean(name, known) or f"known: {', '.join(known)}")

    def done(self) -> None:
        """Report every key that nobody asked for."""
        for key in self.values:
            if key not in self._taken:
                self.fault(key, "unknown key", hint=did_you_mean(key, self._taken) or f"known: {', '.join(sorted(self._taken))}")

    # Values

    def text(self, key: str, *, default: str = "", required: bool = False) -> str:
        return cast("str", self._take(key, str, "a text", default, required=required))

    def number(self, key: str, *, default: float = 0.0, required: bool = False) -> float:
        value = cast("float", self._take(key, (int, float), "a number", default, required=required))
        try:
            return float(value)
        except OverflowError:
            self.fault(key, f"{_shown(value)} is too large")
            return default

    def duration(self, key: str, *, default: float) -> float:
        """Seconds, from a text such as `250ms` or a number."""
        value = self._take(key, (str, int, float), "a duration, such as '250ms'", default, required=False)
        try:
            return parse_duration_s(value)
        except (ValueError, OverflowError) as error:
            self.fault(key, str(error) if isinstance(value, str) else f"{_shown(value)} is not a duration")
            return default

    def whole(self, key: str, *, default: int) -> int:
        return cast("int", self._take(key, int, "a whole number", default, required=False))

    def count(self, key: str, *, default: int) -> int:
        value = self.whole(key, default=default)
        if not 1 <= value <= 1000:
            self.fault(key, f"{_shown(value)} is not between 1 and 1000")
            return default
        return value

    def texts(self, key: str, *, required: bool = False) -> list[str]:
        values = cast("list[Any]", self._take(key, list, 'a list of texts, such as ["a", "b"]', [], required=required))
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) < len(values):
            self.fault(key, f"{_shown(next(v for v in values if not isinstance(v, str)))} is not a text")
        return texts

    def lists(self, key: str) -> list[list[str]]:
        """Lists of texts."""
        values = cast("list[list[Any]]", self._take(key, list, 'a list of lists, such as [["a", "b"]]', [], required=False))
        for value in values:
            if not isinstance(cast("Any", value), list) or not all(isinstance(each, str) for each in value):
                self.fault(key, f"{_shown(value)} is not a list of texts")
                return []
        return values

    def name(self, key: str) -> str:
        value = self.text(key, required=True)
        if isinstance(self.values.get(key), str) and not is_name(value):
            self.fault(key, f"{_shown(value)} cannot be a name", hint=NAMES)
        return value

    def check_name(self, name: str) -> None:
        if not is_name(name):
            self.fault("", f"{_shown(name)} cannot be a name", hint=NAMES)

    def table(self, key: str, *, required: bool = False) -> "Reader":
        values = cast("dict[str, Any]", self._take(key, dict, "a table", {}, required=required))
        made = Reader(values, (*self._path, key), self._file, self.lines, self._faults)
        made._is_readable = isinstance(self.values.get(key, {}), dict)
        made.has_faults = not made._is_readable
        return made

    def tables(self) -> Iterator[tuple[str, "Reader"]]:
        """The tables in this one, each under its own key."""
        for key in self.values:
            yield key, self.table(key)

    def _take(self, key: str, kind: type | tuple[type, ...], expected: str, default: Any, *, required: bool) -> Any:
        self._taken.add(key)
        if key not in self.values:
            if required and self._is_readable:
                self.fault(key, "is missing", hint=f"it is {expected}")
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.fault(key, f"{_shown(value)} is not {expected}")
            return default
        return value


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more than 4300 digits; a key of a thousand parts
        return f"this {type(value).__name__}"
    return text if len(text) < 60 else f"{text[:57]}..."
