"""A gate, fed with samples and asked for its verdict. No clock and no I/O, so that a recorded rollout can be judged again.

    >>> from ramet.model.gates import gate
    >>> from ramet.model.gates.policy import Policy
    >>> from ramet.model.gates.samples import Sample, Side
    >>> state = gate.opened(Policy(bake_s=300))
    >>> for minute in range(3):
    ...     new, old = Side(requests=12, errors=1), Side(requests=108)
    ...     state = gate.observe(state, Sample(since_s=60 * minute, at_s=60 * (minute + 1), weight=0.1, new=new, old=old))
    ...     print(gate.verdict(state).kind)
    undecided
    undecided
    fail
    >>> print(gate.verdict(state).reason)
    errors: 3 of 3 came from the new side, which had 10 % of the requests (e-value 196, 40 is enough)

Windows. Samples come as often as the caller likes, once a second or once a minute. They are pooled into windows that follow each
other without overlap, and a window is tested as one. Where it ends depends on time, weight and numbers of requests, never on
errors, which would be choosing the evidence. A window in which one side had no requests is dropped.

Bakes. A bake is the time at one weight: a sample with another weight begins the next. Evidence carries over from bake to bake.
The time and the requests that a pass needs do not.

Endings. A hard signal, an exception type that only the new side raises, or enough evidence that it is worse ends a gate for good
(`endings`). All else (`conclusions`) is said for now, and may be another verdict after the next sample.
"""

from collections.abc import Iterable

import msgspec

from ramet.errors import RecordingError
from ramet.model.gates.conclusions import concluded
from ramet.model.gates.endings import ending
from ramet.model.gates.evidence import Counts, Evidence, weigh
from ramet.model.gates.policy import Policy
from ramet.model.gates.samples import Sample
from ramet.model.gates.state import Bake, Gate, Window
from ramet.model.gates.verdicts import Verdict


def opened(policy: Policy) -> Gate:
    return Gate(policy=policy)


def judge(policy: Policy, samples: Iterable[Sample]) -> Verdict:
    """The verdict after the last sample, or the one that ended the gate before. Raises RecordingError as `observe` does."""
    state = opened(policy)
    for sample in samples:
        state = observe(state, sample)
    return verdict(state)


def observe(gate: Gate, sample: Sample) -> Gate:
    """The gate with one more sample. One that has ended stays as it is.

    Raises:
        RecordingError: the tick begins before the last one ended; a request that counts twice would break the test.
    """
    if gate.final:
        return gate
    if gate.bake and sample.since_s < gate.at_s:
        raise RecordingError(f"a tick begins at {sample.since_s} s, before the one before it ended at {gate.at_s} s")
    if gate.bake is None or gate.bake.weight != sample.weight:
        gate = msgspec.structs.replace(_tested(gate), bake=Bake(sample.since_s, sample.weight))
    gate = _added(gate, sample)
    if _is_window_over(gate, sample):
        gate = _tested(gate)
    return msgspec.structs.replace(gate, final=ending(gate, sample))


def _added(gate: Gate, sample: Sample) -> Gate:
    assert gate.bake is not None
    window, bake, times = gate.window, gate.bake, dict(gate.new_exceptions)
    known = gate.old_exceptions | sample.old.exceptions.keys()
    for name, more in sample.new.exceptions.items():
        times[name] = times.get(name, 0) + more
    since_s = sample.since_s if window.since_s is None else window.since_s
    return msgspec.structs.replace(
        gate,
        window=Window(since_s, window.new + sample.new, window.old + sample.old),
        bake=msgspec.structs.replace(bake, new=bake.new + sample.new, old=bake.old + sample.old),
        at_s=sample.at_s,
        old_exceptions=known,
        new_exceptions={name: count for name, count in times.items() if name not in known},
        old_signals=gate.old_signals | {each.kind: sample.at_s for each in sample.signals if each.side == "old"},
    )


def _is_window_over(gate: Gate, sample: Sample) -> bool:
    policy, window, bake = gate.policy, gate.window, gate.bake
    assert window.since_s is not None
    assert bake is not None
    return (
        min(window.new.requests, window.old.requests) >= policy.window_requests
        or sample.at_s - window.since_s >= policy.window_s
        or sample.since_s < bake.since_s + policy.bake_s <= sample.at_s
    )


def _tested(gate: Gate) -> Gate:
    """The gate with its window weighed, and an empty one in its place."""
    new, old = gate.window.new, gate.window.old
    if gate.bake is None or new.requests == 0 or old.requests == 0:
        return msgspec.structs.replace(gate, window=Window())

    def weighed(evidence: Evidence, new_bad: int, old_bad: int) -> Evidence:
        return weigh(
            evidence,
            Counts(new.requests, new_bad),
            Counts(old.requests, old_bad),
            tolerance=gate.policy.tolerance,
            pass_ratio=gate.policy.pass_ratio,
            attempts=gate.policy.attempts,
        )

    return msgspec.structs.replace(
        gate,
        window=Window(),
        errors=weighed(gate.errors, new.errors, old.errors),
        slow=weighed(gate.slow, new.slow, old.slow),
        bake=msgspec.structs.replace(
            gate.bake,
            new_compared=gate.bake.new_compared + new.requests,
            old_compared=gate.bake.old_compared + old.requests,
        ),
    )


def verdict(gate: Gate) -> Verdict:
    """What can be said now."""
    if gate.final:
        return gate.final
    if gate.bake is None:
        return Verdict(kind="no_data", reason="nothing was sampled")
    return concluded(gate, gate.bake)
