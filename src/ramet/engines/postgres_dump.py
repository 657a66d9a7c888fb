"""The schema of a module, without rows, from one server to another: by pg_dump and pg_restore, which know all of it."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ramet.engines import accounts, postgres_binaries
from ramet.engines.errors import EngineFailed
from ramet.engines.postgres_settings import PostgresSettings

DEADLINE_S = 120.0


async def copy_schema(source: str, target: str, schema: str, *, keep: Callable[[str], bool]) -> None:
    """Tables, functions, indexes, constraints, triggers. source, target: URLs of superusers. The schema must not be at the
    target. keep: whether to make what a line of the table of contents names. Raises EngineFailed with their words."""
    account = accounts.lesser_account(PostgresSettings().user)
    binaries = await asyncio.to_thread(postgres_binaries.prepare, "auto", account=account)
    with tempfile.TemporaryDirectory(prefix="ramet-schema-") as folder:
        dump, contents = Path(folder) / "dump", Path(folder) / "contents"
        options = ["--format=custom", "--schema-only", "--no-publications", "--no-subscriptions", f"--schema={schema}"]
        await _run(source, [binaries["pg_dump"], *options, f"--file={dump}"], "pg_dump")
        listed = await _run("", [binaries["pg_restore"], "--list", dump], "pg_restore")
        contents.write_text("".join(f"{line}\n" for line in listed.splitlines() if keep(line)))
        restore = [binaries["pg_restore"], "--exit-on-error", "--single-transaction", f"--use-list={contents}"]
        await _run(target, [*restore, "--dbname=", dump], "pg_restore")


async def _run(url: str, argv: list[str | Path], name: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    command = [os.fspath(part) for part in argv]
    if url:
        bare, password = _without_password(url)
        environment["PGPASSWORD"] = password  # on a command line everybody would see it
        command = [f"--dbname={bare}" if part == "--dbname=" else part for part in command]
        if not any(part.startswith("--dbname=") for part in command):
            command.insert(1, f"--dbname={bare}")
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, complaints = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise EngineFailed(f"{name} failed with {process.returncode}: {complaints.decode(errors='replace').strip()}")
    return said.decode()


def _without_password(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    who, at, host = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}")), unquote(password)
