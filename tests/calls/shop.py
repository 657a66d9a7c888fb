"""A module that is called, and one that calls it. `Shop` makes new ones, since a test changes what they are bound to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

import ramet
from ramet import Failure, Module


class Item(msgspec.Struct):
    sku: str
    tags: list[str]


class Frozen(msgspec.Struct, frozen=True):
    sku: str
    count: int = 1


@dataclass
class Note:
    text: str
    parts: dict[str, list[int]]


class SoldOut(Failure, status=409):
    """The item is gone."""

    sku: str
    left: int = 0


class NotListed(Failure):
    """A failure that no call declares."""

    sku: str


class Shop:
    """Two modules, `orders` and `front` (which uses it). `ran` counts the calls that began, `ended` those that were stopped."""

    def __init__(self) -> None:  # noqa: C901  (it is a list of calls)
        self.orders = orders = Module("orders")
        self.front = Module("front", uses=["orders"])
        self.stranger = Module("stranger")
        self.modules = [self.orders, self.front, self.stranger]
        self.ran = 0
        self.ended = 0
        self.release = asyncio.Event()
        self.kept: list[Any] = []
        self.seen: dict[str, Any] = {}

        @orders.expose
        async def add(a: int, b: int = 2, *, c: int = 3) -> int:
            self.ran += 1
            return a * 100 + b * 10 + c

        @orders.expose
        async def change(item: Item) -> Item:
            item.tags.append("changed")
            self.kept.append(item)
            return item

        @orders.expose
        async def keep(note: Note) -> Note:
            note.parts["x"] = [1]
            return note

        @orders.expose
        async def frozen(value: Frozen) -> Frozen:
            self.kept.append(value)
            return value

        @orders.expose(raises=[SoldOut])
        async def buy(sku: str) -> None:
            if sku == "unlisted":
                raise NotListed(sku)
            if sku == "bug":
                raise KeyError(sku)
            raise SoldOut(sku, left=3)

        @orders.expose
        def plain(text: str) -> str:
            return f"{text} {ramet.context().module}"

        @orders.expose(deadline="200ms")
        async def slow(seconds: float) -> str:
            self.ran += 1
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.ended += 1
                raise
            return "done"

        @orders.expose(deadline="5s")
        async def hang() -> str:
            self.ran += 1
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.ended += 1
                raise
            return "released"

        @orders.expose(idempotent=True, deadline="5s")
        async def read(key: str) -> str:
            self.ran += 1
            return key.upper()

        @orders.expose(once=True)
        async def pay(amount: int) -> str:
            self.ran += 1
            return f"{amount} as {ramet.context().key}"

        @orders.expose
        async def look() -> dict[str, str]:
            context = ramet.context()
            return {
                "module": context.module,
                "caller": context.caller,
                "trace": context.trace_id.hex(),
                "key": context.key or "",
                "color": (context.baggage or {}).get("color", ""),
                "left": "some" if context.deadline < float("inf") else "none",
            }

        @orders.expose
        async def wrong_result() -> int:
            return "text"  # type: ignore[return-value]

        @orders.expose
        async def count(upto: int) -> AsyncIterator[int]:
            self.ran += 1
            try:
                for number in range(upto):
                    yield number
            finally:
                self.ended += 1

        @orders.expose(raises=[SoldOut])
        async def stumble(after: int) -> AsyncIterator[Item]:
            for number in range(after):
                yield Item(str(number), [])
            raise SoldOut("stream")

        @orders.expose(deadline="200ms")
        async def stall() -> AsyncIterator[int]:
            yield 1
            try:
                await asyncio.sleep(60)
            finally:
                self.ended += 1
            yield 2

        @orders.expose
        async def big(size: int) -> AsyncIterator[bytes]:
            while True:
                self.ran += 1
                yield bytes(size)

        self.add, self.change, self.keep, self.frozen, self.buy, self.plain = add, change, keep, frozen, buy, plain
        self.slow, self.hang, self.read, self.pay, self.look, self.wrong_result = slow, hang, read, pay, look, wrong_result
        self.count, self.stumble, self.stall, self.big = count, stumble, stall, big
