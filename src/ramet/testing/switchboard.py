"""Which way each call of a placed test goes. The facades in the modules' faces are the process's own, and here the process plays
several parts: that of the test, outside of all modules, and that of each module that it hosts. Whose code is running decides.

    code of a module ──its own call──> here
    code of anybody  ──a call of a module that its part hosts──> here, with the checks and copies of strict mode
                     ──any other──> over a socket, from its part's own connections

Over a socket, whatever may be repeated is: an idempotent call is sent twice, and so is a `once` call, with one key. The caller
gets the second answer, as it does in production when the first one is lost.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from ramet.calls.execution import positional
from ramet.calls.facade import Call, Slow
from ramet.calls.ledger import Ledger, key_of
from ramet.calls.local import LocalCall
from ramet.calls.runtime import Calls
from ramet.errors import CallError, RemoteError
from ramet.model.contract import CallContract
from ramet.model.failure import Failure
from ramet.module import Module
from ramet.testing.errors import Posed
from ramet.testing.fakes import Fake
from ramet.wire.context import Wanted, current


@dataclass(frozen=True, slots=True)
class Part:
    """One that this process plays. calls: what it hosts, and its connections. lossy: its connections for calls that may be
    repeated; None where the test's placement loses nothing. ledgers: of the modules that it hosts."""

    calls: Calls
    ledgers: Mapping[str, Ledger]
    lossy: Calls | None = None


class Switchboard:
    """parts: by the module whose code runs; `""` is the test's own, and everybody's who has none."""

    def __init__(self, modules: Mapping[str, Module], parts: Mapping[str, Part]) -> None:
        self.modules = modules
        self.parts = dict(parts)
        self.hosting: Callable[[str], AbstractAsyncContextManager[None]] | None = None
        """Makes this process host a module that others call; None where it hosts all."""
        self._fakes: dict[str, Fake] = {}
        self._ways: dict[tuple[str, str], Slow] = {}

    def __repr__(self) -> str:
        return f"<Switchboard of {', '.join(filter(None, self.parts)) or 'the test alone'}, {len(self._fakes)} fakes>"

    def place(self) -> None:
        for module in self.modules.values():
            for call in module.calls.values():
                call.bind(partial(self._make, call))

    def unplace(self) -> None:
        for module in self.modules.values():
            for call in module.calls.values():
                call.unbind()

    def _make(self, call: Call, args: tuple[Any, ...]) -> Any:
        name = current.get().face.name
        key = (name, call.contract.qualified)
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = self._way(name, call)
        return way(args)

    def _way(self, caller: str, call: Call) -> Slow:
        contract = call.contract
        part = self.parts.get(caller) or self.parts[""]
        fake = self._fakes.get(contract.qualified) if caller != contract.module else None
        if contract.module in part.calls.local:
            return _local(part, call) if fake is None else _posed(contract, _local(part, fake.call))
        if part.lossy is None or fake is not None or contract.streams or not (contract.idempotent or contract.once):
            return part.calls.placement.elsewhere(call)
        return partial(_twice, contract, part.lossy.placement.elsewhere(call))

    @asynccontextmanager
    async def replacing(self, fake: Fake) -> AsyncGenerator[None]:
        """The stage of `fake`: hand the call to it, wherever it is made."""
        module = fake.call.contract.module
        async with contextlib.AsyncExitStack() as stack:
            if self._host(module) is None and self.hosting is not None:
                await stack.enter_async_context(self.hosting(module))
            part = self._host(module)
            assert part is not None, f"somebody hosts {module}"
            hosted = part.calls.server.hosted[fake.name]
            before, covered = hosted.function, self._fakes.get(fake.name)
            hosted.function = positional(fake.call.function, _keyword_only(fake.call.contract))
            self._fakes[fake.name] = fake
            self._ways.clear()
            try:
                yield
            finally:
                hosted.function = before
                if covered is None:
                    del self._fakes[fake.name]
                else:
                    self._fakes[fake.name] = covered
                self._ways.clear()

    def _host(self, module: str) -> Part | None:
        return next((part for part in self.parts.values() if module in part.calls.local), None)

    def add(self, module: str, part: Part) -> None:
        self.parts[module] = part
        self._ways.clear()

    def remove(self, module: str) -> None:
        del self.parts[module]
        self._ways.clear()


def _keyword_only(contract: CallContract) -> tuple[str, ...]:
    return tuple(parameter.name for parameter in contract.parameters if parameter.keyword_only)


def _local(part: Part, call: Call) -> Slow:
    local = LocalCall(call, part.calls.recorder, part.ledgers[call.contract.module], strict=True, fast=False)
    return local.stream if call.contract.streams else local.run


def _posed(contract: CallContract, way: Slow) -> Slow:
    """A fake's own CallError reaches a caller in the same process as it does one across a socket."""

    async def run(args: tuple[Any, ...]) -> Any:
        with _unwrapped():
            return await way(args)

    async def stream(args: tuple[Any, ...]) -> AsyncIterator[Any]:
        with _unwrapped():
            async for item in way(args):
                yield item

    return stream if contract.streams else run


@contextlib.contextmanager
def _unwrapped() -> Generator[None]:
    try:
        yield
    except RemoteError as error:
        if isinstance(error.__cause__, Posed):
            raise error.__cause__.error from None
        raise


async def _twice(contract: CallContract, way: Callable[[tuple[Any, ...]], Awaitable[Any]], args: tuple[Any, ...]) -> Any:
    context = current.get()
    if contract.once:
        current.set(context.derive(wanted=(context.wanted or Wanted())._replace(key=key_of(context))))
    try:
        with contextlib.suppress(Failure, CallError):
            await way(args)  # the answer that its caller does not hear
        return await way(args)
    finally:
        current.set(context)
