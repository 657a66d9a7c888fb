"""How many instances a service should have, from what was measured of it, and why. Pure; `operate.autoscaler` measures and does.

    wanted = ceil(instances * metric / target), the largest over the metrics, none where all are within a tolerance

That is the formula of Kubernetes' HorizontalPodAutoscaler, and so are the two brakes: upwards so much at most at once, downwards
only to the highest that was wanted in a window. Metrics are means per instance over the last seconds. What is not known moves
nothing: where an instance is not ready or did not answer there is no decision, and the decision says so.
"""

import math
from collections.abc import Sequence

import msgspec

from ramet.kit.durations import format_duration

AVERAGE_S = 10.0
"""Metrics are means over so long. Long enough that a garbage collection or one slow request moves nothing, short enough that a
rush is answered before its users leave."""
ENOUGH = 5
"""Measurements without which there is no mean; half of what comes in AVERAGE_S at one a second."""
TOLERANCE = 0.1
"""A metric within 10 % of its target moves nothing: the HPA's default, and more than a mean over 10 s wavers by chance."""
GROWTH = 2
"""At most so many times as many instances after one decision. Doubling reaches any load in a few steps, and one wrong
measurement cannot start a hundred processes."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a service is to keep to, per instance; each metric counts, the one that asks for the most instances wins."""

    cpu: float = 0.6
    """CPU time, as a share of one core. One instance runs Python on one core, so 0.6 leaves room for a rush of half as much again
    while a further instance starts."""

    in_flight: float = 50.0
    """Requests and calls in hand. 50: what one event loop can keep going without the last one waiting for the others, when each
    waits for a database most of the time. A guess."""

    queue_wait_s: float = 0.02
    """Seconds that work waits before anybody begins it: for the event loop, for a connection of a pool, for an endpoint. 20 ms is
    what a user does not notice."""

    window_s: float = 300.0
    """A service shrinks to the highest number that was wanted in so many seconds. 5 minutes, the HPA's default: whoever comes
    back from a break finds what was there before."""

    cooldown_s: float = 15.0
    """No decision for so many seconds after a change, whoever made it. An instance starts in 2 s, and then a mean of its own is
    needed."""


class Limits(msgspec.Struct, frozen=True):
    """least, most: instances."""

    least: int
    most: int
    target: Target = Target()


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A service at one moment, on a clock that only grows. The metrics are means over its instances, in the units of `Target`.
    missing: why it could not be measured, in words; empty where it was."""

    at_s: float
    instances: int
    cpu: float = 0.0
    in_flight: float = 0.0
    queue_wait_s: float = 0.0
    missing: str = ""


class Advice(msgspec.Struct, frozen=True):
    at_s: float
    instances: int


class Decision(msgspec.Struct, frozen=True):
    """wanted: instances; those that there are where nothing is to change. why: in words, with numbers, in either case."""

    wanted: int
    why: str


class Watched(msgspec.Struct, frozen=True):
    """What is remembered of one service. since_s: measured without a gap since then. changed_s: when its instances last became
    more or fewer; None where that was never seen."""

    measured: tuple[Measured, ...] = ()
    advice: tuple[Advice, ...] = ()
    since_s: float = 0.0
    changed_s: float | None = None

    def changed(self, at_s: float) -> "Watched":
        """Something was begun for it: the cool-down starts, whether or not instances follow."""
        return msgspec.structs.replace(self, changed_s=at_s)


def decide(before: Watched, now: Measured, limits: Limits) -> tuple[Watched, Decision]:
    """Take one measurement in. Returns what is to be remembered, and what follows from it."""
    after = _remember(before, now)
    means = _means(after.measured)
    if now.missing:
        return after, _stay(now, f"nothing is decided, since {now.missing}")
    if now.instances != _bounded(now.instances, limits):
        return after, _back(after, now, limits)
    if means is None:
        count = sum(not each.missing for each in after.measured)
        return after, _stay(now, f"nothing is decided, since there are {count} of {ENOUGH} measurements")
    advised, why = _advised(now.instances, means, limits.target)
    advised = _bounded(advised, limits)
    since_s = after.since_s if after.advice else now.at_s
    advice = (*(each for each in after.advice if each.at_s > now.at_s - limits.target.window_s), Advice(now.at_s, advised))
    after = msgspec.structs.replace(after, advice=advice, since_s=since_s)
    return after, _braked(after, now, advised, why, limits)


def _remember(before: Watched, now: Measured) -> Watched:
    """A mean is of one number of instances; a window has no gaps."""
    last = before.measured[-1] if before.measured else None
    changed_s = now.at_s if last is not None and last.instances != now.instances else before.changed_s
    kept = [each for each in before.measured if each.at_s > now.at_s - AVERAGE_S and each.instances == now.instances]
    has_gap = bool(before.advice) and before.advice[-1].at_s < now.at_s - 2 * AVERAGE_S
    return Watched((*kept, now), () if has_gap else before.advice, before.since_s, changed_s)


def _means(measured: Sequence[Measured]) -> Measured | None:
    """None where too little was measured."""
    good = [each for each in measured if not each.missing]
    if len(good) < ENOUGH:
        return None
    return Measured(
        at_s=good[-1].at_s,
        instances=good[-1].instances,
        cpu=sum(each.cpu for each in good) / len(good),
        in_flight=sum(each.in_flight for each in good) / len(good),
        queue_wait_s=sum(each.queue_wait_s for each in good) / len(good),
    )


def _advised(instances: int, means: Measured, target: Target) -> tuple[int, str]:
    """By the metric that asks for the most, and what it says."""
    ratios = (
        (means.cpu / target.cpu, f"cpu {means.cpu:.2f} of a core per instance, target {target.cpu:g}"),
        (means.in_flight / target.in_flight, f"{means.in_flight:.1f} in flight per instance, target {target.in_flight:g}"),
        (
            means.queue_wait_s / target.queue_wait_s,
            f"queue wait {format_duration(means.queue_wait_s)}, target {format_duration(target.queue_wait_s)}",
        ),
    )
    ratio, why = max(ratios)
    if abs(ratio - 1) <= TOLERANCE:
        return instances, f"{why}, within {TOLERANCE:.0%}"
    return max(math.ceil(instances * min(ratio, 1e6)), 1), why


def _back(after: Watched, now: Measured, limits: Limits) -> Decision:
    """Into a range that was changed in the file."""
    why = f"its range is {limits.least} to {limits.most} instances"
    if cooling := _cooling(after, now, limits.target):
        return _stay(now, f"{why}; {cooling}")
    return Decision(_step(_bounded(now.instances, limits), now), why)


def _step(wanted: int, now: Measured) -> int:
    """So far at once."""
    return min(max(wanted, now.instances - 1), now.instances * GROWTH)


def _cooling(after: Watched, now: Measured, target: Target) -> str:
    """Why it must wait; empty where it need not."""
    if after.changed_s is None or now.at_s - after.changed_s >= target.cooldown_s:
        return ""
    return f"it changed {now.at_s - after.changed_s:.0f} s ago, and rests for {target.cooldown_s:g} s"


def _braked(after: Watched, now: Measured, advised: int, why: str, limits: Limits) -> Decision:
    target = limits.target
    if cooling := _cooling(after, now, target):
        return _stay(now, f"{why}; {cooling}")
    if advised > now.instances:
        return Decision(_step(advised, now), why)
    if advised == now.instances:
        return _stay(now, f"{why}: enough" if advised < limits.most else f"{why}: it has its most, {limits.most}")
    if now.at_s - after.since_s < target.window_s:
        return _stay(now, f"{why}; seen for {now.at_s - after.since_s:.0f} s, fewer only after {target.window_s:g} s")
    highest = max(each.instances for each in after.advice)
    if highest >= now.instances:
        return _stay(now, f"{why}; {highest} were wanted within the last {target.window_s:g} s")
    return Decision(_step(highest, now), f"{why}; no more than {highest} were wanted for {target.window_s:g} s")


def _stay(now: Measured, why: str) -> Decision:
    return Decision(now.instances, why)


def _bounded(count: int, limits: Limits) -> int:
    return min(max(count, limits.least), limits.most)
