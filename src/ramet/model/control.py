"""What an instance says of itself when it is asked."""

import msgspec


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
