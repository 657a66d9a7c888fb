"""A PostgreSQL of a moment's life, on which indexes are tried: made in a folder of its own, filled with a module's tables and
statistics but none of its rows, asked for plans, and thrown away. The module's own server is not touched.

A table of rows that are not there has the size of one that are: its file is made as long as the original's, and sparse, so it
takes no disk. Nothing reads it, since EXPLAIN executes nothing.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ramet.data.insight.copying import PAGE
from ramet.data.insight.trying import try_indexes
from ramet.engines.postgres import Postgres, StopMode
from ramet.engines.postgres_settings import PostgresSettings
from ramet.model.catalog import Catalog, NewIndex, Trial
from ramet.model.insight import Sample

SEGMENT_PAGES = 131_072
"""Of a file of PostgreSQL's, which has 1 GB; then the next begins."""
MAX_PAGES = 100 * SEGMENT_PAGES
"""Of a table that is copied in full size. A larger one is copied as one of 100 GB: a plan for that is no other."""
FIRST_MAJOR = 18
"""Older ones take no statistics from outside."""


async def try_on_a_copy(catalog: Catalog, wanted: Sequence[tuple[NewIndex, Sequence[Sample]]]) -> list[list[Trial]]:
    """For each index a Trial of each of its samples. Takes some seconds. Raises an EngineError where no PostgreSQL can be
    started, a DatabaseError."""
    folder = _folder()
    settings = PostgresSettings(extra={"fsync": "off", "full_page_writes": "off", "autovacuum": "off", "wal_level": "replica"})
    server = Postgres(folder / "postgres", settings=settings)
    try:
        await server.start()
        if int(server.version.partition(".")[0]) < FIRST_MAJOR:
            reason = f"the PostgreSQL here is {server.version}, and takes no statistics from outside before {FIRST_MAJOR}"
            return [[Trial(problem=reason) for _ in samples] for _, samples in wanted]
        return await try_indexes(server.url(), catalog, wanted, lambda path, pages: resize(server.data / path, pages))
    finally:
        await server.stop(StopMode.IMMEDIATE)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="ramet-try-"))
    made.chmod(0o711)  # the server has another account where we are root
    return made


def resize(path: Path, pages: int) -> None:
    """Make a relation's file longer, never shorter. Segments beyond the first are made as the server makes them."""
    whole = min(pages, MAX_PAGES)
    owner = path.stat()
    for number in range((whole + SEGMENT_PAGES - 1) // SEGMENT_PAGES):
        file = path if number == 0 else path.with_name(f"{path.name}.{number}")
        length = min(whole - number * SEGMENT_PAGES, SEGMENT_PAGES) * PAGE
        if not file.exists():
            file.touch(mode=0o600)
            os.chown(file, owner.st_uid, owner.st_gid)
        if file.stat().st_size < length:
            os.truncate(file, length)
