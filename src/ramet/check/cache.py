"""What was read of files whose content has not changed since, kept in `.ramet/check`. Losing it costs time and nothing else."""

import contextlib
import functools
import gc
import hashlib
import sys
from collections.abc import Generator, Iterable
from importlib import metadata
from pathlib import Path

from ramet.check import reading
from ramet.check.facts import Facts, Problem
from ramet.check.project import SourceFile
from ramet.wire import values


def read_all(files: Iterable[SourceFile], kept: Path | None) -> tuple[dict[str, Facts], int]:
    """Name of each file -> its facts, and the number of lines. kept: the file of the cache; None: no cache."""
    known = _load(kept) if kept else {}
    found: dict[str, Facts] = {}
    keys: dict[str, Facts] = {}
    lines = 0
    with _uncollected():
        for file in files:
            try:
                source = file.path.read_bytes()
            except OSError as error:
                found[file.name] = Facts(problem=Problem(1, error.strerror or str(error)))
                continue
            lines += source.count(b"\n")
            key = hashlib.sha256(f"{file.name} {file.is_package}\0".encode() + source).hexdigest()
            facts = known.get(key)
            if facts is None:
                facts = reading.read(source, file.name, is_package=file.is_package)
            found[file.name] = keys[key] = facts
    if kept and keys.keys() != known.keys():
        _save(kept, keys)
    return found, lines


@contextlib.contextmanager
def _uncollected() -> Generator[None]:
    """Without the cycle collector, which would look through all facts again and again while syntax trees come and go: a third of
    the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _load(path: Path) -> dict[str, Facts]:
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    maker, _, rest = data.partition(b"\n")
    if maker != _maker():
        return {}
    try:
        return values.decode_json_as(rest, dict[str, Facts])
    except values.DECODE_ERRORS:
        return {}


def _save(path: Path, facts: dict[str, Facts]) -> None:
    """All or nothing. A folder that cannot be written is no reason not to check."""
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_maker() + b"\n" + values.encode_json(facts))
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@functools.cache
def _maker() -> bytes:
    """Who made the facts: another Python, another sqlglot or a change of this part reads the same file differently."""
    digest = hashlib.sha256(f"{sys.version} {metadata.version('sqlglot')}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest().encode()
