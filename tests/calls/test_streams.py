"""Streamed results, in every placement."""

import asyncio

import pytest

from ramet import DeadlineExceeded
from ramet.settings import Settings
from tests.calls.placing import placed, run, wait_until
from tests.calls.shop import Item, Shop, SoldOut


def at(shop: Shop, placement: str, body, settings: Settings | None = None) -> None:
    async def main() -> None:
        async with placed(shop.modules, placement, caller="front", callee="orders", settings=settings or Settings()) as calls:
            await body(calls)

    run(main())


def test_items_come_in_order_to_the_end(shop: Shop, placement: str) -> None:
    """More of them than a window holds."""

    async def body(_) -> None:
        assert [number async for number in shop.count(30_000)] == list(range(30_000))
        await wait_until(lambda: shop.ended == 1)

    at(shop, placement, body)


def test_an_empty_stream_ends(shop: Shop, placement: str) -> None:
    """No item, no error."""

    async def body(_) -> None:
        assert [number async for number in shop.count(0)] == []

    at(shop, placement, body)


def test_a_failure_ends_the_stream_as_itself(shop: Shop, placement: str) -> None:
    """After the items that came before it."""

    async def body(_) -> None:
        got: list[Item] = []
        with pytest.raises(SoldOut) as caught:
            async for item in shop.stumble(3):
                got.append(item)  # noqa: PERF401  (those before the failure count)
        assert [item.sku for item in got] == ["0", "1", "2"]
        assert caught.value == SoldOut("stream")

    at(shop, placement, body)


def test_a_reader_that_leaves_cancels_the_work(shop: Shop, placement: str) -> None:
    """The callee's generator is closed."""

    async def body(_) -> None:
        stream = shop.count(10**9)
        async for number in stream:
            if number == 10:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        await wait_until(lambda: shop.ended == 1)

    at(shop, placement, body)


def test_a_forgotten_stream_is_cancelled_too(shop: Shop, placement: str) -> None:
    """`break` without aclose is what people write."""

    async def body(_) -> None:
        async for number in shop.count(10**9):
            if number == 10:
                break
        await wait_until(lambda: shop.ended == 1)

    at(shop, placement, body)


def test_the_deadline_is_for_each_item(shop: Shop, placement: str) -> None:
    """A stream may be long; an item may not take for ever."""

    async def body(_) -> None:
        got = []
        with pytest.raises(DeadlineExceeded):
            async for item in shop.stall():
                got.append(item)  # noqa: PERF401
        assert got == [1]
        await wait_until(lambda: shop.ended == 1)

    at(shop, placement, body)


def test_a_slow_reader_slows_the_callee(shop: Shop, wire: str) -> None:
    """Credit: no more than a window is under way unread."""

    async def body(_) -> None:
        stream = shop.big(10_000)
        assert len(await anext(stream)) == 10_000
        produced = -1
        while produced != shop.ran:
            produced = shop.ran
            await asyncio.sleep(0.05)
        assert shop.ran * 10_000 < 4 * 100_000
        for _ in range(100):
            await anext(stream)
        assert shop.ran >= 100
        await stream.aclose()  # type: ignore[attr-defined]

    at(shop, wire, body, Settings(stream_window_bytes=100_000))


def test_streams_and_calls_share_a_connection(shop: Shop, wire: str) -> None:
    """An unread stream holds nobody up."""

    async def body(_) -> None:
        stream = shop.big(10_000)
        await anext(stream)
        assert await asyncio.gather(*(shop.add(1) for _ in range(50))) == [123] * 50
        await stream.aclose()  # type: ignore[attr-defined]

    at(shop, wire, body)
