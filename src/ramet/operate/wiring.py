"""An application's modules made callable from outside of them all: what `ramet call` and `ramet shell` do before a person's first
call.

Where a fleet or `ramet dev` runs in the folder, the calls go to its instances, by their Unix sockets. Where nothing runs, all
modules are placed together in this process, with their databases open, as in an instance without HTTP; the database server is
started for as long as that lasts, unless it runs already.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from ramet.calls.runtime import Calls
from ramet.calls.transport import host_id
from ramet.engines.identity import read_pidfile
from ramet.errors import Unavailable
from ramet.model.control import Status
from ramet.model.launch import Launch
from ramet.model.routing import Address, RoutingTable
from ramet.model.sharding import whole
from ramet.model.topology import Application
from ramet.module import Module
from ramet.observe.record import Recorder
from ramet.operate.databases import DatabaseServer
from ramet.operate.folder import DEV_INSTANCE, Folder
from ramet.operate.keeper import SILENT, ask
from ramet.operate.looking import is_running, look
from ramet.process.databases import Databases
from ramet.settings import Settings

OUTSIDE = "outside"
"""Name of this process among the instances; it takes no calls."""


class Running(NamedTuple):
    """title: what runs, for a person."""

    title: str
    table: RoutingTable


@asynccontextmanager
async def wired(
    application: Application,
    modules: Mapping[str, Module],
    folder: Folder,
    *,
    settings: Settings,
    report: Callable[[str], None],
) -> AsyncGenerator[str]:
    """While the block runs, the facades of all modules can be called. Yields where to, in a few words.

    report: told what is started. Raises Unavailable where something runs and does not answer, an EngineError,
    MigrationsPending, DatabaseUnavailable.
    """
    running = await find_running(folder, application.name)
    async with AsyncExitStack() as stack:
        if running is None:
            calls = await _together(stack, application, modules, folder, settings, report)
        else:
            calls = Calls(
                modules.values(),
                local=(),
                app=application.name,
                service=OUTSIDE,
                instance=OUTSIDE,
                version=application.version,
                settings=settings,
            )
        stack.push_async_callback(calls.close)
        calls.place()
        if running is not None:
            calls.route(running.table)
        yield "all modules in this process" if running is None else running.title


async def find_running(folder: Folder, app: str) -> Running | None:
    """What runs in this folder, asked itself. None for nothing. Raises Unavailable."""
    record = folder.load()
    if record is not None:
        hosts: dict[str, list[Address]] = {}
        for known, status in zip(record.instances, await look(record), strict=True):
            if isinstance(status, Status) and status.state == "ready":
                address = Address(known.name, known.service, status.version, known.socket, host_id())
                for module in status.modules:
                    hosts.setdefault(module, []).append(address)
        if hosts:
            return Running(f"{record.app} as {record.topology}, {record.url}", RoutingTable(1, hosts))
        if is_running(record):
            raise Unavailable(
                f"{record.app} runs here, and none of its instances is ready", may_have_run=False, hint="ramet status"
            )
    if read_pidfile(folder.instance(DEV_INSTANCE) / "pid") is None:
        return None
    address = Address(DEV_INSTANCE, "dev", "", str(folder.sockets / DEV_INSTANCE / "calls.sock"), host_id())
    try:
        status = await ask(address, app)
    except SILENT as error:
        raise Unavailable(
            f"`ramet dev` runs here, and its instance does not answer: {error}",
            may_have_run=False,
            hint="see what `ramet dev` says",
        ) from error
    return Running("`ramet dev`", RoutingTable(1, {module: [address] for module in status.modules}))


async def _together(
    stack: AsyncExitStack,
    application: Application,
    modules: Mapping[str, Module],
    folder: Folder,
    settings: Settings,
    report: Callable[[str], None],
) -> Calls:
    server = DatabaseServer(application, modules.values(), folder, lambda _: None)
    urls: Mapping[str, str] = {}
    if server.is_needed:
        report("nothing runs here: opening the database for this command")
        await server.attach()
        stack.push_async_callback(server.release)
        await server.provision()
        urls = server.urls()
    launch = Launch(
        application=application.name,
        service=OUTSIDE,
        instance=OUTSIDE,
        modules=list(modules),
        state=str(folder.root),
        databases={module: whole(url) for module, url in urls.items()},
        pooler=server.pooler,
        direct=server.direct if server.is_needed else "",
        pool_size=server.pool_size,
    )
    recorder = Recorder(service=OUTSIDE, version=application.version, instance=OUTSIDE, ring_records=settings.ring_records)
    databases = Databases(modules.values(), application.modules, launch, recorder)
    stack.push_async_callback(databases.close)
    await databases.open()
    return Calls(
        modules.values(),
        local=modules,
        app=application.name,
        service=OUTSIDE,
        instance=OUTSIDE,
        version=application.version,
        settings=settings,
        recorder=recorder,
        ledgers=databases.ledgers,
    )
