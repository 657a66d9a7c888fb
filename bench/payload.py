"""What every call carries, there and back: one order line, about 200 bytes in each encoding.

Peers with types of their own derive them from `OrderLine`, in their own file: who measures NATS does not load protobuf.
"""

import msgspec


class OrderLine(msgspec.Struct, frozen=True):
    id: int
    customer: str
    sku: str
    quantity: int
    price: float
    currency: str
    tags: list[str]
    note: str
    placed_at: int
    """Seconds since 1970."""
    weight_kg: float
    warehouse: int
    gift: bool


SAMPLE = OrderLine(
    id=982_451_653,
    customer="customer-48213",
    sku="SKU-7731-BLUE-XL",
    quantity=3,
    price=149.95,
    currency="EUR",
    tags=["fragile", "express"],
    note="leave with neighbour, no 12",
    placed_at=1_735_689_600,
    weight_kg=2.75,
    warehouse=17,
    gift=True,
)
