"""Where the log of a stopped server ends: what a server that was killed had written, and perhaps not sent."""

import re
from dataclasses import dataclass

from ramet.engines import postgres_making
from ramet.engines.postgres_making import Place
from ramet.engines.processes import run_brief

_CONTROL = re.compile(r"^Latest checkpoint's (REDO location|TimeLineID): +(\S+)$", re.MULTILINE)
_AT = re.compile(r"(?:at|after) ([0-9A-F]+)/([0-9A-F]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """lsn: in bytes since the beginning of the log, on this timeline."""

    timeline: int
    lsn: int


def read_end(place: Place) -> LogEnd | None:
    """The end of the log, whether the server was stopped or killed. None where it cannot be told.

    Its last checkpoint is in pg_control, and what follows is valid as far as pg_waldump can read. Blocks for the time of reading:
    at most `max_wal_size`.
    """
    found = dict(_CONTROL.findall(_ask(place, "pg_controldata", str(postgres_making.path_for(place.data, place.account)))[0]))
    if len(found) < 2:
        return None
    start = f"--start={found['REDO location']}"
    complaint = _ask(place, "pg_waldump", "--quiet", "--path=pg_wal", f"--timeline={found['TimeLineID']}", start)[1]
    ends = _AT.findall(complaint)
    if not ends:
        return None
    high, low = ends[-1]
    return LogEnd(timeline=int(found["TimeLineID"]), lsn=(int(high, 16) << 32) | int(low, 16))


def _ask(place: Place, program: str, *arguments: str) -> tuple[str, str]:
    """What it wrote to its output, and to its error output."""
    answer = run_brief(
        [place.binaries[program], *arguments],
        account=place.account,
        directory=place.data,
        environment=postgres_making.plain_environment(),
    )
    return answer.stdout, answer.stderr
