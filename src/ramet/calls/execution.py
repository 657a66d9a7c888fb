"""Running a module's own function: a plain `def` in a worker thread, everything else on the loop."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


def awaitable(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself if it is a coroutine function or an async generator, else one that runs it in a thread.

    A thread cannot be stopped: when the deadline passes the caller is told so, and the thread ends in its own time.
    """
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return function

    async def in_thread(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(function, *args, **kwargs)

    return in_thread


def positional(function: Callable[..., Any], keyword_only: tuple[str, ...]) -> Callable[..., Any]:
    """A function that takes all arguments by position, in the order of the contract."""
    if not keyword_only:
        return function
    count = len(keyword_only)

    def call(*args: Any) -> Any:
        return function(*args[:-count], **dict(zip(keyword_only, args[-count:], strict=True)))

    return call
