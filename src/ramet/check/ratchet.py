"""`.ramet-accepted.json`: findings that were there when somebody decided to begin. New ones fail the check, these do not.

    {"RM701 shop/orders/service.py shop.accounts.tokens": 1, ...}

A finding is told again by code, file and subject, never by line. The number is how many there may be: a second one of the same is
new. It only tightens: what is gone is told, and forgotten by the next `--accept`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ramet.check.findings import Finding
from ramet.check.rules import CYCLE
from ramet.errors import ConfigError

FILE = ".ramet-accepted.json"


@dataclass(frozen=True, slots=True)
class Sorted:
    """new: fail the check. gone: fingerprints that are accepted and not found any more."""

    new: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    gone: tuple[str, ...]


def load(path: Path) -> dict[str, int]:
    """Empty where there is none. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from error
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", where=str(path), hint="ramet check --accept writes it anew") from error
    if not isinstance(found, dict) or not all(
        isinstance(count, int) and not isinstance(count, bool) and count > 0 for count in cast("dict[str, Any]", found).values()
    ):
        raise ConfigError(
            "it is no list of accepted findings: an object of texts with numbers above 0 is expected",
            where=str(path),
            hint="ramet check --accept writes it anew",
        )
    return cast("dict[str, int]", found)


def save(path: Path, findings: Iterable[Finding]) -> None:
    """Sorted, one a line, so that two branches that accept something can be merged. Nothing accepted: no file."""
    counted = Counter(each.fingerprint for each in findings)
    if not counted:
        path.unlink(missing_ok=True)
        return
    part = path.with_suffix(".part")
    part.write_text(json.dumps(counted, indent=0, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def sort(findings: Sequence[Finding], accepted: Mapping[str, int]) -> Sorted:
    left = dict(accepted)
    new: list[Finding] = []
    known: list[Finding] = []
    for finding in findings:
        fingerprint = _accepted_as(finding, left)
        if left.get(fingerprint, 0) > 0:
            left[fingerprint] -= 1
            known.append(finding)
        else:
            new.append(finding)
    return Sorted(tuple(new), tuple(known), tuple(sorted(fingerprint for fingerprint, count in left.items() if count)))


def _accepted_as(finding: Finding, accepted: dict[str, int]) -> str:
    """A circle of modules that has become smaller, or is told at another place, is the accepted one."""
    if finding.rule is CYCLE:
        members = set(finding.subject.split())
        for fingerprint in accepted:
            code, _, subject = fingerprint.split(" ", 2) if fingerprint.count(" ") > 1 else ("", "", "")
            if code == finding.code and members <= set(subject.split()):
                return fingerprint
    return finding.fingerprint
