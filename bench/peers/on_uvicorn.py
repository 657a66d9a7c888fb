"""An ASGI application on uvicorn as lean as it goes, for every peer that is served so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from bench.subject import Place

KEEP_ALIVE_S = 600
"""Longer than a run: the other subjects take their turns between two measurements."""


@asynccontextmanager
async def serving(app: Any, place: Place, *, access_log: bool = False, **options: Any) -> AsyncGenerator[None, None]:
    """Listening once entered. access_log: uvicorn's own line per request. options: further ones of uvicorn.Config."""
    config = uvicorn.Config(
        app,
        host=place.host,
        port=place.port,
        http="httptools",
        lifespan="off",
        log_level="info" if access_log else "warning",
        access_log=access_log,
        timeout_keep_alive=KEEP_ALIVE_S,
        **options,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    task.add_done_callback(lambda _: server.settled.set())
    await server.settled.wait()
    if task.done():
        await task
        raise RuntimeError(f"uvicorn did not start on {place.host}:{place.port}")
    yield
    server.should_exit = server.force_exit = True
    await task


class _Server(uvicorn.Server):
    """uvicorn says that it has started by a flag; this says it by an event."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = asyncio.Event()

    async def startup(self, *args: Any, **more: Any) -> None:
        await super().startup(*args, **more)
        self.settled.set()
