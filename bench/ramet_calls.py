"""Ramet's own calls, everything on: deadline, trace, metrics, typed, retries and balancing wired; production settings."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.payload import SAMPLE, OrderLine
from bench.subject import Drive, Place, Subject, closed_loop
from ramet import Module
from ramet.calls.runtime import Calls
from ramet.calls.transport import Identity
from ramet.model.routing import Address, RoutingTable
from ramet.process.__main__ import tune_collector
from ramet.process.certificates import Authority
from ramet.settings import Settings

orders = Module("orders")
shop = Module("shop", uses=["orders"])


@orders.expose
async def echo(line: OrderLine) -> OrderLine:
    return line


def _identity(place: Place, service: str) -> Identity:
    return Authority.at(Path(place.folder) / "certificates", app="bench").identity(service)


def _calls(module: str, identity: Identity | None) -> Calls:
    """Of a process that has `module`, as an instance in production makes them."""
    tune_collector()
    calls = Calls(
        [orders, shop],
        local=[module],
        app="bench",
        service=module,
        instance=f"{module}-1",
        settings=Settings(strict=False),
        identity=identity,
    )
    calls.place()
    return calls


def _subject(*, unix: bool = False, tls: bool = False) -> Subject:
    def path(place: Place) -> Path:
        return Path(place.folder) / "orders.sock"

    @asynccontextmanager
    async def serve(place: Place) -> AsyncGenerator[Sequence[int], None]:
        calls = _calls("orders", _identity(place, "orders") if tls else None)
        await calls.listen(unix=path(place) if unix else None, host=None if unix else place.host, port=place.port)
        yield ()
        await calls.close()

    @asynccontextmanager
    async def connect(place: Place) -> AsyncGenerator[Drive, None]:
        calls = _calls("shop", _identity(place, "shop") if tls else None)
        here = calls.here if unix else ""
        address = Address(
            "orders-1", "orders", unix=str(path(place)) if unix else "", host_id=here, host=place.host, port=place.port
        )
        calls.route(RoutingTable(1, {"orders": [address]}))
        with calls.inside("shop"):
            yield closed_loop(echo, SAMPLE)
        await calls.close()

    return Subject(serve, connect)


SUBJECT = _subject()
UNIX = _subject(unix=True)
TLS = _subject(tls=True)
