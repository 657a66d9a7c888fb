"""A call to another instance whose result is streamed.

It is not repeated: once an item was read, nobody knows what a second run would send. The deadline is for each item, since a
stream as a whole may be as long as its reader likes; the deadline of the caller's own work still ends it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from ramet.calls.endpoints import Endpoint
from ramet.calls.ledger import key_of
from ramet.calls.remote import Making, RemoteCall
from ramet.calls.streams import IncomingStream
from ramet.errors import CallError, DeadlineExceeded
from ramet.wire.frames import WITH_CAUSAL, Frame, Kind

_CHUNK, _FAILURE = int(Kind.CHUNK), int(Kind.FAILURE)

monotonic = time.monotonic


class RemoteStream:
    def __init__(self, remote: RemoteCall) -> None:
        self._remote = remote

    def open(self, args: tuple[Any, ...]) -> AsyncIterator[Any]:
        """The call is made when the first item is asked for."""
        return self._items(args)

    async def _items(self, args: tuple[Any, ...]) -> AsyncIterator[Any]:
        remote = self._remote
        making = remote.begin(args)
        error = ""
        try:
            endpoint = remote.group.pick() or await remote.group.wait(making[4])
            incoming = self._send(args, making, endpoint)
            endpoint.in_flight += 1
            try:
                while True:
                    got = await self._next(incoming, making, endpoint)
                    if got[0] != _CHUNK:
                        break
                    yield remote.codec.read_result(got[4])
                self._end(got, making, endpoint)
            finally:
                incoming.leave()
                endpoint.in_flight -= 1
                remote.group.wake()
        except GeneratorExit:
            raise
        except BaseException as raised:
            error = type(raised).__name__
            if isinstance(raised, CallError) and raised.call is None:
                raised.call = remote.name
            raise
        finally:
            remote.finish(making, error)

    def _send(self, args: tuple[Any, ...], making: Making, endpoint: Endpoint) -> IncomingStream:
        remote = self._remote
        connection = endpoint.connection
        assert connection is not None
        context, _, _, started, deadline = making
        terms = connection.agreed.get((context.face.name, remote.name))
        if terms is None:
            raise remote.refused(context, endpoint)
        key = key_of(context) if remote.contract.once else None
        body = remote.body(args, making, deadline - started, key, terms)
        return connection.open_stream(remote.codec, terms, body, args)

    async def _next(self, incoming: IncomingStream, making: Making, endpoint: Endpoint) -> Frame:
        context, _, _, started, deadline = making
        while (got := incoming.next_frame()) is None:
            try:
                async with asyncio.timeout(min(deadline - started, context.deadline - monotonic())):
                    await incoming.wait_frame()
            except TimeoutError:
                endpoint.unanswered()
                raise DeadlineExceeded("no item came within the deadline", may_have_run=True) from None
        return got

    def _end(self, got: Frame, making: Making, endpoint: Endpoint) -> None:
        if got[0] == _FAILURE:
            raise self._remote.failed(got, endpoint, endpoint.latency_s)
        if got[1] & WITH_CAUSAL:
            making[0].causal.merge(self._remote.codec.read_causal(got[4]))
