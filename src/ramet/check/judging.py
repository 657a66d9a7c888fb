"""From a folder to a report: find the files, read them, ask every rule, waive, and compare with what is accepted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ramet.check import boundaries, cycles, layers, ratchet, state, tables, transactions, unread, uses, waiving
from ramet.check.findings import Finding, order
from ramet.check.opening import Opened
from ramet.check.project import Project
from ramet.check.report import Report

ACCEPTED = ratchet.FILE

FAMILIES: tuple[Callable[[Project], Iterator[Finding]], ...] = (
    boundaries.find,
    uses.find,
    cycles.find,
    transactions.find,
    tables.find,
    state.find,
    layers.find,
    unread.find,
)
"""One a family. A new one is a new file and a line here."""


def report(opened: Opened, accepted_file: Path) -> Report:
    """Raises ConfigError for a damaged file of accepted findings."""
    found, waived = waiving.waive(opened.project, [finding for find in FAMILIES for finding in find(opened.project)])
    return report_of(opened, found, waived, ratchet.load(accepted_file))


def report_of(
    opened: Opened, found: Sequence[Finding], waived: Sequence[Finding] = (), accepted: Mapping[str, int] | None = None
) -> Report:
    found = sorted(found, key=order)
    judged = ratchet.sort([each for each in found if not each.rule.is_note], accepted or {})
    return Report(
        folder=opened.project.folder,
        new=judged.new,
        notes=tuple(each for each in found if each.rule.is_note),
        accepted=judged.accepted,
        waived=tuple(waived),
        gone=judged.gone,
        modules=len(opened.project.modules),
        files=len(opened.project.files),
        lines=opened.lines,
    )


def accept(report: Report, accepted_file: Path) -> Sequence[Finding]:
    """From now on what is found today does not fail the check. Returns what that is."""
    every = (*report.new, *report.accepted)
    ratchet.save(accepted_file, every)
    return every
