"""Starting and stopping a mounted ASGI application by the lifespan protocol. One that does not know it is left alone."""

import asyncio
import contextlib
from typing import Any

from ramet.errors import UsageError

START_S = 60.0
"""Time for an application to start or to stop, in seconds. A guess: long enough to open pools and load a model."""


class Lifespan:
    """state: what the application leaves for its requests, by the protocol's `state` extension."""

    def __init__(self, app: Any, name: str) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._name = name
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Lifespan of {self._name}{', running' if self._task and not self._task.done() else ''}>"

    async def start(self) -> None:
        """Raises UsageError where the application says that it cannot start, or takes too long."""
        self._task = asyncio.create_task(self._run())
        answer = await self._ask("lifespan.startup")
        if answer["type"] == "lifespan.startup.failed":
            raise UsageError(f"the application mounted at {self._name} did not start: {answer.get('message', '')}")

    async def stop(self) -> None:
        if self._task is None:
            return
        if not self._task.done():
            await self._ask("lifespan.shutdown")
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _ask(self, order: str) -> dict[str, Any]:
        assert self._task is not None
        self._orders.put_nowait({"type": order})
        answer = asyncio.create_task(self._answers.get())
        try:
            done, _ = await asyncio.wait({answer, self._task}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
        if not done:
            self._task.cancel()
            raise UsageError(f"the application mounted at {self._name} did not answer {order} within {START_S:g} s")
        return answer.result() if answer in done else {"type": "unsupported"}

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        with contextlib.suppress(Exception):  # the protocol's way of saying: not supported
            await self._app(scope, self._orders.get, self._answer)

    async def _answer(self, message: dict[str, Any]) -> None:
        self._answers.put_nowait(message)
