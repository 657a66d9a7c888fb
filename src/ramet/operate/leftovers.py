"""What a supervisor that died left running in a folder: ended in the order in which nobody is cut off."""

import asyncio
import signal
from pathlib import Path

from ramet.engines.identity import read_pidfile
from ramet.engines.processes import TERMINATE, Process, StopStep
from ramet.operate.folder import Folder

INSTANCE_STEPS: tuple[StopStep, ...] = ((signal.SIGINT, 15.0), (signal.SIGKILL, 5.0))
"""SIGINT: without the drain delay, since Envoy has been told or stopped before. An instance's grace is 10 s."""
POSTGRES_STEPS: tuple[StopStep, ...] = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""SIGINT is PostgreSQL's fast shutdown."""


async def end_instances(folder: Folder) -> int:
    """End the instances of whatever topology. Returns how many there were."""
    return await _end(list(folder.instance("").glob("*/pid")), INSTANCE_STEPS)


async def end_all(folder: Folder) -> int:
    """End Envoy, the instances, and PostgreSQL. Returns how many processes there were."""
    ended = await _end([folder.root / "envoy" / "envoy.pid"], TERMINATE)
    ended += await end_instances(folder)
    homes = [folder.root / "postgres", *(folder.root / "servers").glob("*")]
    servers = [path for home in homes for path in (home / "server.pid", *home.glob("replicas/*/server.pid"))]
    return ended + await _end(servers, POSTGRES_STEPS)


async def _end(pidfiles: list[Path], steps: tuple[StopStep, ...]) -> int:
    left = [(path, identity) for path in pidfiles if (identity := read_pidfile(path)) is not None]
    await asyncio.gather(*(Process.adopt(f"{path.parent.name}/{path.name}", identity).stop(steps) for path, identity in left))
    return len(left)
