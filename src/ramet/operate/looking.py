"""What runs, asked from outside: the fleet's record and each instance's own word."""

import asyncio
from typing import Any

from ramet.calls.transport import host_id
from ramet.engines.identity import identify
from ramet.model.control import Status
from ramet.model.launch import FleetRecord, InstanceRecord
from ramet.model.routing import Address
from ramet.operate.keeper import SILENT, ask
from ramet.wire import values


def is_running(record: FleetRecord) -> bool:
    """Whether the process that the record names is alive and the same one."""
    identity = identify(record.pid)
    return identity is not None and identity.started == record.process_started


async def look(record: FleetRecord) -> list[Status | str]:
    """For each instance of the record its status, or why it did not answer."""
    return list(await asyncio.gather(*(_look(record, each) for each in record.instances)))


async def _look(record: FleetRecord, instance: InstanceRecord) -> Status | str:
    address = Address(instance.name, instance.service, unix=instance.socket, host_id=host_id())
    try:
        return await ask(address, record.app)
    except SILENT as error:
        return str(error)


def as_json(record: FleetRecord, found: list[Status | str], *, running: bool) -> Any:
    instances = [
        values.to_plain(status)
        if isinstance(status, Status)
        else {"instance": known.name, "service": known.service, "state": "unreachable", "why": status}
        for known, status in zip(record.instances, found, strict=True)
    ]
    return {
        "app": record.app,
        "topology": record.topology,
        "running": running,
        "url": record.url,
        "pid": record.pid,
        "instances": instances,
    }
