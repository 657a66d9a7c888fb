"""Where a query is explained: at the shard where it was slow."""

from pathlib import Path

from ramet.data.address import Address
from ramet.model.launch import FleetRecord, InstanceRecord, Launch
from ramet.model.sharding import DatabaseAt, ShardAt
from ramet.operate.asked import address_of
from ramet.operate.folder import Folder
from ramet.wire import values


class Server:
    """The first server of a folder."""

    def address(self, module: str) -> Address:
        return Address(dsn="postgresql://first", schema=module)


def test_a_shard_is_where_the_instances_were_told_that_it_is(tmp_path: Path) -> None:
    """Else at the first server: what is not divided, or was never placed, is there."""
    folder = Folder(tmp_path)
    folder.make()
    shards = tuple(ShardAt(shard=number, url=f"postgresql://server-{number}") for number in (0, 3))
    launch = Launch(
        application="x",
        service="main",
        instance="main-1",
        modules=["orders"],
        state="x",
        databases={"orders": DatabaseAt(epoch=4, shards=shards)},
    )

    def asked(module: str, shard: int) -> str:
        return address_of(folder, Server(), module, shard).dsn  # type: ignore[arg-type]

    assert asked("orders", 3) == "postgresql://first", "nothing runs"
    instances = [InstanceRecord(name, "main", "sock", "x:1", "log") for name in ("main-0", "main-1")]
    folder.save(FleetRecord(app="x", topology="t", url="u", pid=1, process_started="1", log="x", instances=instances))
    folder.instance("main-1").mkdir(parents=True)
    (folder.instance("main-1") / "launch.json").write_bytes(values.encode_json(launch))
    assert asked("orders", 3) == "postgresql://server-3", "main-0 has not started yet"
    assert asked("orders", 0) == "postgresql://server-0"
    assert asked("orders", 9) == asked("feed", 0) == "postgresql://first"
    assert address_of(folder, Server(), "orders", 3).schema == "orders"  # type: ignore[arg-type]
