"""A plan in words: for each step what it does, why, how long it should take, what can go wrong, and how it is undone. Pure."""

import msgspec

from ramet.model.facts import Facts
from ramet.model.planning import Plan
from ramet.model.steps import AnyStep, Watch


class StepLine(msgspec.Struct, frozen=True, kw_only=True):
    """takes_s: expected, in seconds; what is in hand may take longer to finish."""

    kind: str
    what: str
    why: str
    takes_s: float
    risk: str
    undo: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A plan for a person. actions: what a dry run of the same steps would have done. needs: in words."""

    title: str
    lines: list[StepLine]
    actions: list[str]
    needs: str
    takes_s: float


_RISKS = {
    "Start": ("it may not become ready: nothing has traffic there yet", "stop them"),
    "Host": ("its pool may not open: nothing has traffic there yet", "drop them again"),
    "Compare": ("it may find a difference, and end the plan", "nothing to undo"),
    "Shift": ("what is wrong at the new place meets this share of requests until the gate sees it", "the shares of before"),
    "Watch": ("none; it looks", "nothing to undo"),
    "HandOver": ("schedules wait until the old owner has stopped", "hand them back"),
    "Drop": ("a call that lasts over 30 s fails the step, not itself", "host them again"),
    "Stop": ("none in traffic by then; a call that lasts over 15 s is cut off", "start them again"),
    "Migrate": ("a lock that is held for long makes it wait and try again", ""),
    "Settle": ("none", "the name of before"),
    "AddReplica": ("it reads all of the server once, and the log is kept until it streams", "remove it"),
    "RemoveReplica": ("reads go to the others, or to the primary", "make it again"),
    "FailOver": ("writes under way fail or are in doubt, and say so; the next wait", "the same, to the old primary"),
    "Synchronous": ("a commit takes as long as the slower disk; without a replica it waits", "as before"),
    "AddServer": ("it may not start: nothing is on it yet", "stop it"),
    "RemoveServer": ("none: no shard is on it", "start it again"),
    "AddShard": ("none: it owns nothing", "remove it"),
    "DropShard": ("none: it owns nothing", ""),
    "Copy": ("it reads all rows of the slice, and the log grows until they are there", "end replication, delete the copy"),
    "Verify": ("it reads all rows of the slice, on both sides", "nothing to undo"),
    "Switch": ("writers to the slice wait; a transaction over 10 s is in its way, and it tries again", "the same, the other way"),
    "Clean": ("none; the way back ends", ""),
}
_SECONDS = {
    "Host": 0.3,
    "Shift": 0.1,
    "HandOver": 0.2,
    "Drop": 5.0,
    "Stop": 1.0,
    "Migrate": 1.0,
    "AddReplica": 3.0,
    "RemoveReplica": 1.0,
    "FailOver": 2.0,
    "AddServer": 2.0,
    "AddShard": 1.0,
    "Copy": 3.0,
    "Verify": 1.0,
    "Clean": 1.0,
}
"""Measured on two shared cores with conduit; a Drop waits out the longest deadline of what was under way."""


def told(plan: Plan, facts: Facts, actions: list[str]) -> Told:
    lines = [_line(step, facts) for step in plan.steps]
    needs = plan.needs
    most = f" of {needs.max_connections}" if needs.max_connections is not None else ""
    words = f"{needs.instances} instances and {needs.connections}{most} database connections at its height"
    if needs.ports:
        words += f", {needs.ports} port{'s' * (needs.ports > 1)} for new instances, any that are free"
    if needs.more_bytes:
        words += f", {needs.more_bytes / 2**20:.0f} MB of memory more than now"
        words += f" ({needs.free_bytes / 2**20:.0f} MB are free)" if needs.free_bytes else ""
    return Told(title=plan.title, lines=lines, actions=actions, needs=words, takes_s=sum(line.takes_s for line in lines))


def _line(step: AnyStep, facts: Facts) -> StepLine:
    kind = type(step).__name__
    risk, undo = _RISKS[kind]
    if step.is_irreversible:
        undo = "it stays: forward only, both versions run on it" if kind == "Migrate" else "it is final"
    takes_s = step.seconds if isinstance(step, Watch) else facts.start_s if kind == "Start" else _SECONDS.get(kind, 0.1)
    return StepLine(kind=kind, what=step.describe(), why=step.why, takes_s=takes_s, risk=risk, undo=undo)
