"""`uvicorn helpdesk.main:app`"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.middleware.gzip import GZipMiddleware

from helpdesk.config import Settings
from helpdesk.database import Base, connect, sessions_of
from helpdesk.routers import notes, tickets


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.settings = Settings()
    engine = connect(app.state.settings.database_url)
    Base.metadata.create_all(engine)
    app.state.sessions = sessions_of(engine)
    yield
    engine.dispose()


app = FastAPI(title="Helpdesk", version="2.3", lifespan=lifespan, openapi_url="/api/openapi.json", docs_url="/api/docs")
app.add_middleware(GZipMiddleware, minimum_size=1000)
app.include_router(tickets.router)
app.include_router(notes.router)


@app.middleware("http")
async def time_it(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    begun = time.perf_counter()
    response = await call_next(request)
    response.headers["X-Process-Time"] = f"{time.perf_counter() - begun:.4f}"
    return response


@app.websocket("/live")
async def live(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{text}, said the desk")
