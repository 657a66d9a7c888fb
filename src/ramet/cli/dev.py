"""`ramet dev`: everything in one process, reload on change."""

import asyncio
import os
import signal
import sys

import click

from ramet.cli.application import current
from ramet.operate import files
from ramet.operate.dev import Development
from ramet.operate.folder import DEV_PORT


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=DEV_PORT, show_default=True, help="Port of HTTP. 0: a free one.")
def dev(port: int) -> None:
    """Run all modules in one process and start it again when a file changes. For development alone.

    \b
    ramet dev
    ramet dev --port 0
    """
    here = current()
    development = Development(
        here.application,
        here.file,
        here.modules,
        here.folder,
        port=port,
        report=lambda text: click.echo(text, err=True),
        settings=files.as_environment(here.application),
    )

    async def run() -> bool:
        task = asyncio.ensure_future(development.run())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return False
        return True

    if asyncio.run(run()):  # ramet.toml changed: everything is read anew
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "ramet", "dev", "--port", str(port)])  # noqa: S606  (ourselves)
    click.echo("stopped", err=True)
