import os
import subprocess
from pathlib import Path

from ramet.engines.identity import Identity, identify, is_alive, read_pidfile, write_pidfile


def test_a_process_is_itself_and_no_other() -> None:
    """The start time tells two processes of the same number apart."""
    own = identify(os.getpid())
    assert own is not None
    assert is_alive(own)
    assert not is_alive(Identity(own.pid, "another start"))


def test_a_recycled_pid_in_a_pidfile_is_nobody(tmp_path: Path) -> None:
    """After a restart of the container, the number in an old file is some other process, which must not be stopped."""
    path = tmp_path / "pid"
    own = identify(os.getpid())
    assert own is not None
    write_pidfile(path, own)
    assert read_pidfile(path) == own
    write_pidfile(path, Identity(os.getpid(), "an earlier process"))
    assert read_pidfile(path) is None


def test_a_damaged_pidfile_is_nobody(tmp_path: Path) -> None:
    """A file of another program, or one cut short by a full disk, must not stop a start."""
    path = tmp_path / "pid"
    for content in (b"", b"{", b"[]", b'{"pid": "x", "started": 1}', b"1234"):
        path.write_bytes(content)
        assert read_pidfile(path) is None


def test_a_process_that_ended_but_was_not_reaped_is_gone() -> None:
    """A zombie has a number and a start time, and will never serve again."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identify(process.pid) is None
    process.wait()
