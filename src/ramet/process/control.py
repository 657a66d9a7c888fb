"""The control channel: a module like any other, hosted by every instance, called from outside at its Unix door.

It is how an instance learns its routing table and is asked how it does. The table is kept on disk, so that an instance that
starts while nobody can tell it anything goes on with the last one that it knew.
"""

from pathlib import Path
from typing import Protocol

from ramet.errors import ConfigError
from ramet.model.control import Counters, Status
from ramet.model.routing import RoutingTable
from ramet.model.sharding import DatabaseAt, Slice
from ramet.module import Module
from ramet.wire import values

control = Module("ramet")
"""Its name is taken: no module of an application can be called so, hence none can declare that it uses it."""


class Controlled(Protocol):
    """The instance behind the channel."""

    async def take_route(self, table: RoutingTable) -> int: ...
    def tell_status(self) -> Status: ...
    def tell_counters(self) -> Counters: ...
    def tell_contracts(self) -> dict[str, str]: ...
    def begin_drain(self) -> None: ...
    async def host(self, module: str, placed: DatabaseAt | None) -> None: ...
    async def place(self, placed: dict[str, DatabaseAt]) -> dict[str, int]: ...
    async def hold(self, module: str, name: str, of: Slice, seconds: float) -> None: ...
    def release(self, module: str, name: str) -> None: ...
    async def drop(self, module: str, within_s: float) -> bool: ...
    async def warm(self) -> None: ...


class _Channel:
    instance: Controlled | None = None


_channel = _Channel()


def answer_for(instance: Controlled) -> None:
    """From now on the control calls of this process are this instance's."""
    _channel.instance = instance


def _instance() -> Controlled:
    assert _channel.instance is not None, "the control channel opens after the instance is assembled"
    return _channel.instance


@control.expose(idempotent=True, deadline="10m")
async def route(table: RoutingTable) -> int:
    """Take a routing table if it is newer. Returns the epoch that the instance has then, once all schedules have ended that the
    table gives to others: a run in hand has until its own deadline, hence ours. A caller that gave up earlier may ask again."""
    return await _instance().take_route(table)


@control.expose(idempotent=True)
async def status() -> Status:
    return _instance().tell_status()


@control.expose(idempotent=True)
async def drain() -> None:
    """Begin to leave: not ready, finish what is in flight, exit. Returns at once."""
    _instance().begin_drain()


@control.expose(idempotent=True)
async def counters() -> Counters:
    """What it has served of each module that it hosts."""
    return _instance().tell_counters()


@control.expose(idempotent=True)
async def contracts() -> dict[str, str]:
    """Qualified name of each call that it hosts -> hash of its contract."""
    return _instance().tell_contracts()


@control.expose(idempotent=True, deadline=30.0)
async def host(module: str, placed: DatabaseAt | None) -> None:
    """Host a module too, with its database there, None for one without."""
    await _instance().host(module, placed)


@control.expose(idempotent=True, deadline=60.0)
async def place(placed: dict[str, DatabaseAt]) -> dict[str, int]:
    """Take where databases are, as far as it is newer. Returns the epoch that is known then of each that is open here."""
    return await _instance().place(placed)


@control.expose(idempotent=True, deadline=30.0)
async def hold(module: str, name: str, of: Slice, seconds: float) -> None:
    """Let nobody begin to write to a slice for so long, or until `place` or `release`. Returns when what had begun is over."""
    await _instance().hold(module, name, of, seconds)


@control.expose(idempotent=True)
async def release(module: str, name: str) -> None:
    """Let them go on where they are: the slice does not move."""
    _instance().release(module, name)


@control.expose(idempotent=True, deadline=120.0)
async def drop(module: str, within_s: float) -> bool:
    """Finish what runs in a module and host it no more. False where something still ran at the end of the time."""
    return await _instance().drop(module, within_s)


@control.expose(idempotent=True, deadline=30.0)
async def warm() -> None:
    """Have pools open and the instances that it calls connected, so that the first user does not wait for it."""
    await _instance().warm()


def save_table(path: Path, table: RoutingTable) -> None:
    """All or nothing: a crash in the middle leaves the old one."""
    part = path.with_suffix(".part")
    part.write_bytes(values.encode_json(table))
    part.replace(path)


def load_table(path: Path) -> RoutingTable | None:
    """The last table that this instance knew; None where it never had one. Raises ConfigError for a damaged file."""
    try:
        return values.decode_json_as(path.read_bytes(), RoutingTable)
    except FileNotFoundError:
        return None
    except values.DECODE_ERRORS as error:
        raise ConfigError(
            f"the last routing table cannot be read: {error}", where=str(path), hint=f"remove {path}; it will be sent again"
        ) from error
