"""Calls to one chosen instance, from outside of all modules: what a supervisor or a person at a prompt makes.

A module's own calls go to whichever instance the balancer picks; these name the instance. No retries, no balancing: who asks
one instance wants that one's answer.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from ramet.calls import failures
from ramet.calls.client_connection import ClientConnection
from ramet.calls.facade import Exposes, call_of
from ramet.calls.transport import dial, host_id
from ramet.errors import Unavailable
from ramet.model.routing import Address
from ramet.observe.record import new_span_id, new_trace_id
from ramet.settings import Settings
from ramet.wire import hello
from ramet.wire.context import OUTSIDE, current
from ramet.wire.frames import Kind
from ramet.wire.hello import Hello, Offer

_RESULT = int(Kind.RESULT)


class Direct:
    """An open connection to one instance. Use `connect`."""

    def __init__(self, connection: ClientConnection, address: Address) -> None:
        self._connection = connection
        self.address = address

    def __repr__(self) -> str:
        return f"<Direct {self.address}>"

    async def call(self, facade: Callable[..., Any], *args: Any, deadline_s: float | None = None) -> Any:
        """Make a call of one of the modules that `connect` was given. Arguments by position. Raises what the call raises."""
        call = call_of(facade)
        contract = call.contract
        terms = self._connection.agreed.get((OUTSIDE.name, contract.qualified))
        if terms is None:
            refused = self._connection.refused.get((OUTSIDE.name, contract.qualified))
            reason = refused.refusal if refused is not None and refused.refusal else "it does not host this call"
            raise Unavailable(f"{self.address}: {reason}", may_have_run=False, call=contract.qualified)
        context = current.get()
        limit_s = contract.deadline_s if deadline_s is None else deadline_s
        tail = (call.codec.named(args, terms.required),) if terms.by_name else args
        body = (int(limit_s * 1000) + 1, context.trace_id or new_trace_id(), new_span_id(), context.trace_flags, None, *tail)
        number, answer = self._connection.send(call.codec, terms, body, args, time.monotonic() + limit_s)
        try:
            got = await answer
        except asyncio.CancelledError:
            self._connection.cancel(number)
            raise
        if got[0] != _RESULT:
            raise failures.read_error(got[4], call.codec)
        return call.codec.read_result(got[4]) if not got[1] else call.codec.read_result_with_causal(got[4])[1]


@asynccontextmanager
async def connect(
    address: Address,
    modules: Iterable[Exposes],
    *,
    app: str,
    settings: Settings | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[Direct]:
    """Connect to one instance for calls of these modules. Raises Unavailable, or ProtocolError where the peer refuses."""
    settings = settings or Settings()
    contracts = [call.contract for module in modules for call in module.calls.values()]
    offers = [(Offer(OUTSIDE.name, contract.qualified, contract.hash), contract) for contract in contracts]
    limits = (settings.max_frame_bytes, settings.stream_window_bytes)
    greeting = Hello(hello.MAGIC, hello.PROTOCOL, app, "", "outside", "", {}, [offer for offer, _ in offers], *limits)
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731  (nobody waits for room, and the end shows in the next call)

    def protocol() -> ClientConnection:
        return ClientConnection(
            greeting,
            max_frame_bytes=settings.max_frame_bytes,
            ping_interval_s=settings.ping_interval_s,
            on_end=nothing,
            on_room=nothing,
            on_drain=nothing,
            leaves_when_drained=False,  # whoever asks this one instance means it, also while it leaves
        )

    connection: ClientConnection | None = None
    try:
        try:
            async with asyncio.timeout(settings.handshake_s):
                connection = await dial(address, protocol, here=host_id(), tls=tls)
                welcome = await connection.wait_ready()
        except (OSError, TimeoutError, ssl.SSLError) as error:
            reason = str(error) or "no answer in time"
            raise Unavailable(f"{address} cannot be reached: {reason}", may_have_run=False, hint="ramet status") from error
        connection.accept(welcome, hello.terms(offers, welcome))
        yield Direct(connection, address)
    finally:
        if connection is not None:
            connection.close()
