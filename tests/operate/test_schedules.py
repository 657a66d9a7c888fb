"""Schedules in a fleet: real processes and a real PostgreSQL."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from ramet.calls import direct
from ramet.calls.transport import host_id
from ramet.model.routing import Address, Owner, RoutingTable
from ramet.operate.folder import Folder
from ramet.process.control import control, load_table, route
from tests.operate.app import Command, request

pytestmark = pytest.mark.timeout(120)

SCHEDULE = """

import os


@module.every("200ms")
async def tick() -> None:
    await db.write().execute("INSERT INTO orders (sku) VALUES ($1)", f"tick-{os.getpid()}")


@module.get("/ticks")
async def ticks() -> list[str]:
    return [row[0] for row in await db.read().fetch("SELECT sku FROM orders WHERE sku LIKE 'tick-%' ORDER BY id")]
"""


@pytest.fixture
def shop(shop: Command) -> Command:
    """The application with a schedule that leaves a row with each run."""
    file = shop.folder / "shop/orders/api.py"
    file.write_text(file.read_text() + SCHEDULE)
    return shop


def ticks(url: str) -> list[int]:
    """The process of each run, in order."""
    status, skus = asyncio.run(request(url, "GET", "/ticks"))
    assert status == 200
    return [int(sku.removeprefix("tick-")) for sku in skus]


def wait_tick(url: str, pid: int, *, after: int = 0) -> float:
    """How long it takes until a run of this process is there beyond the first `after` of all."""
    began = time.monotonic()
    while pid not in ticks(url)[after:]:
        assert time.monotonic() < began + 20, ticks(url)
        time.sleep(0.02)
    return time.monotonic() - began


def owned(shop: Command, name: str) -> list[dict[str, Any]]:
    return shop.instance(name)["schedules"]


def test_a_schedule_has_one_owner_that_survives_kill_9_and_hands_over_without_a_gap(shop: Command) -> None:
    """In one fleet, and then in another one on the same data, which begins with a higher epoch."""
    url = shop.up("grown")
    first, second = (shop.instance(name)["pid"] for name in ("orders-1", "orders-2"))
    wait_tick(url, first)
    (schedule,) = owned(shop, "orders-1")
    assert (schedule["module"], schedule["name"], schedule["epoch"], schedule["last_error"]) == ("orders", "tick", 1, "")
    assert owned(shop, "orders-2") == owned(shop, "web-1") == []
    assert "runs orders.tick" in shop.ok("status")

    os.kill(first, signal.SIGKILL)
    again = shop.wait_ready("orders-1", not_pid=first)["pid"]  # it finds the table on disk
    assert wait_tick(url, again) < 2

    hand_over(shop, Owner("", 2))  # returns when the old owner has stopped
    count = len(ticks(url))
    assert owned(shop, "orders-1") == owned(shop, "orders-2") == []
    assert len(ticks(url)) == count
    began = time.monotonic()
    hand_over(shop, Owner("orders-2", 3))
    wait_tick(url, second, after=count)
    assert time.monotonic() - began < 2
    shop.ok("down")

    url = shop.up("seed")
    last = shop.instance("main-1")["pid"]
    wait_tick(url, last)
    assert [each["epoch"] for each in owned(shop, "main-1")] == [4]
    runs = ticks(url)
    owners = [pid for index, pid in enumerate(runs) if index == 0 or pid != runs[index - 1]]
    assert owners == [first, again, second, last]


def hand_over(shop: Command, owner: Owner) -> None:
    """Push a table to both instances, as a controller does."""
    states = Folder(shop.folder / ".ramet").sockets
    table = load_table(states / "orders-1/routing.json")
    assert table is not None
    newer = RoutingTable(owner.epoch, table.modules, owners={"orders": owner})

    async def tell() -> None:
        for name in ("orders-1", "orders-2"):
            address = Address(name, "orders", unix=str(states / name / "calls.sock"), host_id=host_id())
            async with direct.connect(address, [control], app="shop") as instance:
                assert await instance.call(route, newer) == owner.epoch

    asyncio.run(tell())
