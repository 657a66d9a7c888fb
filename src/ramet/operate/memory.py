"""How much memory new processes can have on this machine."""

import contextlib
import re
from pathlib import Path


def free_bytes() -> int | None:
    """What the system could give, or what the container may still take, whichever is less. None where neither tells."""
    free: int | None = None
    with contextlib.suppress(OSError):
        match = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
        free = int(match[1]) * 1024 if match else None
        with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit, which says `max`
            limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
            left = limit - int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
            free = left if free is None else min(free, left)
    return free
