import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response

from tickets.database import Base, engine
from tickets.routers import tickets


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    Base.metadata.create_all(engine)
    yield
    engine.dispose()


app = FastAPI(title="Tickets", lifespan=lifespan)
app.include_router(tickets.router)


@app.middleware("http")
async def add_timing(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    start = time.perf_counter()
    response = await call_next(request)
    response.headers["x-app-ms"] = f"{1000 * (time.perf_counter() - start):.1f}"
    return response
