"""Calls of one process: which modules run here, which elsewhere, and the doors and connections between.

`Calls` is told (`place`, `route`), it never asks. There is one in a process at a time, because the facades in the modules' faces
are the process's own.
"""

import asyncio
import ssl
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path

from ramet.calls.endpoints import Caller, Endpoint
from ramet.calls.facade import Exposes
from ramet.calls.group import Group
from ramet.calls.hosting import Hosted
from ramet.calls.ledger import Ledger
from ramet.calls.placement import POLL_S, Placement
from ramet.calls.server import CallServer
from ramet.calls.server_connection import door
from ramet.calls.transport import Identity, client_context, host_id, listen_tcp, listen_unix, server_context
from ramet.model.routing import Address, RoutingTable, place
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
        self.settings = settings or Settings()
        self.recorder = recorder or Recorder(
            service=service, version=version, instance=instance, ring_records=self.settings.ring_records
        )
        self.app, self.service, self.instance, self.version = app, service, instance, version
        self._identity = identity
        self._private = frozenset(private)
        self._place = place(service, version)
        self._tls: ssl.SSLContext | None = client_context(identity) if identity else None
        self.here = host_id()
        self._groups: dict[str, Group] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._doors: list[asyncio.AbstractServer] = []
        self._table = RoutingTable(-1, {})
        self.placement = Placement(
            self.modules,
            set(local),
            place=self._place,
            strict=self.settings.strict,
            recorder=self.recorder,
            ledgers=dict(ledgers or {}),
            group=self._group,
        )
        self.server = CallServer(
            {each.contract.qualified: each for name in self.local for each in self._hosted(name)},
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

    @property
    def local(self) -> Set[str]:
        """Names of the modules that this instance hosts."""
        return self.placement.hosted

    def place(self) -> None:
        """Bind every facade: to this process where its module is placed here, else to the module's endpoints."""
        self.placement.apply(self._table.shares)

    def host(self, module: str, ledger: Ledger | None = None) -> None:
        """Serve a module here from now on. Callers must connect anew to see it; the routing table's shares send them.

        ledger: what keeps its `once` calls; None for memory.
        """
        if module in self.local:
            return
        self.placement.host(module, ledger)
        self.server.host(self._hosted(module))
        self._connect(renew=True)  # from here on this instance also calls in that module's name

    async def drop(self, module: str, within_s: float) -> bool:
        """Serve a module no more: its calls in flight finish first. Call it when the routing table gives this place no share.

        False, with the module as it was, if some still ran at the end of the time.
        """
        if module not in self.local:
            return True
        try:
            async with asyncio.timeout(within_s):
                await self.placement.wait_idle(module)
                while self.server.in_flight_of(module):  # noqa: ASYNC110  (see POLL_S)
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            return False
        self.server.drop(module)
        self.placement.drop(module)
        self._connect(renew=True)
        return True

    @property
    def waiting(self) -> int:
        """Calls that wait for an endpoint."""
        return sum(len(group.waiting) for group in self._groups.values())

    async def wait_connected(self) -> None:
        """Until each module that this instance calls elsewhere has an endpoint that can be called."""
        used = {name for module in self.local for name in self.modules[module].uses}
        groups = [self._group(name) for name in used if not self.placement.is_here(name)]
        while not all(any(endpoint.is_callable for endpoint in group.endpoints) for group in groups):  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)

    def _hosted(self, module: str) -> list[Hosted]:
        ledger, is_private = self.placement.ledger(module), module in self._private
        return [Hosted(call, self.recorder, ledger, is_private=is_private) for call in self.modules[module].calls.values()]

    # Routing

    def route(self, table: RoutingTable) -> bool:
        """Take a routing table. False, and nothing done, for one that is not newer. Endpoints that are in both stay connected."""
        if table.epoch <= self.epoch:
            return False
        self._table = table
        self._connect()
        self.placement.apply(table.shares)
        return True

    @property
    def epoch(self) -> int:
        return self._table.epoch

    def _connect(self, *, renew: bool = False) -> None:
        """Have an endpoint for each instance of the table. renew: also in place of those that are connected, since what this
        instance says of itself when it connects has changed."""
        table = self._table
        wanted = {address.instance: address for addresses in table.modules.values() for address in addresses}
        for instance, endpoint in list(self._endpoints.items()):
            if renew or wanted.get(instance) != endpoint.address:
                self._retire(self._endpoints.pop(instance))
        caller = self._caller()
        for instance, address in wanted.items():
            if instance not in self._endpoints and instance != self.instance:
                self._endpoints[instance] = Endpoint(address, caller, self._refresh)
        for name in {*self._groups, *table.modules}:
            group = self._group(name)
            shares = table.shares.get(name)
            group.shares = None if shares is None else {place: share for place, share in shares.items() if place != self._place}
            group.endpoints = [
                self._endpoints[address.instance]
                for address in table.modules.get(name, ())
                if address.instance in self._endpoints
            ]
        self._refresh()

    def _group(self, module: str) -> Group:
        if module not in self._groups:
            self._groups[module] = Group(module, self.settings, self.version)
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
            for caller, uses in [*_uses(here).items(), (OUTSIDE.name, frozenset(self.modules))]
            for used in sorted(uses)
            if used in self.modules  # also what is hosted here: it may be elsewhere as well, while it moves
            for call in self.modules[used].calls.values()
        ]
        return Caller(
            app=self.app,
            service=self.service,
            instance=self.instance,
            version=self.version,
            uses={name: sorted(uses) for name, uses in _uses(here).items()},
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
        self.placement.unplace()

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


def _uses(modules: Iterable[Exposes]) -> dict[str, frozenset[str]]:
    """What each module may call: what it declares, and itself. A request of its own endpoint may meet it while it moves away."""
    return {module.name: module.uses | {module.name} for module in modules}
