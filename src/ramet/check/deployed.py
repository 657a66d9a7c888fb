"""RM720 and RM721: the contracts of this version against those of one that is deployed. Pure.

During a release both are there: old callers meet new callees, and new callers meet old callees. The first must work. The second
is a question of order: it works if callees are replaced first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ramet.check import rules
from ramet.check.findings import Finding
from ramet.check.project import Place
from ramet.model import compatibility
from ramet.model.compatibility import Descriptor, Difference
from ramet.model.contract import signature_of
from ramet.operate.files import FILE

Sites = Mapping[str, Mapping[str, str]]
"""Call -> modules that make it -> file:line, or empty where that is not known."""
_LEFT_OUT = "the callee requires it, the caller may leave it out"


@dataclass(frozen=True, slots=True)
class Version:
    """name: for messages, such as `main`. contracts: of all calls, by qualified name. places: of calls and of modules."""

    name: str
    contracts: Mapping[str, Descriptor]
    sites: Sites
    places: Mapping[str, Place] = field(default_factory=dict[str, Place])

    def place(self, call: str) -> Place:
        """Of the call, of its module, or of what lists the modules."""
        return self.places.get(call) or self.places.get(call.partition(".")[0]) or Place(FILE, 1)


def compare(old: Version, new: Version) -> Iterator[Finding]:
    """old: is deployed. new: has places."""
    for call, before in sorted(old.contracts.items()):
        callers = old.sites.get(call, {})
        after = new.contracts.get(call)
        if not callers:
            continue
        if after is None:
            yield _removed(call, before, old, new)
            continue
        for broken in _breaks(caller=before, callee=after):
            yield Finding(
                rules.BREAKS_CALLER,
                *new.place(call),
                f"`{call}` was changed: {broken}; that breaks {_listed(callers, old.name)}",
                _way(broken, before, after),
                f"{call} {broken.at}",
            )
        if (before["idempotent"] or before["once"]) and not (after["idempotent"] or after["once"]):
            word = "idempotent" if before["idempotent"] else "once"
            yield Finding(
                rules.BREAKS_CALLER,
                *new.place(call),
                f"`{call}` is not {word} any more, and {_listed(callers, old.name)} still repeats it when an answer is lost",
                f"keep {word}=True, or add a call of another name without it and leave this one as it is until no caller is left",
                f"{call} {word}",
            )
    yield from _callee_first(old, new)


def _removed(call: str, before: Descriptor, old: Version, new: Version) -> Finding:
    module = call.partition(".")[0]
    gone = "was removed" if module in new.places else f"went away with its module `{module}`"
    return Finding(
        rules.BREAKS_CALLER,
        *new.place(call),
        f"`{call}` {gone}; that breaks {_listed(old.sites[call], old.name)}",
        f"keep `{signature_of(before)}` beside what takes its place, and remove it when no deployed version calls it",
        call,
    )


def _callee_first(old: Version, new: Version) -> Iterator[Finding]:
    for call, callers in sorted(new.sites.items()):
        after, before = new.contracts.get(call), old.contracts.get(call)
        if after is None:
            continue
        if before is None:
            reason = f"{old.name} does not have it"
        else:
            broken = _breaks(caller=after, callee=before)
            if not broken or _breaks(caller=before, callee=after):
                continue  # no order helps, which is told already
            reason = "; ".join(map(str, broken))
        module = call.partition(".")[0]
        yield Finding(
            rules.CALLEE_FIRST,
            *new.place(call),
            f"{_listed(callers, new.name)} cannot call `{call}` of {old.name}: {reason}",
            f"release `{module}` before {', '.join(f'`{each}`' for each in sorted(callers))}",
            f"{call} first",
        )


def _listed(callers: Mapping[str, str], version: str) -> str:
    return ", ".join(f"`{name}` ({f'{where} of ' if where else ''}{version})" for name, where in sorted(callers.items()))


def _breaks(*, caller: Descriptor, callee: Descriptor) -> list[Difference]:
    """What peers look at when they connect, and defaults, which matter only to a call that leaves the parameter out."""
    optional = {each["name"] for each in caller["parameters"] if not each["required"]}
    return compatibility.differences(caller=caller, callee=callee) + [
        Difference(each["name"], _LEFT_OUT) for each in callee["parameters"] if each["required"] and each["name"] in optional
    ]


def _way(broken: Difference, before: Descriptor, after: Descriptor) -> str:
    """How to make the change so that both versions work while both are there."""
    root = broken.at.partition(".")[0].partition("[")[0].partition(" ")[0]
    sent, taken = _parameters(before), _parameters(after)
    name = after["call"].rpartition(".")[2]
    beside = f"add a call beside it, such as `{name}_2`, and keep `{name}` until no deployed version calls it"
    field = broken.at.rpartition(".")[2]
    if before["streams"] != after["streams"]:
        return beside
    if root in taken and root not in sent:
        return f"give `{root}` a default; callers that do not know it then get that"
    if root in sent and root not in taken:
        return f"keep `{root}`, with a default, and ignore it until no deployed version sends it"
    if root in sent and broken.reason == _LEFT_OUT:
        return f"keep the default of `{root}` until no deployed version leaves it out"
    if broken.reason == compatibility.NOT_SENT and root in taken:
        return f"give the field `{field}` a default"
    if broken.reason in {compatibility.NOT_SENT, compatibility.MAY_BE_ABSENT} and root == "result":
        return f"keep sending `{field}` until no deployed version reads it"
    if root == "result":
        return f"go on answering what the old callers read, and put what is new in a field with a default; or {beside}"
    return f"take the old type as well (`old | new`) until no deployed version sends it; or {beside}"


def _parameters(descriptor: Descriptor) -> Sequence[str]:
    return [parameter["name"] for parameter in descriptor["parameters"]]
