"""What most Python backends call each other with: FastAPI and pydantic on uvicorn, httpx.AsyncClient in the caller.

httpx's pool scans its connections for every request and is known to collapse with many of them (encode/httpx #3215).
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import fastapi
import httpx
import msgspec
import pydantic

from bench import payload
from bench.peers.on_uvicorn import KEEP_ALIVE_S, serving
from bench.subject import Drive, Place, Subject, closed_loop

CONNECTIONS = 32
"""What serves httpx best: with 128 in flight a call takes 3.5 ms of the client's CPU. Without a limit it takes 21 ms,
with the default limits (100, of which 20 are kept) anything from 3 to 21."""

JSON = {"content-type": "application/json"}

app = fastapi.FastAPI()


class OrderLine(pydantic.BaseModel):
    id: int
    customer: str
    sku: str
    quantity: int
    price: float
    currency: str
    tags: list[str]
    note: str
    placed_at: int
    weight_kg: float
    warehouse: int
    gift: bool


@app.post("/orders")
async def echo(line: OrderLine) -> OrderLine:
    return line


@asynccontextmanager
async def serve(place: Place) -> AsyncGenerator[Sequence[int], None]:
    async with serving(app, place):
        yield ()


@asynccontextmanager
async def connect(place: Place) -> AsyncGenerator[Drive, None]:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEP_ALIVE_S)
    async with httpx.AsyncClient(base_url=f"http://{place.host}:{place.port}", limits=limits, timeout=30) as client:

        async def call(line: OrderLine) -> OrderLine:
            response = await client.post("/orders", content=line.model_dump_json(), headers=JSON)
            response.raise_for_status()
            return OrderLine.model_validate_json(response.content)

        yield closed_loop(call, OrderLine(**msgspec.structs.asdict(payload.SAMPLE)))


SUBJECT = Subject(serve, connect)
