"""Changes of a schema while a fleet runs: by its controller, under load."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.operate.app import Command, load, request

pytestmark = pytest.mark.timeout(240)


def newer(shop: Command, folder: Path) -> Path:
    """The same application, with code that knows the new column alone. The API is the same: its column is renamed, not its
    field."""
    shutil.copytree(shop.folder, folder, ignore=shutil.ignore_patterns(".ramet"))
    face = folder / "shop/orders/api.py"
    face.write_text(
        face.read_text()
        .replace("INSERT INTO orders (sku)", "INSERT INTO orders (code)")
        .replace("RETURNING id, sku", "RETURNING id, code")
        .replace("SELECT id, sku FROM orders", "SELECT id, code FROM orders")
        .replace("WHERE sku = $1", "WHERE code = $1")
    )
    return folder


def revisions(shop: Command) -> list[str]:
    paths = sorted((shop.folder / "shop/orders/migrations/versions").glob("*.py"))
    return [path.name.partition("_")[0] for path in paths]


def test_a_column_is_renamed_under_load_in_two_versions(shop: Command, tmp_path: Path) -> None:
    """Expand, backfill, roll, contract: no request fails. The contract waits for the roll, the way back ends with it."""
    url = shop.up("seed")

    async def change() -> None:
        async with load(url, clients=4) as (statuses, created):
            await asyncio.to_thread(steps)
        assert set(statuses) <= {"200", "201", "404"}, statuses
        for sku in created[-5:]:
            assert await request(url, "GET", f"/orders/by-sku/{sku}") == (200, 1)

    def steps() -> None:
        assert len(shop.ok("migrate", "new", "orders", "--rename", "orders.sku:code").splitlines()) == 4
        *early, contract = revisions(shop)[1:]
        told = json.loads(shop.ok("migrate", "plan", "--json"))
        assert [line["kind"] for line in told["lines"]] == ["Expand", "Backfill", "Expand"]
        assert f"contract {contract} of orders waits: 0 runs and does not know it" in told["title"]
        shop.ok("migrate", "apply", "orders", "--yes")
        refused = shop.run("migrate", "apply", "orders", "--phase", "contract", "--yes")
        assert refused.returncode == 2
        assert "waits: 0 runs and does not know it" in refused.stderr
        assert "ramet roll" in refused.stderr

        shop.ok("migrate", "undo", "orders", "--yes")
        assert [row["current"] for row in status()] == [["0001"]]
        shop.ok("migrate", "apply", "orders", "--phase", "expand", "--yes")
        assert [row["current"] for row in status()] == [[early[0]]]

        shop.ok("roll", "--path", str(newer(shop, tmp_path / "newer")), "--yes")  # with what the expand left over
        assert [row["current"] for row in status()] == [[early[-1]]]
        refused = shop.run("migrate", "undo", "orders", "--yes")
        assert refused.returncode == 2
        assert "runs and needs" in refused.stderr
        shop.ok("migrate", "apply", "--yes")
        assert [(row["current"], row["missing"]) for row in status()] == [([contract], [])]
        refused = shop.run("migrate", "undo", "orders", "--yes")
        assert refused.returncode == 2
        assert "took away what it would have to bring back" in refused.stderr

    def status() -> list[dict[str, list[str]]]:
        return json.loads(shop.run("migrate", "status", "--json").stdout)

    asyncio.run(change())
    old = tmp_path / "old"
    shutil.copytree(shop.folder, old, ignore=shutil.ignore_patterns(".ramet"))
    for path in (old / "shop/orders/migrations/versions").glob("2*.py"):
        path.unlink()
    refused = shop.run("roll", "--path", str(old), "--yes")
    assert refused.returncode == 2
    assert "does not know the contract" in refused.stderr
