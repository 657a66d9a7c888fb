"""A materialised result in a running system: real processes, a real PostgreSQL, kill -9, and a live move."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.test_migrate import SOLD
from tests.operate.app import Command, request

pytestmark = pytest.mark.timeout(120)

READ = """

@module.get("/sold/{sku}")
async def look_sold(sku: str) -> int:
    return await db.read().fetchval("SELECT orders FROM sold WHERE sku = $1", sku) or 0
"""


@pytest.fixture
def shop(shop: Command) -> Command:
    """The application with a result of its orders, whose migration is written and not applied."""
    file = shop.folder / "shop/orders/api.py"
    file.write_text(file.read_text() + SOLD + READ)
    shop.ok("migrate", "new", "orders", "--materialized", "sold")
    return shop


def order(url: str, sku: str) -> None:
    status, _ = asyncio.run(request(url, "POST", f"/orders?sku={sku}"))
    assert status == 201


def sold(url: str, sku: str) -> int:
    status, count = asyncio.run(request(url, "GET", f"/sold/{sku}"))
    assert status == 200
    return count


def wait(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def kept(shop: Command, name: str) -> list[dict[str, Any]]:
    return shop.instance(name)["results"]


def test_a_result_is_kept_up_by_one_instance_through_kill_9_and_a_live_move(shop: Command) -> None:
    """`ramet up` migrates; who keeps it up is told by `ramet status`, also as text."""
    url = shop.up("seed")
    order(url, "tea")
    wait(lambda: sold(url, "tea") == 1)
    (result,) = kept(shop, "main-1")
    assert (result["module"], result["name"], result["failed"], result["last_error"]) == ("orders", "sold", 0, "")
    assert "keeps orders.sold: " in shop.ok("status")
    before = shop.instance("main-1")["pid"]
    os.kill(before, signal.SIGKILL)
    shop.wait_ready("main-1", not_pid=before)
    order(url, "tea")
    wait(lambda: sold(url, "tea") == 2)
    shop.ok("apply", "grown", "--yes")
    order(url, "tea")
    wait(lambda: sold(url, "tea") == 3)
    assert [len(kept(shop, name)) for name in ("orders-1", "orders-2")] == [1, 0]


def test_an_instance_whose_database_lacks_a_result_does_not_start(shop: Command) -> None:
    """It says so, with the command that writes the migration."""
    for file in (shop.folder / "shop/orders/migrations/versions").glob("*materialised*"):
        file.unlink()
    done = shop.run("up", "seed", "--detach")
    assert done.returncode == 2
    assert "materialised orders.sold: there is no table sold" in done.stderr
    assert "ramet migrate new orders --materialized sold" in done.stderr
