"""Time that passes at once, and the database's side of the fence without a database."""

import asyncio
import contextlib
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ramet.data.errors import DatabaseUnavailable, OwnershipOver
from ramet.model.routing import Owner, RoutingTable
from ramet.module import Module
from ramet.observe.record import Recorder
from ramet.process.schedules import Schedules


class Clockwork(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when nothing else is to do."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self.now = 0.0
        selector: Any = self._selector  # pyright: ignore[reportAttributeAccessIssue]
        select = selector.select

        def jump(timeout: float | None) -> Any:
            ready = select(0)
            if not ready and timeout is None:
                raise AssertionError("all wait for ever")
            if not ready and timeout:
                self.now += timeout + 1e-9  # as the real one, a little after the timer
            return ready

        selector.select = jump

    def time(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Clockwork) as runner:
        runner.run(work)


def now() -> float:
    return round(asyncio.get_running_loop().time(), 6)


@contextmanager
def inside(module: str) -> Iterator[None]:
    yield


@dataclass
class Shared:
    """What the database of one module has: the row of the owner, and who holds which lock."""

    epoch: int = 0
    instance: str = ""
    held: dict[str, str] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    is_down: bool = False


class FakeFence:
    def __init__(self, shared: Shared, instance: str) -> None:
        self.shared = shared
        self.instance = instance

    def _check(self) -> None:
        if self.shared.is_down:
            raise DatabaseUnavailable("down")

    async def take(self, epoch: int) -> dict[str, float]:
        await asyncio.sleep(0)
        self._check()
        shared = self.shared
        if epoch < shared.epoch or (epoch == shared.epoch and shared.instance not in ("", self.instance)):
            raise OwnershipOver("over")
        shared.epoch, shared.instance = epoch, self.instance
        return {name: asyncio.get_running_loop().time() - at for name, at in shared.began.items()}

    async def begin(self, schedule: str, epoch: int) -> bool:
        await asyncio.sleep(0)
        self._check()
        if self.shared.held.setdefault(schedule, self.instance) != self.instance:
            return False
        if (self.shared.epoch, self.shared.instance) != (epoch, self.instance):
            del self.shared.held[schedule]
            raise OwnershipOver("over")
        self.shared.began[schedule] = asyncio.get_running_loop().time()
        return True

    async def end(self, schedule: str) -> None:
        assert self.shared.held.pop(schedule) == self.instance

    def writes(self, epoch: int) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def schedules_of(
    module: Module, instance: str = "a", shared: Shared | None = None, recorder: Recorder | None = None
) -> Schedules:
    """shared: None for a module without a database."""
    return Schedules(
        [module],
        instance,
        inside=inside,
        recorder=recorder or Recorder(),
        fences={module.name: FakeFence(shared, instance)} if shared is not None else {},
        clock=asyncio.get_running_loop().time,
    )


def table(instance: str, epoch: int, module: str = "shop") -> RoutingTable:
    return RoutingTable(epoch, {}, owners={module: Owner(instance, epoch)})
