"""Rollouts that never were: traffic with known error rates, drawn with a seed, as samples of a gate."""

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from ramet.model.gates import gate
from ramet.model.gates.policy import Policy
from ramet.model.gates.samples import Sample, Side

Rates = Callable[[float], tuple[float, float]]
"""Time in seconds -> the share of requests that fail on the new and on the old side."""


def poisson(chance: random.Random, mean: float) -> int:
    """Knuth's way, in parts, since exp(-mean) must not vanish."""
    drawn = 0
    while mean > 0:
        part = min(mean, 500.0)
        mean -= part
        limit, product = math.exp(-part), chance.random()
        while product > limit:
            product *= chance.random()
            drawn += 1
    return drawn


def binomial(chance: random.Random, trials: int, share: float) -> int:
    """By the gaps between successes: as many draws as there are successes."""
    if share <= 0 or trials == 0:
        return 0
    drawn, at, scale = 0, 0, math.log1p(-share)
    while True:
        at += int(math.log(1.0 - chance.random()) / scale) + 1
        if at > trials:
            return drawn
        drawn += 1


def arrivals(chance: random.Random, mean: float) -> int:
    """Of a Poisson process; beyond 50, where nobody could tell, of the normal distribution, which is drawn in one go."""
    return poisson(chance, mean) if mean < 50 else max(round(chance.gauss(mean, math.sqrt(mean))), 0)


def rollout(
    chance: random.Random,
    *,
    rps: float,
    weight: Callable[[float], float],
    errors: Rates,
    slow: float = 0.0,
    is_raising: bool = False,
    tick_s: float = 60.0,
    for_s: float = 1200.0,
) -> Iterator[Sample]:
    """rps: requests per second of both sides together. slow: share of slow requests, the same on both. is_raising: errors are
    exceptions, of another type for each error rate of the old side."""

    def side(requests: int, rate: float, name: str) -> Side:
        failed = binomial(chance, requests, rate)
        raised = {name: failed} if is_raising and failed else {}
        return Side(requests, failed, binomial(chance, requests, slow), raised)

    at_s = 0.0
    while at_s < for_s:
        new_rate, old_rate = errors(at_s)
        share = weight(at_s)
        n_new, n_old = arrivals(chance, rps * tick_s * share), arrivals(chance, rps * tick_s * (1 - share))
        yield Sample(
            since_s=at_s,
            at_s=at_s + tick_s,
            weight=share,
            new=side(n_new, new_rate, f"Error{old_rate}"),
            old=side(n_old, old_rate, f"Error{old_rate}"),
        )
        at_s += tick_s


def failed_at_s(policy: Policy, samples: Iterator[Sample]) -> float | None:
    """When the gate blamed the new side; None if it never did."""
    state = gate.opened(policy)
    for sample in samples:
        state = gate.observe(state, sample)
        if state.final:
            return sample.at_s
    return None


def blamed_after_minutes(runs: int, policy: Policy, *, rps: float, **traffic: Any) -> list[float]:
    """For each of so many rollouts in which the new side was blamed, when that was. The rest is as of `rollout`."""
    found = [failed_at_s(policy, rollout(random.Random(f"{rps}/{seed}"), rps=rps, **traffic)) for seed in range(runs)]
    return [at_s / 60 for at_s in found if at_s is not None]
