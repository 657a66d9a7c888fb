"""Put modules together in this process, or apart over each kind of wire, and run a test's coroutine as the code of one of them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from ramet import Module
from ramet.calls.ledger import Ledger
from ramet.calls.runtime import Calls
from ramet.model.routing import Address, RoutingTable
from ramet.process.certificates import Authority
from ramet.settings import Settings

T = TypeVar("T")

TOGETHER = ("together", "together, production")
APART = ("unix", "tcp", "mtls")
PLACEMENTS = TOGETHER + APART

QUICK = Settings(handshake_s=2.0, ping_interval_s=0.2)


def run(work: Awaitable[T]) -> T:
    async def main() -> T:
        return await work

    return asyncio.run(main())


@asynccontextmanager
async def serving(
    modules: Iterable[Module],
    *,
    hosts: str,
    placement: str = "unix",
    instance: str | None = None,
    settings: Settings = QUICK,
    folder: Path,
    ledgers: dict[str, Ledger] | None = None,
) -> AsyncIterator[tuple[Calls, Address]]:
    """An instance that hosts one module, with a door of the kind."""
    authority = Authority.at(folder / "certificates", app="test") if placement == "mtls" else None
    calls = Calls(
        modules,
        local=[hosts],
        app="test",
        service=hosts,
        instance=instance or f"{hosts}-1",
        settings=settings,
        identity=authority.identity(hosts) if authority else None,
        ledgers=ledgers,
    )
    unix = folder / f"{calls.instance}.sock" if placement == "unix" else None
    address = await calls.listen(unix=unix, host=None if unix else "127.0.0.1")
    try:
        yield calls, address
    finally:
        await calls.close()


@asynccontextmanager
async def calling_from(
    modules: Iterable[Module],
    *,
    caller: str,
    addresses: dict[str, list[Address]],
    settings: Settings = QUICK,
    folder: Path,
    placement: str = "unix",
) -> AsyncIterator[Calls]:
    """An instance whose facades are this process's own, with the caller's module running in it."""
    authority = Authority.at(folder / "certificates", app="test") if placement == "mtls" else None
    calls = Calls(
        modules,
        local=[caller],
        app="test",
        service=caller,
        instance=f"{caller}-1",
        settings=settings,
        identity=authority.identity(caller) if authority else None,
    )
    calls.place()
    calls.route(RoutingTable(1, addresses))
    try:
        with calls.inside(caller):
            yield calls
    finally:
        await calls.close()


@asynccontextmanager
async def placed(
    modules: Iterable[Module], placement: str, *, caller: str, callee: str, settings: Settings = QUICK
) -> AsyncIterator[Calls]:
    """Two modules, together or apart; the body runs as code of the caller. Yields the callee's side."""
    modules = list(modules)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if placement in TOGETHER:
            strict = placement == "together"
            calls = Calls(
                modules, local=[caller, callee], app="test", service="main", instance="main-1", settings=Settings(strict=strict)
            )
            calls.place()
            try:
                with calls.inside(caller):
                    yield calls
            finally:
                await calls.close()
            return
        async with (
            serving(modules, hosts=callee, placement=placement, folder=folder, settings=settings) as (server, address),
            calling_from(
                modules, caller=caller, addresses={callee: [address]}, folder=folder, placement=placement, settings=settings
            ),
        ):
            yield server


async def wait_until(condition: Callable[[], Any], *, within_s: float = 5.0) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
