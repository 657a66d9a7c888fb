"""`ramet up`: the services of a topology as processes on this machine, with Envoy in front."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import click

from ramet.cli import completing
from ramet.cli.application import Current, current
from ramet.errors import ConfigError
from ramet.model.launch import FleetRecord
from ramet.observe import logs
from ramet.operate import api, files
from ramet.operate.controller import Controller
from ramet.operate.leftovers import end_all
from ramet.operate.looking import is_running

START_S = 180.0
LOST = 3
"""Exit code of a controller whose lease was taken."""


@click.command()
@click.argument("topology", required=False, shell_complete=completing.topologies)
@click.option("--detach", is_flag=True, help="Go on in the background; `ramet down` stops it.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the HTTP entrance. 0: a free one.")
@click.option(
    "--api-port", type=click.IntRange(0, 65535), help="Answer the API on this port of loopback too. Default: on a socket."
)
def up(topology: str | None, detach: bool, port: int, api_port: int | None) -> None:
    """Start the services of TOPOLOGY (default: the first in ramet.toml) on this machine.

    \b
    ramet up                          stays in front; Ctrl-C drains and stops
    ramet up grown --detach           in the background; see `ramet status`, `ramet logs`, `ramet down`
    """
    here = current()
    files.topology_of(here.application, topology)  # before anything is started
    if detach:
        _detach(here, topology, port, api_port)
        return
    asyncio.run(_run(here, topology, port, api_port))


async def _run(here: Current, topology: str | None, port: int, api_port: int | None) -> None:
    logs.configure(form="plain", level="WARNING")
    controller = Controller(
        here.application,
        here.file,
        here.modules,
        files.topology_of(here.application, topology),
        here.folder,
        port=port,
        report=lambda text: click.echo(text, err=True),
        settings={"RAMET_STRICT": "0", **files.as_environment(here.application)},
        on_lost=_leave_everything,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(controller.up())

    def leave() -> None:
        starting.cancel()  # does nothing once it is up
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, leave)
    try:
        await starting
    except asyncio.CancelledError:
        click.echo("stopped while it started; nothing is left running", err=True)
        return
    async with AsyncExitStack() as doors:
        await api.serve(controller, doors, port=api_port)
        click.echo(controller.url)
        await stop.wait()
    click.echo("draining", err=True)
    await controller.down()
    click.echo("stopped", err=True)


def _leave_everything() -> None:
    """Another controller has taken over, and everything here is its by now: end without a touch."""
    click.echo("another controller has taken the lease; this one ends, and leaves what runs to it", err=True)
    os._exit(LOST)


def _detach(here: Current, topology: str | None, port: int, api_port: int | None) -> None:
    """Start the same command in a session of its own, and return once it is up, or with its words if it did not come up."""
    here.folder.make()
    log = here.folder.root / "up.log"
    before = here.folder.load()
    command = [sys.executable, "-m", "ramet", "up", *([topology] if topology else []), "--port", str(port)]
    command += [] if api_port is None else ["--api-port", str(api_port)]
    with log.open("ab") as output:
        begin = output.tell()
        child = subprocess.Popen(  # noqa: S603  (our own command)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=here.file.parent,
            env=os.environ,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        record = here.folder.load()
        if record is not None and record.pid == child.pid and record != before and here.folder.door.exists():
            click.echo(record.url)
            click.echo(f"{record.app} runs as {record.topology}; `ramet status`, `ramet logs`, `ramet down`", err=True)
            return
        if child.poll() is not None:
            click.echo(_tail(log, begin), err=True)
            sys.exit(child.returncode)
        time.sleep(0.05)
    child.terminate()
    child.wait()
    raise ConfigError(f"it was not up after {START_S:.0f} s:\n{_tail(log, begin)}", where=str(log))


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace").strip()[-4000:]


@click.command()
def down() -> None:
    """Drain and stop what `ramet up` started in this folder. Data stays.

    \b
    ramet down
    ramet down && ramet up grown      the same data in another topology
    """
    here = current()
    record = here.folder.load()
    if record is None or not is_running(record):
        left = asyncio.run(end_all(here.folder))
        here.folder.forget()
        click.echo(f"its supervisor had died; ended {left} processes that it left" if left else "nothing runs here", err=True)
        return
    os.kill(record.pid, signal.SIGTERM)
    _wait_end(record)
    click.echo("stopped", err=True)


def _wait_end(record: FleetRecord) -> None:
    deadline = time.monotonic() + 60
    while is_running(record):
        if time.monotonic() > deadline:
            raise ConfigError(f"process {record.pid} has not stopped after 60 s", where=record.log, hint=f"kill -9 {record.pid}")
        time.sleep(0.05)
