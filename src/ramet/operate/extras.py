"""What Ramet itself requires, read from its own metadata: the core's distributions and those of each extra, with their versions.

The one place where `pip install 'ramet[...]'` is decided. Versions are compared by their numbers alone; our own requirements
name nothing else.
"""

import functools
import importlib.metadata
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

CORE = ""
"""In place of an extra, for what is always needed."""
_ALL = "all"
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(?P<versions>[^;]*?)\s*(?:;(?P<marker>.*))?$")
_EXTRA = re.compile(r"extra == '([\w-]+)'")
_VERSIONS = re.compile(r"(>=|<=|==|!=|<|>)\s*([0-9][0-9.]*)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """versions: such as `>=0.54,<0.55`, empty for any."""

    name: str
    versions: str
    extra: str = CORE


def parse(lines: Iterable[str]) -> list[Requirement]:
    """Lines of `Requires-Dist`, as packaging tools write them. The extra that sums the others up is left out."""
    matches = [match for line in lines if (match := _REQUIREMENT.match(line))]
    found = [Requirement(match["name"], match["versions"], _extra(match["marker"])) for match in matches]
    return [requirement for requirement in found if requirement.extra != _ALL]


def _extra(marker: str | None) -> str:
    match = _EXTRA.search(marker or "")
    return match[1] if match else CORE


@functools.cache
def requirements() -> tuple[Requirement, ...]:
    """Ours. None where Ramet runs from a folder that nobody installed."""
    try:
        return tuple(parse(importlib.metadata.requires("ramet") or ()))
    except importlib.metadata.PackageNotFoundError:
        return ()


def version_of(name: str) -> str | None:
    """Of the installed distribution; None where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(version: str, versions: str) -> bool:
    return all(_COMPARISONS[sign](_numbers(version), _numbers(bound)) for sign, bound in _VERSIONS.findall(versions))


def extra_of(module: str | None) -> str | None:
    """The extra that brings an import of this name; None for what no extra brings."""
    top = (module or "").partition(".")[0].replace("_", "-")
    return next((each.extra for each in requirements() if each.extra and each.name in {top, f"python-{top}"}), None)


def command(extra: str) -> str:
    """What installs it."""
    return f"pip install 'ramet[{extra}]'" if extra else "pip install --force-reinstall ramet"


def _numbers(version: str) -> tuple[int, ...]:
    """`3.0rc1` is 3.0: good enough to tell versions of a library apart. Zeros at the end say nothing."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


_COMPARISONS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": lambda here, bound: here >= bound,
    "<=": lambda here, bound: here <= bound,
    "==": lambda here, bound: here == bound,
    "!=": lambda here, bound: here != bound,
    "<": lambda here, bound: here < bound,
    ">": lambda here, bound: here > bound,
}
