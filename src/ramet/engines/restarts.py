"""Whether and when a process that ended is started again. Decisions only; `supervision` carries them out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    first_delay_s: float = 0.1
    """Delay before the first restart, in seconds. 100 ms: short enough that a killed engine is back within a deadline."""

    factor: float = 2.0
    """Each further failure in a row waits this many times longer."""

    max_delay_s: float = 30.0
    """Longest delay. 30 s: a person who repaired the cause does not wait longer than that for the effect."""

    jitter: float = 0.2
    """Share of the delay that chance takes off or adds, so that processes that died together do not start together."""

    healthy_after_s: float = 60.0
    """A run of this length makes earlier failures forgotten, in seconds. Longer than the longest delay."""

    give_up_after: int | None = None
    """Failures in a row after which it is left alone; None tries for ever, as the cause may be outside, such as a full disk."""


@dataclass(frozen=True, slots=True)
class Restart:
    delay_s: float
    failures: int
    """Failures in a row, this one included; the next decision takes it."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    failures: int


def decide_restart(policy: RestartPolicy, *, failures: int, ran_s: float, chance: float) -> Restart | GiveUp:
    """What follows the end of a run.

    failures: in a row before this one. ran_s: how long it was ready, 0 if it never was. chance: from 0 to 1, uniform.

    The delay is `min(first * factor ** (failures - 1), max) * (1 + jitter * (2 * chance - 1))`.
    """
    failures = 1 if ran_s >= policy.healthy_after_s else failures + 1
    if policy.give_up_after is not None and failures > policy.give_up_after:
        return GiveUp(failures)
    doublings = min(failures - 1, 64)  # beyond it the power could overflow, and the maximum rules anyway
    delay_s = min(policy.first_delay_s * policy.factor**doublings, policy.max_delay_s)
    return Restart(delay_s * (1 + policy.jitter * (2 * chance - 1)), failures)
