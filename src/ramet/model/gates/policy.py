"""What a gate asks for before it lets a change pass, and how sure it must be before it blames one."""

from typing import Any

import msgspec


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Times are in seconds. Ratios are the new side's share of bad requests over the old side's."""

    alpha: float = 0.05
    """Chance that a change which is no worse than `tolerance` is blamed, over the whole life of a gate and all its metrics,
    however often one looks. 5 %: one false alarm in twenty rollouts at most; in simulations it is about one in a hundred."""

    tolerance: float = 1.25
    """Ratio that is not held against the new side. 1.25: its caches are colder and its instances are fewer."""

    pass_ratio: float = 5.0
    """A gate passes early once a ratio of this or more is refuted, for every metric. 5: what is worse than that hurts within
    minutes; a closer look takes the traffic of a whole bake anyway."""

    min_requests: int = 100
    """Requests of each side, at the present weight, without which nothing passes. With 100 an error rate of 3 % shows at least
    one error 19 times out of 20."""

    min_s: float = 60.0
    """No early pass before this time at a weight. A minute: leaks, timers and cold pools do not show in the first seconds."""

    bake_s: float = 600.0
    """Time at a weight after which the gate says what it knows. 10 minutes: at 2 requests a second and 10 %, 120 requests."""

    doubt: float = 10.0
    """Evidence (e-value) with which the end of a bake is `inconclusive` instead of `pass`. 10, a quarter of what `fail` needs at
    the default alpha: a healthy change ever comes so far in less than one rollout out of five, both metrics together."""

    window_s: float = 60.0
    """Ticks are pooled until they span this time, then tested as one. A minute, over which two sides that share a load stay
    alike."""

    window_requests: int = 20
    """A window ends sooner when each side has this many requests. Windows with fewer lose power: where the new side has 1 of 3
    requests by chance, an error of its own is no surprise."""

    attempts: int = 1
    """Errors that one failing piece of work makes at most, which is 1 plus its callers' retries. Evidence is divided by it, so
    that one caller that tries again and again is not taken for many. 1: who retries blindly should raise it."""

    guard: float = 0.1
    """Where there is no old side to compare with: share of errors from which the gate is `inconclusive` instead of `no_data`.
    10 %, which is no service's normal. A plain threshold, hence never a `fail`."""

    shared_s: float = 30.0
    """A crash, unreadiness or memory limit is not blamed on the new side if the old side had the same this short a time before.
    Half a minute: a database that goes away is noticed by all of its users within that."""

    def __post_init__(self) -> None:
        for name, fits, wanted in (
            ("alpha", 0 < self.alpha <= 0.5, "above 0 and at most 0.5"),
            ("tolerance", 1 <= self.tolerance <= 100, "between 1 and 100"),
            ("pass_ratio", self.tolerance < self.pass_ratio <= 1000, "above the tolerance and at most 1000"),
            ("min_requests", 1 <= self.min_requests <= 10**9, "between 1 and a thousand million"),
            ("min_s", 0 <= self.min_s <= 10**9, "between 0 and a thousand million"),
            ("bake_s", 0 < self.bake_s <= 10**9, "above 0 and at most a thousand million"),
            ("doubt", 1 < self.doubt <= 10**9, "above 1 and at most a thousand million"),
            ("window_s", 0 < self.window_s <= 10**9, "above 0 and at most a thousand million"),
            ("window_requests", 1 <= self.window_requests <= 10**9, "between 1 and a thousand million"),
            ("attempts", 1 <= self.attempts <= 1000, "between 1 and 1000"),
            ("guard", 0 < self.guard <= 1, "above 0 and at most 1"),
            ("shared_s", 0 <= self.shared_s <= 10**9, "between 0 and a thousand million"),
        ):
            if not fits:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be {wanted}")

    def but(self, **values: Any) -> "Policy":
        """The same with other values. Raises ValueError for one that does not fit."""
        return msgspec.structs.replace(self, **values)
