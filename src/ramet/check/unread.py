"""RM711 and RM710: files that could not be read, and imports whose target is computed."""

from collections.abc import Iterator

from ramet.check import rules
from ramet.check.findings import Finding
from ramet.check.project import Project


def find(project: Project) -> Iterator[Finding]:
    for file in project.files.values():
        facts = project.facts[file.name]
        if facts.problem is not None:
            yield Finding(
                rules.UNREADABLE,
                file.shown,
                facts.problem.line,
                f"not read, so nothing in it was checked: {facts.problem.text}",
                "correct the file",
                "unreadable",
            )
        for line in facts.unresolved:
            yield Finding(
                rules.RUN_TIME,
                file.shown,
                line,
                "what this imports is computed",
                "write the name as a literal if it is one of this project",
                "import",
            )
