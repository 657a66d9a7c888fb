"""What a customer is promised, wherever the modules run."""

from conftest import Api


def test_an_order_has_the_price_of_its_day(api: Api) -> None:
    """It was sold for that; a new price is for the next one."""
    api.put("/items/lamp", {"title": "A lamp", "price_cents": 2000})
    placed = api.post("/orders", {"sku": "lamp", "count": 3})
    assert (placed.status, placed.json["total_cents"]) == (201, 6000)
    api.put("/items/lamp", {"title": "A lamp", "price_cents": 2500})
    assert api.get(f"/orders/{placed.json['id']}").json == placed.json
    assert api.post("/orders", {"sku": "lamp"}).json["total_cents"] == 2500


def test_what_is_not_in_the_catalog_cannot_be_ordered(api: Api) -> None:
    """The failure of `catalog` reaches the client as itself, also from another process."""
    refused = api.post("/orders", {"sku": "nothing"})
    assert refused.status == 404
    assert refused.json == {
        "type": "urn:problem:NoSuchItem",
        "title": "There is no such item",
        "status": 404,
        "sku": "nothing",
    }


def test_an_order_that_does_not_fit_is_told_everything_at_once(api: Api) -> None:
    """A form shows each mistake at its field."""
    refused = api.post("/orders", {"count": 0})
    assert refused.status == 422
    assert [each["name"] for each in refused.json["errors"]] == ["sku", "count"]


def test_an_order_that_was_never_placed_is_not_found(api: Api) -> None:
    """404, with the id in it."""
    assert api.get("/orders/999999").json["title"] == "There is no such order"
