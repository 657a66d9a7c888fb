"""What one check has found. Needs none of the libraries that find it."""

from dataclasses import dataclass
from pathlib import Path

from ramet.check.findings import Finding


@dataclass(frozen=True, slots=True)
class Report:
    """new: fail the check. notes: do not. gone: fingerprints that need no longer be accepted. lines: of all files."""

    folder: Path
    new: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    waived: tuple[Finding, ...]
    gone: tuple[str, ...]
    modules: int
    files: int
    lines: int
