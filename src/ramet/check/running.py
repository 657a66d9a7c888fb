"""From a folder to a report: find the files, read them, ask every rule, waive, and compare with what is accepted."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ramet.check import boundaries, cycles, declared, ratchet, state, tables, transactions, unread, uses, waiving
from ramet.check.findings import Finding, order
from ramet.check.project import Project
from ramet.check.report import Report

ACCEPTED = ratchet.FILE

RULES: tuple[Callable[[Project], Iterator[Finding]], ...] = (
    boundaries.find,
    uses.find,
    cycles.find,
    transactions.find,
    tables.find,
    state.find,
    declared.find,
    unread.find,
)
"""One a family. A new one is a new file and a line here."""


def report(project: Project, lines: int, accepted_file: Path) -> Report:
    """Raises ConfigError for a damaged file of accepted findings."""
    found, waived = waiving.waive(project, [finding for rule in RULES for finding in rule(project)])
    found.sort(key=order)
    sorted_ = ratchet.sort([each for each in found if not each.rule.is_note], ratchet.load(accepted_file))
    return Report(
        folder=project.folder,
        new=sorted_.new,
        notes=tuple(each for each in found if each.rule.is_note),
        accepted=sorted_.accepted,
        waived=tuple(waived),
        gone=sorted_.gone,
        modules=len(project.modules),
        files=len(project.files),
        lines=lines,
    )


def accept(report: Report, accepted_file: Path) -> Sequence[Finding]:
    """From now on what is found today does not fail the check. Returns what that is."""
    every = (*report.new, *report.accepted)
    ratchet.save(accepted_file, every)
    return every
