"""What a gate remembers between two samples. A value: each sample makes another one."""

import math
from typing import Literal

import msgspec

from ramet.model.gates.evidence import Evidence
from ramet.model.gates.policy import Policy
from ramet.model.gates.samples import Side
from ramet.model.gates.verdicts import Kind, Measure, Verdict

Metric = Literal["errors", "slow"]
METRICS: tuple[Metric, ...] = ("errors", "slow")
"""alpha is split evenly over them. Each is a field of `Side` and of `Gate`."""


class Window(msgspec.Struct, frozen=True):
    """Ticks that wait to be tested as one. since_s: None while there is none."""

    since_s: float | None = None
    new: Side = Side()
    old: Side = Side()


class Bake(msgspec.Struct, frozen=True):
    """The time at one weight. new, old: all of its requests; new_compared, old_compared: how many were in tested windows."""

    since_s: float
    weight: float
    new: Side = Side()
    old: Side = Side()
    new_compared: int = 0
    old_compared: int = 0


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Made by `gate.opened`, changed by `gate.observe`, asked by `gate.verdict`."""

    policy: Policy
    errors: Evidence = Evidence()
    slow: Evidence = Evidence()
    window: Window = Window()
    bake: Bake | None = None
    """None before the first sample."""
    at_s: float = 0.0
    """End of the last tick; without meaning before the first."""
    old_exceptions: frozenset[str] = frozenset()
    new_exceptions: dict[str, int] = {}
    """Those that the old side never raised, with the requests that they ended."""
    old_signals: dict[str, float] = {}
    """Kind -> when the old side had it last."""
    final: Verdict | None = None
    """What ended the gate for good."""

    @property
    def log_e_fail(self) -> float:
        """What a metric's evidence must reach for it to blame the new side."""
        return math.log(len(METRICS)) - math.log(self.policy.alpha)

    @property
    def log_e_pass(self) -> float:
        """For an early pass. alpha is not split here, since every metric must reach it."""
        return -math.log(self.policy.alpha)

    @property
    def log_e_doubt(self) -> float:
        return math.log(self.policy.doubt)

    def evidence(self, metric: Metric) -> Evidence:
        return self.errors if metric == "errors" else self.slow

    def says(self, kind: Kind, reason: str, *, metric: str = "") -> Verdict:
        """A verdict with the numbers of now."""
        return Verdict(
            kind=kind,
            reason=reason,
            metric=metric,
            at_s=self.at_s,
            measures=tuple(
                Measure(
                    metric=each,
                    new=(evidence := self.evidence(each)).new,
                    old=evidence.old,
                    log10_e_worse=evidence.log_e_worse / math.log(10),
                    log10_e_fail=self.log_e_fail / math.log(10),
                    log10_e_fine=evidence.log_e_fine / math.log(10),
                    log10_e_pass=self.log_e_pass / math.log(10),
                )
                for each in METRICS
            ),
        )
