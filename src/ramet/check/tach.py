"""`tach.toml`, where it says the same as Ramet: modules and what they depend on, layers, interfaces.

Read are `modules` (`path`, `depends_on`, `layer`, `utility`, `unchecked`), `layers`, `interfaces` (`expose`, `from`) and
`ignore_type_checking_imports`. What else it says is tach's own business and is passed over.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ramet.check.import_rules import ImportRule, Layers, Row
from ramet.check.project import Place, Public
from ramet.errors import ConfigError

FILE = "tach.toml"


@dataclass(frozen=True, slots=True)
class TachModule:
    """depends_on: packages; None: any."""

    depends_on: tuple[str, ...] | None
    place: Place
    public: Public | None


@dataclass(frozen=True, slots=True)
class Tach:
    modules: Mapping[str, TachModule] = field(default_factory=dict[str, TachModule])
    import_rules: tuple[ImportRule, ...] = ()


def read(file: Path) -> Tach:
    """Empty where there is none. Raises ConfigError for what is no tach.toml."""
    try:
        text = file.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except FileNotFoundError:
        return Tach()
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(file)) from error
    listed = list(_tables(table, "modules"))
    utilities = [each["path"] for each in listed if each.get("utility") is True and isinstance(each.get("path"), str)]
    interfaces = list(_tables(table, "interfaces"))
    modules: dict[str, TachModule] = {}
    layered: dict[str, list[str]] = {}
    for each in listed:
        for path in _paths(each):
            place = Place(file.name, _line(text, path))
            modules[path] = TachModule(_depends_on(each, utilities), place, _public(path, interfaces))
            if isinstance(layer := each.get("layer"), str) and each.get("unchecked") is not True:
                layered.setdefault(layer, []).append(path)
    return Tach(modules, tuple(_layers(table, layered)))


def _paths(module: Mapping[str, Any]) -> list[str]:
    """One, or several with the same rules."""
    return _texts(module.get("paths", [module.get("path")]))


def _depends_on(module: Mapping[str, Any], utilities: list[str]) -> tuple[str, ...] | None:
    listed = module.get("depends_on")
    if not isinstance(listed, list) or module.get("unchecked") is True:
        return None
    return tuple(dict.fromkeys([*_texts(cast("list[Any]", listed), key="path"), *utilities]))


def _public(path: str, interfaces: list[Mapping[str, Any]]) -> Public | None:
    """Interfaces speak of the modules that `from` names, as regular expressions, or of all."""
    patterns: list[str] = []
    for interface in interfaces:
        if any(_matches(each, path) for each in _texts(interface.get("from", [".*"]))):
            patterns += filter(_is_pattern, _texts(interface.get("expose")))
    return Public(frozenset(patterns), tuple(patterns), FILE) if patterns else None


def _matches(pattern: str, path: str) -> bool:
    return _is_pattern(pattern) and re.fullmatch(pattern, path) is not None


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _layers(table: Mapping[str, Any], layered: Mapping[str, list[str]]) -> Iterator[ImportRule]:
    names = _texts(table.get("layers"), key="name")
    rows = tuple(Row(tuple(layered[name]), are_independent=False) for name in names if name in layered)
    if rows:
        yield Layers(
            "layers", FILE, rows=rows, with_indirect=False, with_typing=table.get("ignore_type_checking_imports") is False
        )


def _texts(value: Any, *, key: str = "") -> list[str]:
    """Those of a list. key: where an item is a table, the text is in it under this name."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    found = [cast("dict[str, Any]", each).get(key) if isinstance(each, dict) else each for each in items]
    return [each for each in found if isinstance(each, str)]


def _tables(table: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    found: Any = table.get(key)
    if isinstance(found, list):
        for each in cast("list[Any]", found):
            if isinstance(each, dict):
                yield cast("dict[str, Any]", each)


def _line(text: str, path: str) -> int:
    """Of the module's own entry."""
    found = re.search(rf"^\s*paths?\s*=.*[\"']{re.escape(path)}[\"']", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 1
