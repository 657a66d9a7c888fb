"""One test's run: its event loop, the application placed on it, and what is told when it fails."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from ramet.testing.fakes import Fake, current_stage, fake
from ramet.testing.http import Http
from ramet.testing.losses import Losses
from ramet.testing.marking import PROCESSES, WIRE, Wanted
from ramet.testing.session import Session

T = TypeVar("T")


class Placement:
    """Where a test runs. Use `open` and `close`; what `run` is given runs on the test's loop, outside of all modules."""

    def __init__(self, session: Session, wanted: Wanted, losses: Losses) -> None:
        self.wanted = wanted
        self._session = session
        self._losses = losses
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Placement {self.wanted}>"

    @property
    def name(self) -> str:
        return self.wanted.placement

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def open(self) -> None:
        """Raises what keeps a part from starting."""
        self._session.prepare(self.wanted)
        self.run(self._open())

    async def _open(self) -> None:
        board = await self._stack.enter_async_context(self._session.placed(self.wanted, self._losses))
        current_stage.set(board)

    async def http(self) -> Http:
        return await self._stack.enter_async_context(self._session.http(self.wanted))

    async def fake(self, call: Callable[..., Any], answer: Any = None) -> Fake:
        """As `ramet.testing.fake`, until the end of the test."""
        return await self._stack.enter_async_context(fake(call, answer))

    def close(self) -> None:
        try:
            self.run(self._stack.aclose())
        finally:
            self._runner.close()

    def told(self) -> list[tuple[str, str]]:
        """(title, text) of what helps to understand a failure."""
        if self.name == WIRE:
            lost = ", ".join(self._losses.lost) or "none"
            seed = self._losses.seed
            return [("ramet: the wire", f"lost replies: {lost}\nthe same ones again: pytest --ramet-seed {seed}")]
        if self.name == PROCESSES:
            logs = self._session.instances(self.wanted).logged()
            return [(f"ramet: log of {name}", text) for name, text in logs.items()]
        return []
