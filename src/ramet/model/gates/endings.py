"""What ends a gate for good: hard signals, exception types that only the new side raises, and evidence that it is worse.

Each also asks whether both sides suffer. Then the plan stops all the same, but the new side is not blamed: `inconclusive`.
"""

import math

from ramet.model.gates.samples import Sample, Signal
from ramet.model.gates.state import METRICS, Gate
from ramet.model.gates.verdicts import Verdict
from ramet.model.gates.wording import e_value, percent

SHAREABLE = ("crash", "unready", "memory")
"""Kinds of signals that a cause outside of the two versions can give to both. A contract is the version's own."""
TWICE = 2
"""Requests that an unknown exception type must have ended: one may be a fluke."""


def ending(gate: Gate, sample: Sample) -> Verdict | None:
    """Of a gate that has just taken this sample. None: it goes on. Of several the one that blames the new side."""
    found = [_signalled(gate, signal) for signal in sample.signals if signal.side == "new"]
    found += [_raised(gate, name, sample.weight) for name in sorted(sample.new.exceptions.keys() & gate.new_exceptions.keys())]
    found.append(_worse(gate))
    ends = [verdict for verdict in found if verdict is not None]
    return min(ends, key=lambda verdict: verdict.kind != "fail", default=None)


def _signalled(gate: Gate, signal: Signal) -> Verdict:
    told = f"{signal.kind} of {signal.instance}{f': {signal.detail}' if signal.detail else ''}"
    if signal.kind in SHAREABLE and signal.kind in gate.old_signals:
        before_s = gate.at_s - gate.old_signals[signal.kind]
        if before_s <= gate.policy.shared_s:
            when = f"{before_s:.0f} s before" if before_s else "in the same tick"
            return gate.says("inconclusive", f"{told}; the old side had the same {when}, so both suffer", metric=signal.kind)
    return gate.says("fail", told, metric=signal.kind)


def _raised(gate: Gate, name: str, weight: float) -> Verdict | None:
    times = gate.new_exceptions[name]
    if times < times_needed(weight, gate.policy.alpha / len(METRICS)):
        return None
    told = f"{name} ended {times} requests on the new side and none on the old one"
    if weight == 1:
        return gate.says("inconclusive", f"{told}, which no longer serves and could not show it", metric="exception")
    return gate.says("fail", told, metric="exception")


def times_needed(weight: float, chance: float) -> int:
    """Requests that an exception type must have ended on the new side alone.

    Two, up to a weight of 15 %. A trouble that both sides share gives the first two to the new side with probability weight**2,
    so from there on it takes as many as make that at most `chance`, for which a gate allows what it allows a metric: six at 50 %.
    """
    if not 0 < weight < 1:
        return TWICE
    return max(TWICE, math.ceil(math.log(chance) / math.log(weight)))


def _worse(gate: Gate) -> Verdict | None:
    for metric in METRICS:
        evidence = gate.evidence(metric)
        if evidence.log_e_worse >= gate.log_e_fail:
            new, old = evidence.new, evidence.old
            share = percent(new.requests / (new.requests + old.requests))
            return gate.says(
                "fail",
                f"{metric}: {new.bad:,} of {new.bad + old.bad:,} came from the new side, which had {share} of the requests"
                f" (e-value {e_value(evidence.log_e_worse)}, {e_value(gate.log_e_fail)} is enough)",
                metric=metric,
            )
    return None
