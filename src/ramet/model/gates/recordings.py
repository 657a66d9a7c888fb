"""A recorded gate: JSON lines, the policy in the first and a sample in each of the others. What was decided can be decided again.

The file grows by whole lines while the gate is open: write `head`, then a `line` for each sample. `record` makes a whole one.
Reading is strict: an unknown field, a counter that went back or ticks that overlap are refused with their line.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import msgspec

from ramet.errors import RecordingError
from ramet.model.gates.policy import Policy
from ramet.model.gates.samples import Sample

FORMAT = 1
_Line = TypeVar("_Line")


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line. gate: version of the format."""

    gate: int
    policy: Policy


class Recording(NamedTuple):
    policy: Policy
    samples: list[Sample]


def head(policy: Policy) -> bytes:
    return msgspec.json.encode(Head(FORMAT, policy)) + b"\n"


def line(sample: Sample) -> bytes:
    return msgspec.json.encode(sample) + b"\n"


def record(policy: Policy, samples: Iterable[Sample]) -> bytes:
    return head(policy) + b"".join(map(line, samples))


def read(data: bytes, *, file: str) -> Recording:
    """file: its name, for errors. Raises RecordingError."""
    lines = data.removesuffix(b"\n").split(b"\n")
    first = _decoded(lines[0], Head, f"{file}:1", hint='the first line of a recording is {"gate":1,"policy":{}}')
    if first.gate != FORMAT:
        raise RecordingError(f"a recording of format {first.gate}; this version reads format {FORMAT}", where=f"{file}:1")
    samples: list[Sample] = []
    for number, text in enumerate(lines[1:], 2):
        where = f"{file}:{number}"
        is_torn = number == len(lines) and not data.endswith(b"\n")
        hint = "its end is missing: the writer was stopped; without that line the rest can be read" if is_torn else None
        sample = _decoded(text, Sample, where, hint=hint)
        if samples and sample.since_s < samples[-1].at_s:
            told = f"the tick begins at {sample.since_s} s, before the one before it ended at {samples[-1].at_s} s"
            raise RecordingError(told, where=where)
        samples.append(sample)
    return Recording(first.policy, samples)


def _decoded(text: bytes, kind: type[_Line], where: str, *, hint: str | None) -> _Line:
    if not text.strip():
        raise RecordingError("an empty line", where=where, hint=hint)
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise RecordingError(f"not a line of a gate's recording: {error}", where=where, hint=hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordingError(f"not JSON: {error}", where=where, hint=hint) from error
