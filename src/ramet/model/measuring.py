"""From what the instances of a service said of themselves, twice, to one measurement of the service. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from ramet.model.autoscale import Measured
from ramet.model.control import Status

OWN = 1
"""The question itself is a call in flight while it is answered."""


class Reading(NamedTuple):
    """What an instance said. at_s: on the asker's clock. served: requests and calls since it started."""

    at_s: float
    status: Status
    served: int


def measure(at_s: float, before: Mapping[str, Reading], now: Mapping[str, Reading | str]) -> Measured:
    """Means over all instances; missing where one of them cannot be counted in. now: of each instance, or why it has none."""
    found: list[Measured] = []
    missing = "" if now else "it has no instance"
    for name, reading in now.items():
        if isinstance(reading, str):
            missing = f"{name} {reading}"
        elif (last := before.get(name)) is None or last.status.started != reading.status.started:
            missing = missing or f"{name} was not measured before"
        else:
            found.append(_since(last, reading))
    count = len(now)
    if missing:
        return Measured(at_s=at_s, instances=count, missing=missing)
    return Measured(
        at_s=at_s,
        instances=count,
        cpu=sum(each.cpu for each in found) / count,
        in_flight=sum(each.in_flight for each in found) / count,
        queue_wait_s=sum(each.queue_wait_s for each in found) / count,
    )


def _since(before: Reading, now: Reading) -> Measured:
    """One instance between two readings.

    queue_wait_s: the lag of its event loop, and what Little's law says of the work that waits: so much of it, divided by what was
    served in a second. Where nothing was served it has waited for the whole time.
    """
    elapsed_s = max(now.at_s - before.at_s, 1e-3)
    per_s = max(now.served - before.served, 1) / elapsed_s
    status = now.status
    return Measured(
        at_s=now.at_s,
        instances=1,
        cpu=max(status.cpu_s - before.status.cpu_s, 0.0) / elapsed_s,
        in_flight=max(status.calls_in_flight + status.requests_in_flight - OWN, 0),
        queue_wait_s=status.lag_s + status.waiting / per_s,
    )
