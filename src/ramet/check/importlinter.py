"""import-linter's contracts, where they say the same as Ramet: `layers`, `forbidden` and `independence`.

Read from `.importlinter`, `setup.cfg` or `pyproject.toml`, whichever is the first that has some. The other types and custom ones
are passed over.
"""

import configparser
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ramet.check.import_rules import Forbidden, ImportRule, Layers, Row
from ramet.errors import ConfigError

_PREFIX = "importlinter"


def rules_in(folder: Path) -> tuple[ImportRule, ...]:
    """Of a folder's configuration; none where there is none. Raises ConfigError for a file that is damaged."""
    for name in (".importlinter", "setup.cfg", "pyproject.toml"):
        path = folder / name
        try:
            text = path.read_text(encoding="utf-8")
            session, listed = _toml(text) if name.endswith(".toml") else _ini(text)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError, configparser.Error) as error:
            raise ConfigError(f"cannot be read: {error}", where=str(path)) from error
        if session or listed:
            return tuple(rule for options in listed for rule in _rules(options, session, name))
    return ()


def _toml(text: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    tool: Any = tomllib.loads(text).get("tool")
    table: Any = cast("dict[str, Any]", tool).get(_PREFIX) if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        return {}, []
    session = cast("dict[str, Any]", table)
    listed: Any = session.get("contracts")
    found = (
        [cast("dict[str, Any]", each) for each in cast("list[Any]", listed) if isinstance(each, dict)]
        if isinstance(listed, list)
        else []
    )
    return session, list(found)


def _ini(text: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    session = dict(parser[_PREFIX]) if parser.has_section(_PREFIX) else {}
    return session, [dict(parser[name]) for name in parser.sections() if name.startswith(f"{_PREFIX}:contract:")]


def _rules(options: Mapping[str, Any], session: Mapping[str, Any], file: str) -> Iterator[ImportRule]:
    name = str(options.get("name", "unnamed"))
    ignored = tuple(_list(options.get("ignore_imports")))
    with_typing = not _flag(session.get("exclude_type_checking_imports"))
    common: dict[str, Any] = {"ignored": ignored, "with_typing": with_typing, "with_dynamic": False}
    match options.get("type"):
        case "layers":
            layers = _list(options.get("layers"))
            for container in _list(options.get("containers")) or [""]:
                yield Layers(name, file, rows=tuple(_row(layer, container) for layer in layers), **common)
        case "forbidden":
            pairs = itertools.product(_list(options.get("source_modules")), _list(options.get("forbidden_modules")))
            indirect = not _flag(options.get("allow_indirect_imports"))
            packages = _flag(options.get("as_packages", True))
            yield Forbidden(name, file, pairs=tuple(pairs), with_indirect=indirect, as_packages=packages, **common)
        case "independence":
            pairs = itertools.permutations(_list(options.get("modules")), 2)
            yield Forbidden(name, file, pairs=tuple(pairs), **common)
        case _:
            return


def _row(layer: str, container: str) -> Row:
    """`a | b` are independent of each other, `a : b` may import each other, `(a)` need not be there."""
    names = [part.strip().strip("()").strip() for part in re.split(r"[|:]", layer)]
    return Row(tuple(f"{container}.{name}" if container else name for name in names if name), are_independent=":" not in layer)


def _list(value: object) -> list[str]:
    """A list of TOML, or the lines of an INI value."""
    if isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip() and not line.strip().startswith("#")]
    if isinstance(value, list):
        return [each for each in cast("list[Any]", value) if isinstance(each, str)]
    return []


def _flag(value: object) -> bool:
    return value is True or str(value).strip().lower() in {"true", "1", "yes", "on"}
