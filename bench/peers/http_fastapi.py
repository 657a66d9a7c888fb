"""FastAPI with pydantic, as its documentation has it: models in and out."""

import datetime

import fastapi
import pydantic

from bench.peers import http_order
from bench.peers.http_order import BODY, pair, serve_asgi


class Address(pydantic.BaseModel):
    street: str
    city: str
    zip: str
    country: str


class Line(pydantic.BaseModel):
    sku: str
    quantity: int
    price: float


class Order(pydantic.BaseModel):
    id: int
    customer: str
    email: str
    status: str
    currency: str
    total: float
    created: datetime.datetime
    updated: datetime.datetime
    address: Address
    lines: tuple[Line, ...]
    note: str
    gift: bool
    weight_kg: float
    warehouse: int
    tags: tuple[str, ...]
    phone: str
    coupon: str | None
    priority: int
    channel: str
    version: int


ORDER = Order.model_validate_json(BODY)
app = fastapi.FastAPI()


@app.get(http_order.PATH)
async def get_order() -> Order:
    return ORDER


@app.post(http_order.PATH)
async def post_order(order: Order) -> Order:
    return order


GET, POST = pair(serve_asgi(app))
