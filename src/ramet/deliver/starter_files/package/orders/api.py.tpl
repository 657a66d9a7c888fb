"""The face of `orders`: other modules import this file, and nothing else of it."""

from typing import Annotated

import msgspec
from ramet import Failure, Module

from {{ package }}.catalog import api as catalog

module = Module("orders", uses=["catalog"])
db = module.database()

OrderId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class NewOrder(msgspec.Struct, frozen=True):
    sku: catalog.Sku
    count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


class Order(msgspec.Struct, frozen=True):
    id: int
    sku: str
    count: int
    total_cents: int


class NoSuchOrder(Failure, status=404):
    """There is no such order."""

    id: int


@module.post("/orders", status=201, raises=[catalog.NoSuchItem])
async def place(order: NewOrder) -> Order:
    """Order an item at today's price."""
    # Other modules are asked before the write: a call that fails after it would leave an order that nobody was told of.
    item = await catalog.find(order.sku)
    row = await db.write().fetchrow(
        "INSERT INTO orders (sku, count, total_cents) VALUES ($1, $2, $3) RETURNING id, sku, count, total_cents",
        order.sku,
        order.count,
        order.count * item.price_cents,
    )
    return Order(*row)


@module.get("/orders/{id}", raises=[NoSuchOrder])
async def find(id: OrderId) -> Order:  # noqa: A002  (the name in the path)
    """One order."""
    row = await db.read().fetchrow("SELECT id, sku, count, total_cents FROM orders WHERE id = $1", id)
    if row is None:
        raise NoSuchOrder(id)
    return Order(*row)
