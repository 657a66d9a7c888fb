"""Where the log of a stopped server ends: what a server that was killed had written, and perhaps not sent."""

import re
from dataclasses import dataclass

from ramet.engines import postgres_making
from ramet.engines.postgres_making import Place
from ramet.engines.processes import run_brief

_CONTROL = re.compile(r"^(?:Latest checkpoint's )?(REDO location|TimeLineID|Bytes per WAL segment): +(\S+)$", re.MULTILINE)
_AT = re.compile(r"(?:at|after) ([0-9A-F]+)/([0-9A-F]+)")
_NO_FILE = re.compile(r'file "[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})"')


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
    control = dict(_CONTROL.findall(_ask(place, "pg_controldata", str(postgres_making.path_for(place.data, place.account)))[0]))
    if len(control) < 3:
        return None
    from_where = [f"--timeline={control['TimeLineID']}", f"--start={control['REDO location']}"]
    complaint = _ask(place, "pg_waldump", "--quiet", "--path=pg_wal", *from_where)[1]
    lsn = parse_end(complaint, segment_bytes=int(control["Bytes per WAL segment"]))
    return None if lsn is None else LogEnd(timeline=int(control["TimeLineID"]), lsn=lsn)


def parse_end(complaint: str, *, segment_bytes: int) -> int | None:
    """What pg_waldump says when it can read no further, as an LSN.

    `invalid record length at 0/3000148: expected ...`, the last place named is the end; or, where the log ends with a segment,
    `could not find file "000000010000000000000003"`: timeline, upper half of the LSN, number of the segment.
    """
    if no_file := _NO_FILE.search(complaint):
        return (int(no_file[1], 16) << 32) + int(no_file[2], 16) * segment_bytes
    places = _AT.findall(complaint)
    return (int(places[-1][0], 16) << 32) | int(places[-1][1], 16) if places else None


def _ask(place: Place, program: str, *arguments: str) -> tuple[str, str]:
    """What it wrote to its output, and to its error output."""
    answer = run_brief(
        [place.binaries[program], *arguments],
        account=place.account,
        directory=place.data,
        environment=postgres_making.plain_environment(),
    )
    return answer.stdout, answer.stderr
