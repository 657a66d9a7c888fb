"""A schedule: what a module does again and again by itself, on the one instance that owns its schedules. When, as arithmetic."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import msgspec

from ramet.errors import DeclarationError
from ramet.kit.durations import parse_duration_s
from ramet.model.contract import where_of

MIN_PERIOD_S = 0.1
"""What is to happen more often than ten times a second is a loop, not a schedule: each run takes a lock and leaves a log line."""
RETRY_S = 1.0
"""Pause after a run that could not begin, because the database did not answer. Within the 2 s that a gap may last."""
HELD_S = 0.1
"""Pause where the run of an earlier owner is still in hand."""


class Schedule(msgspec.Struct, frozen=True, eq=False):
    """period_s: from the start of a run to the start of the next. deadline_s: time that one run may take. function: without
    parameters. where: file:line of its declaration."""

    name: str
    period_s: float
    deadline_s: float
    function: Callable[[], Any]
    where: str


def schedule_of(module: str, function: Callable[..., Any], period: str | float, deadline: str | float) -> Schedule:
    """Raises DeclarationError, with the place of the function."""
    name = getattr(function, "__name__", "")
    if not name.isidentifier() or isinstance(function, type):
        raise DeclarationError(
            f"module `{module}` has a schedule {function!r}, which is not a function with a name", hint="use `async def`"
        )
    subject, where = f"{module}.{name}", where_of(function)
    try:
        period_s, deadline_s = parse_duration_s(period), parse_duration_s(deadline)
    except ValueError as error:
        raise DeclarationError(f"{subject}: {error}", where=where, hint='@module.every("30s")') from None
    if period_s < MIN_PERIOD_S:
        raise DeclarationError(
            f"{subject}: a period of {period_s:g} s is under {MIN_PERIOD_S:g} s",
            where=where,
            hint='@module.every("100ms"), and a loop inside of the function',
        )
    if deadline_s <= 0:
        raise DeclarationError(f"{subject}: a deadline must be longer than nothing", where=where)
    if parameters := ", ".join(inspect.signature(function).parameters):
        raise DeclarationError(
            f"{subject} has parameters ({parameters}), and nobody who would give them",
            where=where,
            hint=f"async def {name}() -> None",
        )
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise DeclarationError(f"{subject} yields, and nobody takes what it yields", where=where, hint="leave `yield` out")
    return Schedule(name, period_s, deadline_s, function, where)


def first_due_s(now: float, period_s: float, age_s: float | None) -> float:
    """When an owner that takes over at `now` is to begin. age_s: since the last run began, None where there was none: at once."""
    return now if age_s is None else now + max(period_s - age_s, 0.0)


def next_due_s(due: float, period_s: float, now: float) -> tuple[float, int]:
    """The first beat of the grid through `due` that is still to come at `now`, and how many were missed before it.

    Beats that pass while a run is in hand are dropped, not queued.
    """
    beats = max(math.floor((now - due) / period_s), 0) + 1
    if due + beats * period_s <= now:  # the quotient was rounded down past a whole number
        beats += 1
    return due + beats * period_s, beats - 1
