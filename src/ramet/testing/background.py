"""An event loop in a thread: what outlives a test (the database server, instances) runs on it, while each test has its own."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon: a pytest that is interrupted in the middle must not wait for it.
        self._thread = threading.Thread(target=self._loop.run_forever, name="ramet testing", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Background {'running' if self._loop.is_running() else 'closed'}>"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait for it here. From a test's own loop use `await_`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def await_(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
