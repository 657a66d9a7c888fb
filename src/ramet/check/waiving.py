"""Waivers in the source against findings: what is waived, and RM712 for a waiver that waives nothing."""

from collections.abc import Iterable

from ramet.check import rules
from ramet.check.facts import Waiver
from ramet.check.findings import Finding
from ramet.check.project import Project, SourceFile


def waive(project: Project, findings: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
    """(what stays, what is waived)."""
    waivers = {
        (file.shown, waiver.line): (file, waiver)
        for file in project.files.values()
        for waiver in project.facts[file.name].waivers
    }
    stays: list[Finding] = []
    waived: list[Finding] = []
    used: set[tuple[str, int, str]] = set()
    for finding in findings:
        _, waiver = waivers.get((finding.file, finding.line), (None, None))
        if waiver is not None and waiver.reason and finding.code in waiver.codes:
            used.add((finding.file, finding.line, finding.code))
            waived.append(finding)
        else:
            stays.append(finding)
    for file, waiver in waivers.values():
        unused = [code for code in waiver.codes if (file.shown, waiver.line, code) not in used]
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
