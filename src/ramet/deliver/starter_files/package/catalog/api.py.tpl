"""The face of `catalog`: other modules import this file, and nothing else of it."""

from typing import Annotated

import msgspec
from ramet import Failure, Module

module = Module("catalog")
db = module.database()

Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Cents = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class Details(msgspec.Struct, frozen=True):
    title: Title
    price_cents: Cents


class Item(msgspec.Struct, frozen=True):
    sku: str
    title: str
    price_cents: int


class NoSuchItem(Failure, status=404):
    """There is no such item."""

    sku: str


@module.get("/items/{sku}", raises=[NoSuchItem])
async def find(sku: Sku) -> Item:
    """One item."""
    row = await db.read().fetchrow("SELECT sku, title, price_cents FROM items WHERE sku = $1", sku)
    if row is None:
        raise NoSuchItem(sku)
    return Item(*row)


@module.put("/items/{sku}", idempotent=True)
async def put(sku: Sku, details: Details) -> Item:
    """Add an item, or change one."""
    row = await db.write().fetchrow(
        """
        INSERT INTO items (sku, title, price_cents) VALUES ($1, $2, $3)
        ON CONFLICT (sku) DO UPDATE SET title = excluded.title, price_cents = excluded.price_cents
        RETURNING sku, title, price_cents
        """,
        sku,
        details.title,
        details.price_cents,
    )
    return Item(*row)
