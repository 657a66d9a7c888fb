"""A command on a terminal of its own, typed at and read as a person does."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

WAIT_S = 20.0


class Terminal:
    def __init__(self, command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.said = ""
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],  # the terminal is its own, so that Ctrl-C there is a SIGINT to it
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "dumb", **(environment or {})},
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_said(self, text: str, *, after: int = 0) -> int:
        """The length of what was said up to and with it."""
        deadline = time.monotonic() + WAIT_S
        while (at := self.said.find(text, after)) < 0:
            ready, _, _ = select.select([self._fd], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"{text!r} was not said:\n{self.said}"
            try:
                self.said += os.read(self._fd, 65536).decode(errors="replace")
            except OSError:  # the other side has gone
                assert text in self.said[after:], f"{text!r} was not said:\n{self.said}"
        return at + len(text)

    def close(self) -> None:
        """Whatever still runs there is hung up on."""
        os.close(self._fd)
        self.process.wait(WAIT_S)
