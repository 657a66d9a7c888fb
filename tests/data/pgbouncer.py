"""A real PgBouncer in front of the tests' server, in transaction mode."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ramet.data.address import Address
from ramet.engines import accounts
from tests.data.support import Server, until

BINARY = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PORT = 6432


def version() -> tuple[int, int]:
    assert BINARY is not None
    text = subprocess.run([BINARY, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


needed = pytest.mark.skipif(BINARY is None, reason="pgbouncer is not installed (apt-get install pgbouncer)")


class Bouncer:
    """folder: of its socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def address(self, module: str, **options: Any) -> Address:
        dsn = f"postgresql://{module}:secret@/postgres?host={self.folder}&port={PORT}"
        return Address(dsn=dsn, schema=module, **options)


@asynccontextmanager
async def running(
    server: Server, modules: Iterable[str], *, servers: int = 2, settings: str = "", password: str = "secret"
) -> AsyncIterator[Bouncer]:
    """servers: connections that it makes to the server, for each module. password: of all modules."""
    assert BINARY is not None
    account = accounts.lesser_account("nobody")
    folder = Path(tempfile.mkdtemp(prefix="rametpb"))
    (folder / "users").write_text("".join(f'"{module}" "{password}"\n' for module in modules))
    (folder / "ini").write_text(
        f"[databases]\npostgres = host={server.folder}\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n"
        f"unix_socket_dir = {folder}\nauth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\n"
        f"default_pool_size = {servers}\nmax_client_conn = 500\n{settings}\n"
    )
    as_user: dict[str, Any] = {}
    if account is not None:
        for path in (folder, folder / "users", folder / "ini"):
            os.chown(path, *account.owner)
        as_user = {"user": account.uid, "group": account.gid, "extra_groups": []}
    log = (folder / "log").open("w")
    process = await asyncio.create_subprocess_exec(BINARY, str(folder / "ini"), cwd="/", stdout=log, stderr=log, **as_user)
    try:

        async def listens() -> bool:
            assert process.returncode is None, (folder / "log").read_text()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{PORT}")
                writer.close()
                await writer.wait_closed()
                return True
            return False

        await until(listens)
        yield Bouncer(folder)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)
        log.close()
        shutil.rmtree(folder)
