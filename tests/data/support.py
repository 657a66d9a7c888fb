"""Databases for tests, and time."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ramet.data import driver, schemas
from ramet.data.address import Address
from ramet.data.database import Database
from ramet.data.opening import open_database
from ramet.data.pool import Limits, Pool
from ramet.observe.record import Recorder
from ramet.wire.context import current


class Server:
    """admin: a superuser's address. module(): a new module with its schema and role."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = Address(dsn=f"postgresql://ramet@/postgres?host={folder}", application_name="ramet tests")
        self._numbers = itertools.count(1)

    def module(self) -> str:
        return f"m{next(self._numbers)}"

    def address(self, module: str, **options: Any) -> Address:
        return Address(dsn=f"postgresql://{module}:secret@/postgres?host={self.folder}", schema=module, **options)

    @asynccontextmanager
    async def superuser(self) -> AsyncIterator[driver.Driver]:
        connection = await driver.connect(self.admin.dsn, timeout_s=5, server_settings={})
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @asynccontextmanager
    async def database(
        self, *statements: str, key: str | None = None, recorder: Recorder | None = None, **limits: Any
    ) -> AsyncIterator[Database]:
        """A new module's database, open; `statements` are run in it first."""
        module = self.module()
        await schemas.provision(self.admin, [schemas.Owner(module, "secret")])
        async with self.opened(module, key=key, recorder=recorder, **limits) as database:
            for statement in statements:
                async with database.write(*(["setup"] if key else [])) as tx:
                    await tx.execute(statement)
            yield database

    @asynccontextmanager
    async def opened(
        self, module: str, *, key: str | None = None, recorder: Recorder | None = None, **limits: Any
    ) -> AsyncIterator[Database]:
        database = Database(module, key=key)
        pool = await open_database(
            database, self.address(module), limits=Limits(**{"max_connections": 4, **limits}), recorder=recorder
        )
        try:
            yield database
        finally:
            await pool.close(drain_s=1)


def pool_of(database: Database) -> Pool:
    pool = database.opened.pool
    assert isinstance(pool, Pool)
    return pool


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Work with a deadline, as a call has it."""
    outer = current.get()
    current.set(outer.derive(deadline=time.monotonic() + seconds, budget_s=seconds))
    try:
        yield
    finally:
        current.set(outer)


async def until(condition: Any, *, seconds: float = 5.0) -> None:
    """Let the loop turn until `condition()` is true; it may be a coroutine function."""
    limit = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < limit, "waited in vain"
        await asyncio.sleep(0.001)


class Outcomes:
    """Outcomes of calls whose results are text; what the calls part does with its codecs."""

    def encode_result(self, call: str, value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"{call} returns text")
        return value.encode()

    def decode_result(self, call: str, data: bytes) -> Any:
        return data.decode()

    def encode_error(self, call: str, error: Exception) -> bytes:
        return f"{type(error).__name__}: {error}".encode()

    def decode_error(self, call: str, data: bytes) -> Exception:
        return LookupError(data.decode())
