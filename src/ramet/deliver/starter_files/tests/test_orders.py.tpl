"""What a customer is promised, wherever the modules run."""

import pytest
from ramet.testing.http import Http

from {{ package }}.catalog import api as catalog
from {{ package }}.orders import api as orders

pytestmark = pytest.mark.ramet
"""Each test runs three times: in one process, over the wire with replies that get lost, and with each module apart."""


async def test_an_order_has_the_price_of_its_day() -> None:
    """It was sold for that; a new price is for the next one."""
    await catalog.put("lamp", catalog.Details("A lamp", 2000))
    placed = await orders.place(orders.NewOrder("lamp", 3))
    assert placed.total_cents == 6000
    await catalog.put("lamp", catalog.Details("A lamp", 2500))
    assert await orders.find(placed.id) == placed
    assert (await orders.place(orders.NewOrder("lamp"))).total_cents == 2500


async def test_what_is_not_in_the_catalog_cannot_be_ordered() -> None:
    """The failure of `catalog` arrives as itself, also from another process."""
    with pytest.raises(catalog.NoSuchItem, match="sofa"):
        await orders.place(orders.NewOrder("sofa"))


async def test_a_client_is_told_what_cannot_be_found(ramet_http: Http) -> None:
    """With the status of the failure, and its fields."""
    refused = await ramet_http.post("/orders", {"sku": "sofa"})
    assert refused.status == 404
    assert refused.json["title"] == "There is no such item"
    assert refused.json["sku"] == "sofa"
    assert (await ramet_http.get("/orders/1")).json["title"] == "There is no such order"


async def test_a_client_is_told_everything_that_does_not_fit(ramet_http: Http) -> None:
    """A form shows each mistake at its field."""
    refused = await ramet_http.post("/orders", {"count": 0})
    assert refused.status == 422
    assert [each["name"] for each in refused.json["errors"]] == ["sku", "count"]
