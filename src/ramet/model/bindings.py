"""An HTTP endpoint as data: which method and path lead to which call. `edge` interprets it."""

import re
from dataclasses import dataclass

from ramet.errors import DeclarationError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PATH = re.compile(r"(/([A-Za-z0-9_.~!$&'()*+,;=:@%-]|\{[A-Za-z_]\w*\})*)+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """path: `/articles/{slug}`; each name in braces is a parameter of the call. status: of a success, 200 to 299."""

    method: str
    path: str
    call: str
    status: int = 200

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)


def endpoint(method: str, path: str, call: str, status: int, parameters: set[str], where: str) -> Endpoint:
    """Check a binding against its call's parameters. Raises DeclarationError."""
    if not _PATH.fullmatch(path):
        raise DeclarationError(f"{call}: {path!r} is not a path", where=where, hint='write it as "/articles/{slug}"')
    if not 200 <= status <= 299:
        raise DeclarationError(
            f"{call}: status={status} is not a success",
            where=where,
            hint="a failure has its own status: class X(Failure, status=404)",
        )
    made = Endpoint(method, path, call, status)
    if unknown := [name for name in made.path_parameters if name not in parameters]:
        raise DeclarationError(
            f"{call}: the path names {{{unknown[0]}}}, which is not a parameter",
            where=where,
            hint=f"add the parameter `{unknown[0]}`, or correct the path",
        )
    if len(set(made.path_parameters)) < len(made.path_parameters):
        raise DeclarationError(f"{call}: the path names a parameter twice: {path}", where=where)
    return made
