"""A version of the user's code as data: what its modules call, serve and own. Made by importing it, in a process of its own where
it is not the running one; plans, routes and gates are made from this and never from code.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ramet.model.compatibility import Difference, differences
from ramet.model.contract import signature_of


class HttpEndpoint(msgspec.Struct, frozen=True):
    """An HTTP endpoint. path: with the application's prefix. call: its name where it is a call, else empty. is_repeatable: a
    request may be sent again after its connection was lost."""

    method: str
    path: str
    call: str = ""
    is_repeatable: bool = False


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A module of a release. calls: name -> descriptor of its contract. mounts: prefixes of whole applications. key: of its
    database's rows, None for none. migrations: the folder of their scripts, empty for none. schedules: names of what one
    instance owns: schedules and materialised results."""

    uses: tuple[str, ...] = ()
    calls: dict[str, dict[str, Any]] = {}
    endpoints: tuple[HttpEndpoint, ...] = ()
    mounts: tuple[str, ...] = ()
    has_database: bool = False
    key: str | None = None
    migrations: str = ""
    schedules: tuple[str, ...] = ()


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """version: the label under which it runs; unique among what runs. file: its ramet.toml. python: that runs it."""

    app: str
    version: str
    file: str
    python: str
    modules: dict[str, Part]

    def labelled(self, version: str, python: str) -> "Release":
        return msgspec.structs.replace(self, version=version, python=python)

    @property
    def scheduled(self) -> set[str]:
        return {name for name, part in self.modules.items() if part.schedules}


class Break(msgspec.Struct, frozen=True):
    """A call that one version makes and another cannot take. Signatures on one line each."""

    caller: str
    call: str
    reasons: tuple[str, ...]
    caller_has: str
    callee_has: str
    way: str

    def __str__(self) -> str:
        why = "; ".join(self.reasons)
        return f"`{self.caller}` calls {self.call}: {why}\n  caller: {self.caller_has}\n  callee: {self.callee_has}\n  {self.way}"


def breaks(caller: Release, callee: Release) -> list[Break]:
    """What callers of one release could not call in another. Empty: they can be mixed in this direction."""
    found: list[Break] = []
    for name, part in caller.modules.items():
        for used in part.uses:
            theirs = callee.modules.get(used)
            for call, descriptor in caller.modules[used].calls.items() if used in caller.modules else ():
                taken = theirs.calls.get(call) if theirs is not None else None
                if taken is None:
                    found.append(_gone(name, caller.version, callee.version, descriptor))
                elif reasons := differences(descriptor, taken):
                    found.append(_changed(name, caller.version, callee.version, descriptor, taken, reasons))
    return found


def _gone(caller: str, caller_version: str, version: str, descriptor: Mapping[str, Any]) -> Break:
    return Break(
        f"{caller}@{caller_version}",
        str(descriptor["call"]),
        (f"{version} does not have it",),
        signature_of(dict(descriptor)),
        "none",
        "keep it until no deployed caller declares its module, and remove it in the release after",
    )


def _changed(
    caller: str,
    caller_version: str,
    version: str,
    descriptor: Mapping[str, Any],
    taken: Mapping[str, Any],
    reasons: list[Difference],
) -> Break:
    return Break(
        f"{caller}@{caller_version}",
        str(descriptor["call"]),
        tuple(f"{reason} ({version})" for reason in reasons),
        signature_of(dict(descriptor)),
        signature_of(dict(taken)),
        "make the change additive (a default, an optional field), or add a call beside this one and move the callers first",
    )
