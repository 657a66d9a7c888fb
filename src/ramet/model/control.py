"""What an instance says of itself when it is asked."""

import msgspec


class ScheduleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that an instance owns. epoch: of its module's ownership. runs, failed: since the process began. last_run_at:
    seconds since 1970, 0 for never. last_error: type of what the last run raised, empty for none."""

    module: str
    name: str
    epoch: int
    runs: int
    failed: int
    last_run_at: float
    last_error: str


class ResultStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A materialised result that an instance keeps up. refreshes, failed: since the process began. stale_s: since the oldest
    change that it lacks, 0 for none. max_stale_s: what was promised, None for nothing. last_error: type of what the last refresh
    raised, empty for none."""

    module: str
    name: str
    epoch: int
    refreshes: int
    failed: int
    stale_s: float
    max_stale_s: float | None
    last_error: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """state: starting, ready or draining; why: what it waits for, empty when ready. memory_bytes: resident. started: seconds
    since the epoch. cpu_s: that the process has used. lag_s: how late its event loop was. waiting: calls that wait for an
    endpoint, and work that waits for a connection of a pool.
    """

    instance: str
    service: str
    version: str
    state: str
    why: str
    pid: int
    modules: list[str]
    epoch: int
    calls_in_flight: int
    requests_in_flight: int
    memory_bytes: int
    started: float
    cpu_s: float = 0.0
    lag_s: float = 0.0
    waiting: int = 0
    schedules: list[ScheduleStatus] = []
    """Those that it owns now."""
    results: list[ResultStatus] = []
    """Those that it keeps up now."""


class Served(msgspec.Struct, frozen=True):
    """What an instance has served of one module since it started: calls, and HTTP requests of endpoints that are no calls.

    errors: type of what was raised -> how often, without failures that a contract declares and mistakes of the caller. buckets:
    of the durations of calls, by the bounds of `observe.names.CALL_BOUNDS_S`; http: of requests, by `HTTP_BOUNDS_S`.
    """

    requests: int
    errors: dict[str, int]
    buckets: list[int]
    http: list[int]


class Counters(msgspec.Struct, frozen=True):
    """started: of the process, so that a restart is not taken for a step back. modules: name -> what was served of it."""

    started: float
    modules: dict[str, Served]
