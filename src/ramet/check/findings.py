"""A finding: which rule, where, what is so, and what to change."""

from collections.abc import Sequence
from dataclasses import dataclass

from ramet.check.rules import Rule


@dataclass(frozen=True, slots=True)
class Finding:
    """file: relative to the project's folder, with `/`. message: one sentence without a full stop. change: what to do here.

    subject: what it is about, without a line number: with code and file it tells the same finding again in another version.
    """

    rule: Rule
    file: str
    line: int
    message: str
    change: str
    subject: str

    @property
    def code(self) -> str:
        return self.rule.code

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def fingerprint(self) -> str:
        return f"{self.code} {self.file} {self.subject}"


def listed(names: Sequence[str], *, between: str = ", ") -> str:
    """For a message: the first eight, and how many there are besides."""
    if len(names) <= 9:  # "and 1 more" is longer than the one
        return between.join(names)
    return f"{between.join(names[:8])}{between}and {len(names) - 8:,} more"


def order(finding: Finding) -> tuple[str, int, str, str]:
    """By place."""
    return finding.file, finding.line, finding.code, finding.subject
