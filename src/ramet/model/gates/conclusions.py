"""What can be said while nothing has ended the gate: an early pass, not yet, or what a whole bake has shown.

Without an old side, as at a weight of 1, nothing can be compared. The verdict is then never `pass`, and by numbers never `fail`:
it is `no_data`, or `inconclusive` where the share of errors is above `Policy.guard`. Hard signals count as before. A caller that
goes on after `no_data` at the last weight relies on the verdicts at the weights before it, and on the absence of hard signals.
"""

from ramet.model.gates.evidence import Counts
from ramet.model.gates.state import METRICS, Bake, Gate, Metric
from ramet.model.gates.verdicts import Verdict
from ramet.model.gates.wording import e_value, percent


def concluded(gate: Gate, bake: Bake) -> Verdict:
    policy, elapsed_s = gate.policy, gate.at_s - bake.since_s
    if bake.old.requests == 0 and bake.new.requests >= policy.min_requests:
        errors = Counts(bake.new.requests, bake.new.errors)
        if errors.bad >= policy.guard * errors.requests:
            told = f"{errors} requests failed, and there is no old side to tell whether that is the new one's fault"
            return gate.says("inconclusive", told, metric="errors")
    compared = min(bake.new_compared, bake.old_compared)
    if compared >= policy.min_requests and elapsed_s >= policy.min_s and _is_fine(gate):
        return gate.says("pass", f"the new side is not {policy.pass_ratio:g} times as bad: {_all_counts(gate)}")
    if elapsed_s < policy.bake_s:
        so_far = f"{elapsed_s:.0f} s of {policy.bake_s:.0f} s at a weight of {percent(bake.weight)}"
        few = f", {compared:,} of {policy.min_requests:,} requests" if compared < policy.min_requests else ""
        return gate.says("undecided", so_far + few)
    return _unseen(gate, bake, f"in {elapsed_s:.0f} s") or _baked(gate, f"in {elapsed_s:.0f} s")


def _unseen(gate: Gate, bake: Bake, time: str) -> Verdict | None:
    """The verdict for want of requests; None where there were enough."""
    if bake.new.requests == 0:
        return gate.says("no_data", f"the new side had no requests {time}")
    if bake.old.requests == 0:
        seen = f"{bake.new.requests:,} requests, {bake.new.errors:,} errors, {bake.new.slow:,} slow, and no hard signal"
        return gate.says("no_data", f"there is no old side to compare with; {time} the new one had {seen}")
    if bake.new_compared == 0:
        return gate.says("no_data", f"the two sides never had requests in the same {gate.policy.window_s:.0f} s")
    wanted = f"a pass needs {gate.policy.min_requests:,}"
    for name, count in (("new", bake.new_compared), ("old", bake.old_compared)):
        if count < gate.policy.min_requests:
            return gate.says("inconclusive", f"{count:,} requests of the {name} side could be compared {time}, {wanted}")
    return None


def _baked(gate: Gate, time: str) -> Verdict:
    metric = _doubtful(gate)
    if metric is None:
        return gate.says("pass", f"no sign {time} that the new side is worse: {_all_counts(gate)}")
    numbers = f"e-value {e_value(gate.evidence(metric).log_e_worse)}, {e_value(gate.log_e_fail)} is a fail"
    return gate.says("inconclusive", f"the new side may be worse: {_counts(gate, metric)} ({numbers})", metric=metric)


def _is_fine(gate: Gate) -> bool:
    return _doubtful(gate) is None and all(gate.evidence(metric).log_e_fine >= gate.log_e_pass for metric in METRICS)


def _doubtful(gate: Gate) -> Metric | None:
    for metric in METRICS:
        if gate.evidence(metric).log_e_worse >= gate.log_e_doubt:
            return metric
    return None


def _counts(gate: Gate, metric: Metric) -> str:
    evidence = gate.evidence(metric)
    return f"{metric} {evidence.new} new, {evidence.old} old"


def _all_counts(gate: Gate) -> str:
    return "; ".join(_counts(gate, metric) for metric in METRICS)
