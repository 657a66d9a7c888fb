"""What `call` and `shell` do alike: the modules of the current folder made callable, and the talk about it on stderr."""

from contextlib import AbstractAsyncContextManager

import click

from ramet.cli.application import Current
from ramet.observe import logs
from ramet.operate.files import settings_of
from ramet.operate.wiring import wired


def wiring_of(here: Current) -> AbstractAsyncContextManager[str]:
    """Yields where calls go, in a few words. Raises ConfigError at once for a setting that does not fit."""
    logs.configure(form="plain", level="WARNING")
    return wired(
        here.application,
        here.modules,
        here.folder,
        settings=settings_of(here.application),
        report=lambda text: click.echo(text, err=True),
    )
