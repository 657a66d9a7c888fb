"""Findings for programs: as JSON, and as the workflow commands that GitHub shows beside the lines of a pull request."""

from collections.abc import Callable, Iterable
from typing import Any

from ramet.check.findings import Finding
from ramet.check.report import Report


def as_json(report: Report, shown: Callable[[str], str]) -> dict[str, Any]:
    """shown: the path of a finding's file as the reader can open it."""
    return {
        "findings": [finding_as_json(each, shown) for each in report.new],
        "notes": [finding_as_json(each, shown) for each in report.notes],
        "accepted": len(report.accepted),
        "waived": len(report.waived),
        "gone": list(report.gone),
        "modules": report.modules,
        "files": report.files,
        "lines": report.lines,
    }


def finding_as_json(finding: Finding, shown: Callable[[str], str]) -> dict[str, Any]:
    return {
        "code": finding.code,
        "rule": finding.rule.title,
        "file": shown(finding.file),
        "line": finding.line,
        "message": finding.message,
        "why": finding.rule.why,
        "change": finding.change,
    }


def as_github(findings: Iterable[Finding], shown: Callable[[str], str]) -> list[str]:
    """One line each. shown: the path relative to the repository."""
    return [
        f"::{'notice' if each.rule.is_note else 'error'} file={_property(shown(each.file))},line={each.line},"
        f"title={_property(f'{each.code} {each.rule.title}')}::"
        + _escaped(f"{each.message}.\nWhy: {each.rule.why}\nChange: {each.change}.")
        for each in findings
    ]


def _escaped(text: str) -> str:
    """Source: github.com/actions/toolkit, packages/core/src/command.ts."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
