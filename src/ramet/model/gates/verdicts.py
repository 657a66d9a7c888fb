"""What a gate says: a verdict, its reason as a sentence, and the numbers behind it."""

from typing import Literal

import msgspec

from ramet.model.gates.evidence import Counts

Kind = Literal["pass", "fail", "inconclusive", "no_data", "undecided"]
"""pass: go on. fail: stop and undo, the new side is to blame. inconclusive: stop, a person or the caller's rule decides. no_data:
the same, since nothing could be compared. undecided: feed the gate on."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, `errors` or `slow`: what was compared, and the e-values as decimal logarithms, since they outgrow a float."""

    metric: str
    new: Counts
    old: Counts
    log10_e_worse: float
    """That the new side is worse. Fails at `log10_e_fail`."""
    log10_e_fail: float
    log10_e_fine: float
    """That it is not worse by the pass ratio. An early pass needs `log10_e_pass` in every metric."""
    log10_e_pass: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """metric: the one that decided, `errors` or `slow`; a signal's kind, or `exception`; empty where none did. at_s: of the
    sample after which it was so, None without any."""

    kind: Kind
    reason: str
    metric: str = ""
    at_s: float | None = None
    measures: tuple[Measure, ...] = ()
