"""An endpoint: one instance as its callers see it, kept connected for as long as it is in the routing table.

connecting ──ready──> ready ──DRAIN──> draining
    ^                   │                 │
    └── lost, after a wait that doubles ──┴── (dropped from the table: closed when the last call is over)
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ramet.calls import balance
from ramet.calls.client_connection import ClientConnection
from ramet.calls.health import Circuit, Health
from ramet.calls.transport import dial, peer_service
from ramet.errors import ProtocolError, RametError
from ramet.model.contract import CallContract
from ramet.model.routing import Address
from ramet.settings import Settings
from ramet.wire import hello
from ramet.wire.hello import Hello, Offer

logger = logging.getLogger("ramet.calls")

FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
_PONG_WITHIN_S = 1.0
_FIRST_LATENCY_S = 0.001
"""Before anything is measured. Low, so that a new endpoint is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: what each connection says in its HELLO."""

    app: str
    service: str
    instance: str
    version: str
    uses: dict[str, list[str]]
    offers: tuple[tuple[Offer, CallContract], ...]
    tls: ssl.SSLContext | None
    here: str
    settings: Settings

    def greeting(self) -> Hello:
        return Hello(
            hello.MAGIC,
            hello.PROTOCOL,
            self.app,
            self.service,
            self.instance,
            self.version,
            self.uses,
            [offer for offer, _ in self.offers],
            self.settings.max_frame_bytes,
            self.settings.stream_window_bytes,
        )


class Endpoint:
    """on_change is called when it becomes callable or stops being so, and when it has room again."""

    def __init__(self, address: Address, caller: Caller, on_change: Callable[[], None]) -> None:
        self.address = address
        self.in_flight = 0
        self.limit = 0
        """Calls that may be in flight: what the peer takes, 1 while it is on probation, 0 while it cannot be called."""
        self.latency_s = _FIRST_LATENCY_S
        self.health = Health()
        self.connection: ClientConnection | None = None
        self.last_error: Exception | None = None
        self._caller = caller
        self._on_change = on_change
        self._lost: asyncio.Future[Exception] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._keeping = asyncio.create_task(self._keep(), name=f"endpoint {address.instance}")

    def __repr__(self) -> str:
        circuit = self.health.circuit.value
        return f"<Endpoint {self.address}, {self.state}, {self.in_flight} in flight, {self.latency_s * 1e3:.2f} ms, {circuit}>"

    @property
    def state(self) -> str:
        if self.connection is None:
            return "connecting"
        if self.connection.is_draining:
            return "draining"
        return "ready" if self.health.circuit is not Circuit.OPEN else "ejected"

    @property
    def is_callable(self) -> bool:
        return self.state == "ready"

    def changed(self) -> None:
        """Its state or its room is another now."""
        connection = self.connection
        if connection is None or connection.is_paused or not self.is_callable:
            self.limit = 0
        else:
            self.limit = 1 if self.health.circuit is Circuit.HALF_OPEN else connection.max_calls
        self._on_change()

    def statistics(self) -> dict[str, Any]:
        return {
            "instance": self.address.instance,
            "state": self.state,
            "in_flight": self.in_flight,
            "latency_s": self.latency_s,
            "error_rate": self.health.error_rate,
            "opened": self.health.opened,
            "last_error": str(self.last_error) if self.last_error else None,
        }

    # Reports from calls

    def answered(self, elapsed_s: float) -> None:
        """With a result, or with a failure that the contract declares."""
        self.latency_s += (elapsed_s - self.latency_s) * balance.SMOOTHING
        health = self.health
        if health.is_spotless:  # nearly always, and then there is no more to it
            health.calls += 1
        elif health.succeeded():
            self.changed()

    def raised(self, elapsed_s: float) -> None:
        """With an exception of the callee's, or a result that does not fit."""
        self.latency_s += (elapsed_s - self.latency_s) * balance.SMOOTHING
        if self.health.succeeded(error=1.0):
            self.changed()

    def unanswered(self) -> None:
        if self.health.failed():
            self.eject()

    def eject(self) -> None:
        """Take it out of use until a PING is answered and one call succeeds."""
        self.health.open()
        logger.warning(
            "endpoint.ejected",
            extra={
                "endpoint": self.address.instance,
                "service": self.address.service,
                "failures": self.health.failures,
            },
        )
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe(), name=f"probe {self.address.instance}")
        self.changed()

    async def _probe(self) -> None:
        while self.health.circuit is Circuit.OPEN:
            await asyncio.sleep(self.health.wait_s * (0.75 + random.random() / 2))  # noqa: S311  (jitter)
            connection = self.connection
            if connection is None:
                continue  # connecting again; the handshake is the sign of life
            try:
                async with asyncio.timeout(_PONG_WITHIN_S):
                    await connection.wait_pong()
            except TimeoutError:
                self.health.unanswered()
                continue
            self.health.probe()
            self.changed()

    # Life

    async def _keep(self) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                async with asyncio.timeout(self._caller.settings.handshake_s):
                    await self._connect()
                wait_s = FIRST_WAIT_S
                self.changed()
                assert self._lost is not None
                self.last_error = await self._lost
            except (OSError, TimeoutError, ssl.SSLError, RametError) as error:
                self._report(error)
            self.connection = None
            self.changed()
            await asyncio.sleep(wait_s * (0.5 + random.random()))  # noqa: S311  (jitter)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _report(self, error: Exception) -> None:
        # An instance that is not up yet is no news; a refusal is, once.
        if isinstance(error, ProtocolError) and str(error) != str(self.last_error):
            logger.error(
                "endpoint.refused",
                extra={"endpoint": self.address.instance, "reason": str(error), "hint": error.hint or ""},
            )
        self.last_error = error

    async def _connect(self) -> None:
        lost: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._lost = lost

        def on_end(reason: Exception) -> None:
            self.connection = None
            if not lost.done():
                lost.set_result(reason)
            self.changed()

        settings = self._caller.settings
        connection = await dial(
            self.address,
            lambda: ClientConnection(
                self._caller.greeting(),
                max_frame_bytes=settings.max_frame_bytes,
                ping_interval_s=settings.ping_interval_s,
                on_end=on_end,
                on_room=self.changed,
                on_drain=self.changed,
            ),
            here=self._caller.here,
            tls=self._caller.tls,
        )
        try:
            welcome = await connection.wait_ready()
            self._check_peer(connection)
        except BaseException:
            connection.close()
            raise
        connection.accept(welcome, hello.terms(self._caller.offers, welcome))
        self.connection = connection

    def _check_peer(self, connection: ClientConnection) -> None:
        assert connection.transport is not None
        named = peer_service(connection.transport, self._caller.app)
        if named is not None and named != self.address.service:
            raise ProtocolError(
                "wrong-certificate",
                f"{self.address} should be service {self.address.service!r}, its certificate names {named!r}",
            )

    async def retire(self) -> None:
        """It is no longer in the table: finish what is in flight, then close."""
        if self.connection is not None:
            self.connection.is_draining = True
            if self.in_flight and self._lost is not None:
                await asyncio.wait([self._lost])
        await self.close()

    async def close(self) -> None:
        """Stop calling it. Calls under way end with ConnectionLost; the router closes only when there are none, or at the end."""
        tasks = [self._keeping, *([self._probing] if self._probing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.connection is not None:
            self.connection.close()
            self.connection = None
