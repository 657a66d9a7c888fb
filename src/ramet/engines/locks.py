"""One supervisor for each directory: a lock that the kernel lets go of when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from ramet.engines.errors import EngineBusy


class DirectoryLock:
    """`flock` on a file that is never deleted (deleting it would let two holders lock two files of one name).

    Works between processes and between two users of one process. Children do not inherit it.
    """

    def __init__(self, path: Path, *, what: str) -> None:
        self._path = path
        self._what = what
        self._fd: int | None = None

    def __repr__(self) -> str:
        return f"<DirectoryLock {self._path}: {'held' if self._fd is not None else 'not held'}>"

    @property
    def is_held(self) -> bool:
        """By this one."""
        return self._fd is not None

    def acquire(self) -> None:
        """Raises EngineBusy, which names the process that holds it, or OSError. Release it in either case."""
        assert self._fd is None, "acquired twice"
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _parse_pid(os.pread(fd, 32, 0))
            os.close(fd)
            raise EngineBusy(
                f"{self._what} is already supervised by process {pid or 'unknown'}",
                pid=pid,
                where=str(self._path),
                hint=f"stop that process first, or give this one another directory{f': kill {pid}' if pid else ''}",
            ) from None
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Nothing happens if it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def is_held(path: Path) -> bool:
    """Whether somebody holds it now. A look takes it for a moment, shared with others who look."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _parse_pid(content: bytes) -> int | None:
    text = content.strip()
    return int(text) if text.isdigit() else None
