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


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """state: starting, ready or draining; why: what it waits for, empty when ready. memory_bytes: resident. started: seconds
    since
    the epoch."""

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
    schedules: list[ScheduleStatus] = []
    """Those that it owns now."""
