"""How problems are told: in the shape of the RealWorld specification, `{"errors": {"title": ["can't be blank"]}}`."""

import re

import msgspec

from conduit.failures import Forbidden, NotFound, Taken, Unauthorized
from ramet.edge.problems import Finding, Problem
from ramet.model.replies import Reply

_BLANK = re.compile(r"is missing|got `null`$|length >= 1$|matching regex '\\\\S'$")
_TOO_LONG = re.compile(r"length <= (\d+)$")


class Errors(msgspec.Struct, frozen=True):
    """errors: what is wrong, by the field or the thing that it is wrong with."""

    errors: dict[str, list[str]]


def render(problem: Problem) -> Reply[Errors]:
    return Reply(Errors(_errors(problem)), status=problem.status, headers=dict(problem.headers))


def _errors(problem: Problem) -> dict[str, list[str]]:
    match problem.failure:
        case Unauthorized(what=what, why=why):
            return {what: [why]}
        case Forbidden(what=what):
            return {what: ["forbidden"]}
        case NotFound(what=what):
            return {what: ["not found"]}
        case Taken(what=what):
            return {what: ["has already been taken"]}
        case _:
            pass
    found: dict[str, list[str]] = {}
    for finding in problem.findings:
        found.setdefault(_field(finding), []).append(_words(finding.message))
    return found or {"body": [problem.detail or problem.title or "failed"]}


def _field(finding: Finding) -> str:
    """`title` for `article.title`, and for `article.tagList[3]` the list."""
    return finding.name.rpartition(".")[2].partition("[")[0] or finding.place


def _words(message: str) -> str:
    """What msgspec found, for the people who filled in the form."""
    if _BLANK.search(message):
        return "can't be blank"
    if too_long := _TOO_LONG.search(message):
        return f"is too long (maximum is {too_long[1]} characters)"
    if "matching regex" in message:
        return "is invalid"
    return f"is invalid: {message}"
