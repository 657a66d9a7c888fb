"""The sequential test: evidence that bad requests come from the new side more often than its share of the traffic explains.

An e-process on counts (Lindon and Malek 2022, arXiv 2011.03567). Take it that a bad request has happened, and ask whose it was.
With n_new and n_old requests in a window, the new side's share of them is theta = n_new / (n_new + n_old). If the new side is r
times as bad as the old one, a bad request is its own with probability

    q(r) = r * theta / (r * theta + 1 - theta)

Each bad request multiplies the evidence for a ratio r, against "at most `tolerance` times as bad", by q(r) / q(tolerance) where
it is the new side's, and by (1 - q(r)) / (1 - q(tolerance)) where it is the old side's. The ratio is not known, so forty are
followed at once; the mean of their products is the e-value.

Why it may be looked at after every window. Let a request of the old side be bad with probability p, and one of the new side with
s * p, where s <= tolerance, and p may be another one in each window. From 1 + x <= exp(x) for every request, the expectation of
a window's factor is at most

    exp(n_old * p * (q(r) - q(tolerance)) / (1 - q(tolerance)) * (s / tolerance - 1))

which is at most 1 for r > tolerance, whatever p is. So the e-value is a nonnegative supermartingale that begins at 1, and by
Ville's inequality it ever reaches 1/alpha with probability alpha at most. An incident that both sides share raises p and nothing
else; a new weight is a new theta in the next window. With the signs turned round the same holds for "at least `pass_ratio` times
as bad".

Where one piece of work makes up to `attempts` bad requests, a window's logarithm is divided by that number. By convexity a group
of them then weighs at most what lies between nothing and one request, so the expectation is at most 1 again.
"""

import math

import msgspec

STEPS = tuple(1.2 * (160 / 1.2) ** (step / 39) for step in range(40))
"""The ratios that are followed, over the tolerance. With the default tolerance they go from 1.5, which nothing sees in minutes,
to 200, a service that no longer works; each is 13 % above the one before. None may be below the tolerance: see the proof."""


class Counts(msgspec.Struct, frozen=True):
    """One metric of one side: requests, and those of them that were bad."""

    requests: int = 0
    bad: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.requests + other.requests, self.bad + other.bad)

    def __str__(self) -> str:
        return f"{self.bad:,} of {self.requests:,}"


class Evidence(msgspec.Struct, frozen=True):
    """About one metric, from all windows so far. Natural logarithms; each begins at 0, an e-value of 1.

    worse: that the new side is worse than the tolerance, one for each of STEPS. log_e_fine: that it is not as bad as the pass
    ratio; the alternative is that both sides are alike. new, old: what was compared.
    """

    worse: tuple[float, ...] = (0.0,) * len(STEPS)
    log_e_fine: float = 0.0
    new: Counts = Counts()
    old: Counts = Counts()

    @property
    def log_e_worse(self) -> float:
        highest = max(self.worse)
        return highest + math.log(sum(math.exp(each - highest) for each in self.worse) / len(self.worse))


def weigh(evidence: Evidence, new: Counts, old: Counts, *, tolerance: float, pass_ratio: float, attempts: int) -> Evidence:
    """The evidence with one more window, in which both sides had requests."""
    theta = new.requests / (new.requests + old.requests)
    worse, log_e_fine = evidence.worse, evidence.log_e_fine
    if new.bad or old.bad:
        worse = tuple(
            before + log_factor(theta, new.bad, old.bad, ratio=tolerance * step, null=tolerance) / attempts
            for before, step in zip(worse, STEPS, strict=True)
        )
        log_e_fine += log_factor(theta, new.bad, old.bad, ratio=1.0, null=pass_ratio) / attempts
    return Evidence(worse, log_e_fine, evidence.new + new, evidence.old + old)


def log_factor(theta: float, new_bad: int, old_bad: int, *, ratio: float, null: float) -> float:
    """Logarithm of what a window with these bad requests does to the evidence for `ratio` against `null`."""
    # (1 - q(ratio)) / (1 - q(null)) without the subtraction, which loses its digits where theta is close to 1.
    old_factor = (null * theta + 1 - theta) / (ratio * theta + 1 - theta)
    return new_bad * math.log(ratio / null * old_factor) + old_bad * math.log(old_factor)
