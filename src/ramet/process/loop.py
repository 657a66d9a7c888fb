"""The event loop of an instance: uvloop where it is installed, the standard one elsewhere."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

try:
    import uvloop
except ModuleNotFoundError:
    uvloop = None

T = TypeVar("T")


def run_on_best_loop(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work) if uvloop is None else uvloop.run(work)
