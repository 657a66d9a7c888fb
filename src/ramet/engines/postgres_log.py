"""Where the log of a stopped server ends: what a server that was killed had written, and perhaps not sent."""

import re
from dataclasses import dataclass

from ramet.engines import postgres_making
from ramet.engines.postgres_making import Place
from ramet.engines.processes import run_brief

_CONTROL = re.compile(r"^(?:Latest checkpoint's )?(REDO location|TimeLineID|Bytes per WAL segment): +(\S+)$", re.MULTILINE)
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
"""Timeline, upper half of the LSN, number of the segment in it."""
_FORK = re.compile(r"^\d+\t(\S+)\t", re.MULTILINE)
_AT = re.compile(r"(?:at|after) ([0-9A-F]+/[0-9A-F]+)")


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
    segments = [found for path in (place.data / "pg_wal").glob("*") if (found := _SEGMENT.fullmatch(path.name))]
    if len(control) < 3 or not segments:
        return None
    last = max(segments, key=lambda found: found[0])
    timeline, limit = int(last[1], 16), _end_of(last, segment_bytes=int(control["Bytes per WAL segment"]))
    start = control["REDO location"]
    if timeline != int(control["TimeLineID"]):  # promoted, and killed before the first checkpoint after it
        start = _FORK.findall((place.data / "pg_wal" / f"{last[1]}.history").read_text(encoding="ascii"))[-1]
    # Beyond the last segment pg_waldump would wait for another, for 5 s.
    span = [f"--timeline={timeline}", f"--start={start}", f"--end={limit >> 32:X}/{limit & 0xFFFFFFFF:X}"]
    lsn = parse_end(_ask(place, "pg_waldump", "--quiet", "--path=pg_wal", *span)[1], limit=limit)
    return None if lsn is None else LogEnd(timeline=timeline, lsn=lsn)


def parse_end(complaint: str, *, limit: int) -> int | None:
    """What pg_waldump says when it can read no further, as an LSN: of the places in `error in WAL record at 0/3000100: invalid
    record length at 0/3000148: expected ...` the last. Nothing, if it could read up to the limit: then the log ends there."""
    if not complaint:
        return limit
    places = _AT.findall(complaint)
    return _parse(places[-1]) if places else None


def _end_of(segment: re.Match[str], *, segment_bytes: int) -> int:
    return (int(segment[2], 16) << 32) + (int(segment[3], 16) + 1) * segment_bytes


def _parse(lsn: str) -> int:
    high, low = lsn.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def _ask(place: Place, program: str, *arguments: str) -> tuple[str, str]:
    """What it wrote to its output, and to its error output."""
    answer = run_brief(
        [place.binaries[program], *arguments],
        account=place.account,
        directory=place.data,
        environment=postgres_making.plain_environment(),
    )
    return answer.stdout, answer.stderr
