"""Schedules in a running system: real processes, a real PostgreSQL, and a live move."""

import asyncio
import os
import signal
import time
from typing import Any

import pytest

from tests.operate.app import Command, request

pytestmark = pytest.mark.timeout(120)

SCHEDULE = """

import os
import time


@module.every("200ms")
async def tick() -> None:
    await db.write().execute("INSERT INTO orders (sku) VALUES ($1)", f"tick-{os.getpid()}-{time.time()}")


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


def ticks(url: str) -> list[tuple[int, float]]:
    """The process and the time of each run, in order."""
    status, skus = asyncio.run(request(url, "GET", "/ticks"))
    assert status == 200
    return [(int(pid), float(at)) for _, pid, at in (sku.split("-") for sku in skus)]


def wait_tick(url: str, pid: int) -> None:
    """Until a run of this process is there."""
    until = time.monotonic() + 20
    while pid not in [each for each, _ in ticks(url)]:
        assert time.monotonic() < until, ticks(url)
        time.sleep(0.02)


def owned(shop: Command, name: str) -> list[dict[str, Any]]:
    return shop.instance(name)["schedules"]


def test_a_schedule_has_one_owner_that_survives_kill_9_and_is_handed_over_live(shop: Command) -> None:
    """By a plan, without a gap of two seconds; and a system that is started anew on the same data has a higher epoch."""
    url = shop.up("grown")
    first = shop.instance("orders-1")["pid"]
    wait_tick(url, first)
    (schedule,) = owned(shop, "orders-1")
    assert (schedule["module"], schedule["name"], schedule["epoch"], schedule["last_error"]) == ("orders", "tick", 1, "")
    assert owned(shop, "orders-2") == owned(shop, "web-1") == []
    assert "runs orders.tick" in shop.ok("status")

    os.kill(first, signal.SIGKILL)
    again = shop.wait_ready("orders-1", not_pid=first)["pid"]
    ready = time.time()
    wait_tick(url, again)
    assert next(at for pid, at in ticks(url) if pid == again) < ready + 2

    shop.ok("apply", "seed", "--yes")
    moved = shop.instance("main-1")["pid"]
    wait_tick(url, moved)
    assert [each["epoch"] for each in owned(shop, "main-1")] == [2]
    before = max(at for pid, at in ticks(url) if pid == again)
    assert min(at for pid, at in ticks(url) if pid == moved) < before + 2
    shop.ok("down")

    url = shop.up("seed")
    last = shop.instance("main-1")["pid"]
    wait_tick(url, last)
    assert [each["epoch"] for each in owned(shop, "main-1")] == [3]
    pids = [pid for pid, _ in ticks(url)]
    assert [pid for index, pid in enumerate(pids) if index == 0 or pid != pids[index - 1]] == [first, again, moved, last]
