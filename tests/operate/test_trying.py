"""Indexes tried on a copy of the statistics: what it says is what the original says once the index is there."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ramet.data import driver, schemas
from ramet.data.address import Address
from ramet.data.insight.catalog import read_catalog
from ramet.engines.postgres import Postgres
from ramet.model.catalog import Catalog, NewIndex
from ramet.model.insight import Sample
from ramet.operate import trying
from ramet.operate.trying import resize, try_on_a_copy

pytestmark = pytest.mark.timeout(120)

TABLES = """
CREATE TYPE state AS ENUM ('new', 'paid', 'sent');
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, sku text NOT NULL, "Made" timestamptz, state state, states state[],
    half int GENERATED ALWAYS AS (customer / 2) STORED);
INSERT INTO orders SELECT g, g % 1000, 'sku ' || g % 20000, now() - g * interval '1 minute', (ARRAY['new', 'paid', 'sent']::state[])[1 + g % 3]
    FROM generate_series(1, 60000) g;
CREATE INDEX ON orders (customer);
CREATE INDEX ON orders (lower(sku)) WHERE state = 'new';
CREATE TABLE places (id int PRIMARY KEY, at point, home extensions.citext);
ANALYZE
"""
BY_SKU = Sample(0.1, "SELECT * FROM orders WHERE sku = $1", ["sku 7"])
BY_CUSTOMER = Sample(0.1, "SELECT * FROM orders WHERE customer = $1", ["7"])
BY_STATE = Sample(0.1, "SELECT count(*) FROM orders WHERE state = $1 AND half > 0", ["new"])
GENERIC = Sample(0.1, "SELECT * FROM orders WHERE sku = $1", None)
SKU = NewIndex("orders", ("sku",))


async def shop(server: Postgres) -> tuple[Address, driver.Driver]:
    """A module with its schema and role, and a session of it."""
    owner = schemas.Owner("shop", server.password("shop"))
    await schemas.provision(Address(dsn=server.url()), [owner], extensions=["citext"])
    address = Address(dsn=server.url(user="shop"), schema="shop")
    return address, await driver.connect(address.dsn, timeout_s=5, server_settings=address.session_settings(is_read_only=False))


async def cost(connection: driver.Driver, text: str) -> float:
    return json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}"))[0]["Plan"]["Total Cost"]


def test_the_copy_plans_as_the_original_does(tmp_path: Path) -> None:
    """Before and after, within a tenth: the index that is made in earnest has about the size that was guessed."""

    async def main() -> None:
        server = Postgres(tmp_path / "pg")
        await server.start()
        try:
            address, connection = await shop(server)
            try:
                await connection.execute(TABLES)
                catalog = await read_catalog(address)
                wanted = [
                    (SKU, [BY_SKU, GENERIC]),
                    (NewIndex("orders", ("state",)), [BY_STATE]),
                    (NewIndex("places", ("home",)), [BY_SKU]),
                ]
                (by_sku, generic), (by_state,), (unknown,) = await try_on_a_copy(catalog, wanted)
                assert by_sku.before == pytest.approx(
                    await cost(connection, "SELECT * FROM orders WHERE sku = 'sku 7'"), rel=0.01
                )
                await connection.execute("CREATE INDEX made_in_earnest ON orders (sku)")
                assert by_sku.after == pytest.approx(await cost(connection, "SELECT * FROM orders WHERE sku = 'sku 7'"), rel=0.1)
                assert by_sku.used
                assert by_sku.after < by_sku.before / 20
                assert generic.used
                assert by_state.after > by_state.before * 0.9, "a third of the table is read about as fast without it"
                assert "home" in unknown.problem
            finally:
                await connection.close(timeout=5)
        finally:
            await server.stop()

    asyncio.run(main())


def test_the_catalog_tells_what_the_planner_knows(tmp_path: Path) -> None:
    async def main() -> Catalog:
        server = Postgres(tmp_path / "pg")
        await server.start()
        try:
            address, connection = await shop(server)
            await connection.execute(TABLES)
            await connection.close(timeout=5)
            return await read_catalog(address)
        finally:
            await server.stop()

    found = asyncio.run(main())
    orders = found.tables["orders"]
    assert orders.rows == 60_000
    assert orders.columns["customer"].distinct == pytest.approx(1000, rel=0.05)
    assert orders.columns["id"].distinct == pytest.approx(60_000)
    assert found.types == {"state": ("new", "paid", "sent")}
    indexes = {each.name: each for each in orders.indexes}
    assert (indexes["orders_pkey"].columns, indexes["orders_pkey"].is_constraint) == (("id",), True)
    assert indexes["orders_customer_idx"].columns == ("customer",)
    partial = indexes["orders_lower_idx"]
    assert (partial.columns, bool(partial.where)) == (("",), True)


def test_nothing_is_left_of_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it fails: no process and no file."""
    monkeypatch.setattr(trying, "_folder", lambda: made)
    made = tmp_path / "copy"

    async def fail(*_: Any) -> Any:
        assert (made / "postgres/data").exists()
        raise KeyError("in the middle")

    monkeypatch.setattr(trying, "try_indexes", fail)
    made.mkdir(mode=0o711)
    with pytest.raises(KeyError):
        asyncio.run(try_on_a_copy(Catalog("shop", {}), [(SKU, [BY_SKU])]))
    assert not made.exists()


def test_a_file_is_made_longer_in_segments_and_takes_no_disk(tmp_path: Path) -> None:
    file = tmp_path / "16400"
    file.write_bytes(b"x" * 8192)
    resize(file, trying.SEGMENT_PAGES + 3)
    assert file.stat().st_size == 2**30
    assert (tmp_path / "16400.1").stat().st_size == 3 * 8192
    assert file.stat().st_blocks * 512 < 2**20
    resize(file, 1)
    assert file.stat().st_size == 2**30, "never shorter"
