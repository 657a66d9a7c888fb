"""Conduit, run by the `ramet` command as anyone would, in a folder of its own."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from demo import versions

UP_S = 60.0
PLAN_S = 120.0
DOWN_S = 45.0


class DemoFailed(Exception):
    """Something did not do what the demo needs; the text says what."""


def interrupted_by_signals() -> None:
    """SIGTERM and SIGHUP end the program as Ctrl-C does, so that what it started is ended too."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


class Conduit:
    """A copy of the example, whose state and data nobody else uses. Leave it with `remove`, whatever happened."""

    def __init__(self) -> None:
        self._parent = Path(tempfile.mkdtemp(prefix="ramet-demo-"))
        self.folder = versions.copy(self._parent / "conduit")
        self.step = ""
        """Of the plan in hand, for people."""

    def beside(self, name: str) -> Path:
        """Another folder, which goes away with this one."""
        return self._parent / name

    def up(self, topology: str) -> str:
        """Returns the URL. Raises DemoFailed."""
        return self._ramet("up", topology, "--detach", limit_s=UP_S).strip()

    def status(self) -> dict[str, Any]:
        return json.loads(self._ramet("status", "--json", limit_s=20.0, may_fail=True))

    def instance(self, name: str) -> Any:
        """What an instance says of itself; None where it is not ready."""
        found = (each for each in self.status()["instances"] if each["instance"] == name and each["state"] == "ready")
        return next(found, None)

    async def plan(self, *arguments: str, ends: str = "done") -> None:
        """Run a verb that begins a plan, and follow it. Raises DemoFailed where the plan ends in another way."""
        command = [sys.executable, "-m", "ramet", *arguments, "--yes"]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        assert process.stdout is not None
        said: list[str] = []
        try:
            async with asyncio.timeout(PLAN_S):
                async for line in process.stdout:
                    said.append(line.decode(errors="replace").rstrip())
                    self.step = said[-1]
                await process.wait()
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise DemoFailed(f"`ramet {' '.join(arguments)}` took more than {PLAN_S:.0f} s") from error
        finally:
            self.step = ""
        if not any(line.startswith("plan ") and f": {ends} " in line for line in said[-3:]):
            raise DemoFailed(f"`ramet {' '.join(arguments)}` should have ended as {ends}:\n" + "\n".join(said[-12:]))

    def down(self) -> None:
        """Raises DemoFailed."""
        self._ramet("down", limit_s=DOWN_S)

    def remove(self) -> list[str]:
        """Stop what runs, and delete the folder. Returns what still ran after `ramet down`, which is nothing if all is well."""
        try:
            self.down()
        except DemoFailed as error:
            sys.stderr.write(f"{error}\n")
        left = self._processes()
        # The supervisor first: it knows how to stop the others. Then whoever is still there.
        _end({pid for pid, command in left.items() if " -m ramet up " in command}, signal.SIGTERM)
        _end(set(self._processes()), signal.SIGTERM)
        _end(set(self._processes()), signal.SIGKILL)
        shutil.rmtree(self._parent, ignore_errors=True)
        return [command[:120] for command in left.values()]

    def _ramet(self, *arguments: str, limit_s: float, may_fail: bool = False) -> str:
        """may_fail: `ramet status` tells of an instance that is not ready by its exit code, too."""
        command = [sys.executable, "-m", "ramet", *arguments]
        told = f"`ramet {' '.join(arguments)}`"
        try:
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=limit_s, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise DemoFailed(f"{told} took more than {limit_s:.0f} s") from error
        if done.returncode and not may_fail:
            raise DemoFailed(f"{told} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _processes(self) -> dict[int, str]:
        """Those that run in the folder or were told its name. Empty where the system does not tell."""
        found: dict[int, str] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                is_ours = str(self._parent) in command or (entry / "cwd").readlink().is_relative_to(self._parent)
            except OSError:  # it has ended meanwhile, or is somebody else's
                continue
            if is_ours and int(entry.name) != os.getpid() and command:
                found[int(entry.name)] = command
        return found


def _end(pids: set[int], number: signal.Signals, wait_s: float = 20.0) -> None:
    """Send the signal, and wait until they are gone, but not for ever."""
    until = time.monotonic() + wait_s
    for pid in pids:
        _send(pid, number)
    while any(_send(pid, 0) for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)


def _send(pid: int, number: int) -> bool:
    """Whether there is such a process. 0 sends nothing and only asks."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
