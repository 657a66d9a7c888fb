"""The name under which a controller holds the lease, and whether the one of a name still lives."""

import os

from ramet.calls.transport import host_id
from ramet.engines.identity import identify


def own_name() -> str:
    identity = identify(os.getpid())
    return f"{host_id()} {os.getpid()} {identity.started if identity else ''}"


def may_live(name: str) -> bool:
    """False for one of this machine whose process is gone. One of another machine may live."""
    host, _, rest = name.partition(" ")
    pid, _, started = rest.partition(" ")
    if host != host_id() or not pid.isdigit():
        return True
    found = identify(int(pid))
    return found is not None and found.started == started
