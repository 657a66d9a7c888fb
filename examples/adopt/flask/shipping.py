"""The first step: one view of the application as a module. It takes this path before the mount does."""

from shop.prices import shipping_cents

from ramet import Module

module = Module("shipping")


@module.get("/shipping")
async def shipping(grams: int) -> dict[str, int]:
    return {"cents": shipping_cents(grams)}
