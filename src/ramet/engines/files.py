"""Files of an engine's directory: written whole or not at all, and short enough for a socket."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

SOCKET_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103
"""`sun_path` is 108 bytes on Linux and 104 on macOS, and ends with a zero byte."""


def write_whole(path: Path, data: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Write next to `path`, sync, rename over it: a reader, a crash or a full disk sees the old content or the new.

    owner: (uid, gid) of the file; None leaves it ours. The directory is not synced: a lost rename leaves the old content.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def write_durably(path: Path, data: bytes) -> None:
    """As `write_whole`, and on disk when this returns, its name too: for what must be known after a loss of power."""
    write_whole(path, data)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names that were made, renamed or removed in it survive a loss of power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_tail(path: Path, *, since: int = 0, max_bytes: int = 4096) -> str:
    """The end of a text file, in whole lines as far as possible, from byte `since` on; empty if there is no such file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(since if since <= size else 0, size - max_bytes)
            file.seek(start)
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    if start > since:
        text = text.partition("\n")[2]
    return text.strip()


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def socket_directory(preferred: Path, *, longest_name: str, is_usable: bool = True) -> Path:
    """`preferred`, if a socket in it has a path short enough to bind, else a new private directory under /tmp.

    is_usable: False where the server could not reach `preferred` at all. The caller records the answer: a second call under
    /tmp gives another one.
    """
    if is_usable and len(os.fsencode(preferred / longest_name)) <= SOCKET_PATH_MAX_BYTES:
        return preferred
    return Path(tempfile.mkdtemp(prefix="ramet-", dir="/tmp"))
