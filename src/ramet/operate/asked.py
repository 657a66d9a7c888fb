"""What the databases were asked, from the instances that asked them: of a fleet by its controller, of `ramet dev` by itself."""

import asyncio
from collections.abc import Mapping

from ramet.calls.transport import host_id
from ramet.data import address as databases
from ramet.engines.identity import read_pidfile
from ramet.errors import Unavailable
from ramet.model.insight import Queries, merged
from ramet.model.launch import Launch
from ramet.model.routing import Address
from ramet.operate.client import Client
from ramet.operate.databases import DatabaseServer
from ramet.operate.folder import DEV_INSTANCE, Folder
from ramet.operate.keeper import SILENT, Keeper, ask_queries
from ramet.wire import values


async def of_keepers(keepers: Mapping[str, Keeper]) -> Queries:
    """Of all instances together. One that does not answer is named in place of its queries."""
    names = list(keepers)
    answers = await asyncio.gather(*(keepers[name].queries_or_why() for name in names))
    silent = {name: answer for name, answer in zip(names, answers, strict=True) if isinstance(answer, str)}
    return merged((answer for answer in answers if isinstance(answer, Queries)), silent)


def address_of(folder: Folder, server: DatabaseServer, module: str, shard: int) -> databases.Address:
    """Of the primary of a shard, as the module itself: where an instance was last told that it is, else at the first server."""
    record = folder.load()
    for known in record.instances if record else ():
        try:
            launch = values.decode_json_as((folder.instance(known.name) / "launch.json").read_bytes(), Launch)
        except (OSError, *values.DECODE_ERRORS):
            continue  # it has not started yet, or is another version's
        placed = launch.databases.get(module)
        for at in placed.shards if placed is not None else ():
            if at.shard == shard:
                return databases.Address(dsn=at.url, schema=module)
    return server.address(module)


def of_folder(folder: Folder, app: str) -> Queries:
    """Of what runs in this folder. Raises NothingRuns, Unavailable."""
    if read_pidfile(folder.instance(DEV_INSTANCE) / "pid") is None:
        return Client(folder).queries()
    address = Address(DEV_INSTANCE, "dev", "", str(folder.sockets / DEV_INSTANCE / "calls.sock"), host_id())
    try:
        return merged([asyncio.run(ask_queries(address, app))])
    except SILENT as error:
        if folder.door.exists():
            return Client(folder).queries()
        raise Unavailable(
            f"`ramet dev` runs here, and its instance does not answer: {error}",
            may_have_run=False,
            hint="see what `ramet dev` says",
        ) from error
