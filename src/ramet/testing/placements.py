"""The three places in which a test runs the same code.

    together    one process, one part: local calls, in strict mode
    wire        one process that plays a part for each module and one for the test: all calls between parts go over Unix sockets
    processes   each module, or each service of a topology, in an instance of its own; this process plays the test's part alone

Each is made for one test, on the test's own event loop, and leaves nothing behind. What outlives it (the database server, the
instances) is handed in.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ramet.calls.ledger import Ledger, MemoryLedger
from ramet.calls.runtime import Calls
from ramet.calls.transport import host_id, listen_unix
from ramet.model.launch import Launch
from ramet.model.routing import Address, RoutingTable
from ramet.model.sharding import whole
from ramet.model.topology import Application
from ramet.module import Module
from ramet.observe.record import Recorder
from ramet.process.databases import Databases
from ramet.settings import Settings
from ramet.testing.instances import Instances
from ramet.testing.losses import Losses, StagedConnection
from ramet.testing.switchboard import Part, Switchboard

SETTINGS = Settings(retry_budget=1.0)
"""Of the test's own process. The budget of retries guards against overload, and here losses are made on purpose."""
TEST = "test"
"""Service of the parts that this process plays."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a placement is made of. urls: of the modules' databases. sockets: a folder with a short path."""

    application: Application
    modules: Mapping[str, Module]
    urls: Mapping[str, str]
    sockets: Path

    @asynccontextmanager
    async def ledgers(self, names: Iterable[str]) -> AsyncGenerator[Mapping[str, Ledger]]:
        """Open the databases of these modules in this process."""
        names = list(names)
        launch = Launch(
            application="",
            service=TEST,
            instance=TEST,
            modules=names,
            state=str(self.sockets),
            databases={name: whole(url) for name, url in self.urls.items() if name in names},
        )
        databases = Databases((self.modules[name] for name in names), self.application.modules, launch, Recorder())
        try:
            await databases.open()
            yield {name: databases.ledgers.get(name) or MemoryLedger() for name in names}
        finally:
            await databases.close()

    def calls(self, hosts: Iterable[str], ledgers: Mapping[str, Ledger], *, instance: str) -> Calls:
        return Calls(
            self.modules.values(),
            local=hosts,
            app=self.application.name,
            service=TEST,
            instance=instance,
            version=self.application.version,
            settings=SETTINGS,
            ledgers=ledgers,
        )


@asynccontextmanager
async def together(scene: Scene) -> AsyncGenerator[Switchboard]:
    async with scene.ledgers(scene.modules) as ledgers, AsyncExitStack() as stack:
        calls = scene.calls(scene.modules, ledgers, instance=TEST)
        stack.push_async_callback(calls.close)
        yield _placed(scene, {"": Part(calls, ledgers)}, stack)


@asynccontextmanager
async def over_the_wire(scene: Scene, losses: Losses) -> AsyncGenerator[Switchboard]:
    """Each part has two connections to each other one: what may be repeated goes over the one that loses replies."""
    async with scene.ledgers(scene.modules) as ledgers, AsyncExitStack() as stack:
        parts: dict[str, Part] = {}
        steady: dict[str, list[Address]] = {}
        lossy: dict[str, list[Address]] = {}
        for name in ("", *scene.modules):
            hosts = [name] if name else []
            part = Part(
                scene.calls(hosts, ledgers, instance=name or TEST),
                ledgers,
                scene.calls(hosts, ledgers, instance=f"{name or TEST}-repeats"),
            )
            parts[name] = part
            for calls in filter(None, (part.lossy, part.calls)):
                stack.push_async_callback(calls.close)
            if name:
                steady[name] = [await _door(part.calls, scene.sockets / f"{name}.sock", None, stack)]
                lossy[name] = [await _door(part.calls, scene.sockets / f"{name}-lossy.sock", losses, stack)]
        for name, part in parts.items():
            for calls, addresses in ((part.calls, steady), (part.lossy, lossy)):
                if calls is not None:
                    used = scene.modules[name].uses if name else scene.modules.keys()
                    calls.route(RoutingTable(1, {module: addresses[module] for module in addresses if module in used}))
        yield _placed(scene, parts, stack)


@asynccontextmanager
async def across_processes(scene: Scene, instances: Instances) -> AsyncGenerator[Switchboard]:
    async with AsyncExitStack() as stack:
        outside = scene.calls([], {}, instance=TEST)
        stack.push_async_callback(outside.close)
        outside.route(instances.table)
        board = _placed(scene, {"": Part(outside, {})}, stack)

        @asynccontextmanager
        async def hosting(module: str) -> AsyncGenerator[None]:
            """The test's process hosts the module for a while; all instances call it here."""
            instances.check_replaceable(module, scene.modules)
            async with scene.ledgers([module]) as ledgers, AsyncExitStack() as inner:
                inner.callback(board.place)  # what is closed below takes its hands off all facades
                calls = scene.calls([module], ledgers, instance=f"{TEST}-{module}")
                inner.push_async_callback(calls.close)
                calls.route(instances.table)
                board.place()  # a first table binds all facades
                address = await _door(calls, scene.sockets / f"{module}.sock", None, inner)
                board.add(module, Part(calls, ledgers))
                inner.callback(board.remove, module)
                outside.route(await instances.redirect(module, [address]))
                try:
                    yield
                finally:
                    outside.route(await instances.redirect(module, None))

        board.hosting = hosting
        yield board


def _placed(scene: Scene, parts: Mapping[str, Part], stack: AsyncExitStack) -> Switchboard:
    board = Switchboard(scene.modules, parts)
    board.place()
    stack.callback(board.unplace)
    return board


async def _door(calls: Calls, path: Path, losses: Losses | None, stack: AsyncExitStack) -> Address:
    server = await listen_unix(path, lambda: StagedConnection(calls.server, losses))
    stack.callback(server.close)
    return Address(calls.instance + ("" if losses is None else "-lossy"), calls.service, calls.version, str(path), host_id())
