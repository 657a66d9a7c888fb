"""Waivers in the source against findings: what is waived, and RM712 for a waiver that waives nothing."""

from collections.abc import Iterable

from ramet.check import rules
from ramet.check.facts import Waiver
from ramet.check.findings import Finding
from ramet.check.project import Project, SourceFile


def waive(project: Project, findings: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
    """(what stays, what is waived)."""
    waivers = [(file, waiver) for file in project.files.values() for waiver in project.facts[file.name].waivers]
    given = {(file.shown, waiver.line, code) for file, waiver in waivers if waiver.reason for code in waiver.codes}
    stays: list[Finding] = []
    waived: list[Finding] = []
    for finding in findings:
        (waived if (finding.file, finding.line, finding.code) in given else stays).append(finding)
    found = {(finding.file, finding.line, finding.code) for finding in waived}
    for file, waiver in waivers:
        unused = [code for code in waiver.codes if not waiver.reason or (file.shown, waiver.line, code) not in found]
        if unused or not waiver.codes:
            stays.append(_idle(file, waiver, unused))
    return stays, waived


def _idle(file: SourceFile, waiver: Waiver, unused: list[str]) -> Finding:
    if not waiver.codes:
        message = "this waiver names no code"
    elif not waiver.reason:
        message = f"this waiver of {', '.join(waiver.codes)} gives no reason"
    else:
        message = f"there is no finding {', '.join(unused)} on this line"
    return Finding(
        rules.WAIVES_NOTHING,
        file.shown,
        waiver.line,
        message,
        "remove it, or write it as `# ramet: allow RM705 because ...`",
        " ".join(unused) or "waiver",
    )
