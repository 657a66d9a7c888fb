"""Calls of one process: which modules run here, which elsewhere, and the doors and connections between.

`Calls` is told (`place`, `route`), it never asks. There is one in a process at a time, because the facades in the modules' faces
are the process's own.
"""

import asyncio
import ssl
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ramet.calls import local
from ramet.calls.endpoints import Caller, Endpoint
from ramet.calls.facade import Call, Exposes, Slow
from ramet.calls.group import Group
from ramet.calls.hosting import Hosted
from ramet.calls.ledger import Ledger, MemoryLedger
from ramet.calls.remote import RemoteCall
from ramet.calls.remote_stream import RemoteStream
from ramet.calls.server import CallServer
from ramet.calls.server_connection import door
from ramet.calls.transport import Identity, client_context, host_id, listen_tcp, listen_unix, server_context
from ramet.model.routing import Address, RoutingTable
from ramet.observe import names
from ramet.observe.record import Recorder, new_span_id, new_trace_id
from ramet.settings import Settings
from ramet.wire.context import OUTSIDE, Context, current
from ramet.wire.hello import Offer


class Calls:
    """modules: all of the application's that this process has imported; local: the names of those that run here.
    private: those that only this machine's own tools may call."""

    def __init__(
        self,
        modules: Iterable[Exposes],
        *,
        local: Iterable[str],
        app: str,
        service: str,
        instance: str,
        version: str = "",
        settings: Settings | None = None,
        recorder: Recorder | None = None,
        identity: Identity | None = None,
        ledgers: Mapping[str, Ledger] | None = None,
        private: Collection[str] = (),
    ) -> None:
        self.modules = {module.name: module for module in modules}
        self.local = frozenset(local)
        self.settings = settings or Settings()
        self.recorder = recorder or Recorder(
            service=service, version=version, instance=instance, ring_records=self.settings.ring_records
        )
        self.app, self.service, self.instance, self.version = app, service, instance, version
        self._identity = identity
        self._ledger = MemoryLedger()
        self._ledgers = dict(ledgers or {})
        self._tls: ssl.SSLContext | None = client_context(identity) if identity else None
        self.here = host_id()
        self._groups: dict[str, Group] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._doors: list[asyncio.AbstractServer] = []
        self.epoch = -1
        hosted = {
            call.contract.qualified: Hosted(
                call, self.recorder, self._ledgers.get(name, self._ledger), is_private=name in private
            )
            for name in self.local
            for call in self.modules[name].calls.values()
        }
        self.server = CallServer(
            hosted,
            app=app,
            service=service,
            instance=instance,
            version=version,
            settings=self.settings,
            recorder=self.recorder,
        )
        self.recorder.gauge(
            names.QUEUED, lambda: (({"module": name}, float(len(group.waiting))) for name, group in self._groups.items())
        )
        self.recorder.gauge(names.ENDPOINTS, self._endpoint_states)

    def __repr__(self) -> str:
        here = ", ".join(sorted(self.local)) or "no module"
        return f"<Calls of {self.instance}: {here} here, {len(self._endpoints)} endpoints, epoch {self.epoch}>"

    # Placement

    def place(self) -> None:
        """Bind every facade: to this process where its module is placed here, else to the module's endpoints."""
        for name, module in self.modules.items():
            for call in module.calls.values():
                self._bind(call, name)

    def _bind(self, call: Call, module: str) -> None:
        if module in self.local:
            local.bind(
                call,
                recorder=self.recorder,
                ledger=self._ledgers.get(module, self._ledger),
                strict=self.settings.strict,
                fast=self._reaches_only_local(module, set()),
            )
        else:
            call.bind(self.remote(call))

    def remote(self, call: Call) -> Slow:
        """How code that runs here makes a call of a module that does not."""
        remote = RemoteCall(call, self._group(call.contract.module), self.recorder, strict=self.settings.strict)
        return RemoteStream(remote).open if call.contract.streams else remote.run

    def _reaches_only_local(self, module: str, seen: set[str]) -> bool:
        """Whether nothing that runs in a call of this module can leave the process."""
        seen.add(module)
        uses = self.modules[module].uses
        return all(name in self.local and (name in seen or self._reaches_only_local(name, seen)) for name in uses)

    def unplace(self) -> None:
        """Leave the facades as they were after import."""
        for module in self.modules.values():
            for call in module.calls.values():
                call.unbind()

    # Routing

    def route(self, table: RoutingTable) -> bool:
        """Take a routing table. False, and nothing done, for one that is not newer. Endpoints that are in both stay connected."""
        if table.epoch <= self.epoch:
            return False
        self.epoch = table.epoch
        wanted = {address.instance: address for addresses in table.modules.values() for address in addresses}
        for instance, endpoint in list(self._endpoints.items()):
            if wanted.get(instance) != endpoint.address:
                self._retire(self._endpoints.pop(instance))
        caller = self._caller()
        for instance, address in wanted.items():
            if instance not in self._endpoints and instance != self.instance:
                self._endpoints[instance] = Endpoint(address, caller, self._refresh)
        for name in {*self._groups, *table.modules}:
            group = self._group(name)
            group.endpoints = [
                self._endpoints[address.instance]
                for address in table.modules.get(name, ())
                if address.instance in self._endpoints
            ]
        self._refresh()
        return True

    def _group(self, module: str) -> Group:
        if module not in self._groups:
            self._groups[module] = Group(module, self.settings)
        return self._groups[module]

    def _refresh(self) -> None:
        for group in self._groups.values():
            group.refresh()

    def _retire(self, endpoint: Endpoint) -> None:
        task = asyncio.create_task(endpoint.retire(), name=f"retire {endpoint.address.instance}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _caller(self) -> Caller:
        here = [self.modules[name] for name in sorted(self.local)]
        offers = [
            (Offer(caller, call.contract.qualified, call.contract.hash), call.contract)
            for caller, uses in [(module.name, module.uses) for module in here] + [(OUTSIDE.name, frozenset(self.modules))]
            for used in sorted(uses)
            if used in self.modules and used not in self.local
            for call in self.modules[used].calls.values()
        ]
        return Caller(
            app=self.app,
            service=self.service,
            instance=self.instance,
            version=self.version,
            uses={module.name: sorted(module.uses) for module in here},
            offers=tuple(offers),
            tls=self._tls,
            here=self.here,
            settings=self.settings,
        )

    @contextmanager
    def inside(self, module: str) -> Generator[None]:
        """Run code of a module that nobody called: a job, what starts and stops it."""
        outer = current.get()
        current.set(Context(trace_id=new_trace_id(), span_id=new_span_id(), face=self.modules[module].face))
        try:
            yield
        finally:
            current.set(outer)

    # Doors

    async def listen(self, *, unix: Path | None = None, host: str | None = None, port: int = 0) -> Address:
        """Open doors for callers and return the address to push to them.

        Code outside of all modules is accepted at the Unix door, which only this user can open, and not over TCP.
        """
        if unix is not None:
            self._doors.append(await listen_unix(unix, door(self.server, outside=True)))
        bound = 0
        if host is not None:
            tls = server_context(self._identity) if self._identity else None
            server, bound = await listen_tcp(host, port, door(self.server, outside=False), tls=tls)
            self._doors.append(server)
        return Address(self.instance, self.service, self.version, str(unix or ""), self.here, host or "", bound)

    async def drain(self, within_s: float) -> bool:
        """Send callers elsewhere and finish their calls. False if some were still running at the end of the time."""
        return await self.server.drain(within_s)

    async def close(self) -> None:
        for server in self._doors:
            server.close()
        await self.server.close()
        await asyncio.gather(
            *(endpoint.close() for endpoint in self._endpoints.values()), *self._retiring, return_exceptions=True
        )
        self._endpoints.clear()
        self.unplace()

    def statistics(self) -> dict[str, object]:
        return {
            "epoch": self.epoch,
            "in_flight": self.server.in_flight,
            "modules": {
                name: {"waiting": len(group.waiting), "endpoints": [each.statistics() for each in group.endpoints]}
                for name, group in self._groups.items()
            },
        }

    def _endpoint_states(self) -> Iterator[tuple[dict[str, str], float]]:
        for name, group in self._groups.items():
            states = [endpoint.state for endpoint in group.endpoints]
            for state in ("ready", "connecting", "draining", "ejected"):
                yield {"module": name, "state": state}, float(states.count(state))
