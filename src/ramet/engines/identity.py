"""Which process a number means: a pid with the time at which its process began, so that a recycled pid is never signalled.

A pid alone names whatever has it now. In containers, where few processes start in the same order each time, an old pid
file names a stranger more often than not.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ramet.engines.files import write_whole


@dataclass(frozen=True, slots=True)
class Identity:
    pid: int
    started: str
    """When it began, in the system's own words; only compared. On Linux: the boot, and ticks since then."""


def identify(pid: int) -> Identity | None:
    """None: there is no such process, or it has ended and waits to be reaped."""
    started = _started_linux(pid) if sys.platform == "linux" else _started_ps(pid)
    return None if started is None else Identity(pid, started)


def is_alive(identity: Identity) -> bool:
    return identify(identity.pid) == identity


def write_pidfile(path: Path, identity: Identity) -> None:
    write_whole(path, json.dumps(asdict(identity)).encode())


def read_pidfile(path: Path) -> Identity | None:
    """The process that the file names, if it is still that process; None also for a file that is absent or not ours."""
    try:
        content: Any = json.loads(path.read_bytes())
        identity = Identity(int(content["pid"]), str(content["started"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return identity if is_alive(identity) else None


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold spaces and parentheses
    state, ticks = fields[0], fields[19]  # proc(5): state is field 3, starttime field 22
    if state in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{ticks}"


def _started_ps(pid: int) -> str | None:
    question = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(question, capture_output=True, text=True, check=False)  # noqa: S603  (a fixed program)
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if answer.returncode == 0 and started and not state.startswith("Z") else None
