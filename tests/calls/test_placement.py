"""Where a call goes while its module moves: pools by shares, the split, and what each facade is bound to."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from ramet import Module
from ramet.calls import choosing
from ramet.calls.choosing import Pools
from ramet.calls.ledger import Ledger, MemoryLedger
from ramet.calls.placement import Placement
from ramet.calls.split import Split
from ramet.model.routing import Address
from ramet.observe.record import Recorder
from ramet.wire.context import Face, current
from tests.calls.placing import wait_until

DRAWS = 10_000
SIGMAS = 5
"""A share that is right is further off in one run of a million; the chance is seeded, so this one is not."""


@dataclass(frozen=True)
class At:
    """An endpoint at a place."""

    place: str
    number: int = 1

    @property
    def address(self) -> Address:
        service, _, version = self.place.partition("@")
        return Address(f"{service}-{self.number}", service, version)


A1, A2, B1, NEW = At("a@1"), At("a@1", 2), At("b@1"), At("b@2")


def shares_of(found: Pools[At] | Sequence[At], draws: int = DRAWS) -> dict[str, int]:
    """How many of the draws went to each place."""
    if not isinstance(found, Pools):
        return dict.fromkeys({each.place for each in found}, draws)
    chance = random.Random(1).random
    return dict(Counter(found.choose(chance(), ())[0].place for _ in range(draws)))


def assert_near(counted: int, share: float) -> None:
    allowed = SIGMAS * (DRAWS * share * (1 - share)) ** 0.5
    assert abs(counted - DRAWS * share) <= allowed, (counted, share)


@pytest.mark.parametrize(
    ("ready", "shares", "version", "expected", "why"),
    [
        ([A1, A2, B1], None, "1", {"a@1", "b@1"}, "without shares all are alike"),
        ([A1, A2], {"a@1": 100}, "1", {"a@1"}, "one place"),
        ([A1, B1], {"a@1": 100, "b@1": 0}, "1", {"a@1"}, "a share of 0 is none"),
        ([A1, B1], {"a@1": 100}, "1", {"a@1"}, "a place that is not in the table has none"),
        ([A1, NEW], {"a@1": 95, "b@2": 5}, "2", {"b@2"}, "what entered a version stays in it"),
        ([A1, NEW], {"a@1": 95, "b@2": 5}, "1", {"a@1"}, "in either"),
        ([A1], {"a@1": 95, "b@2": 5}, "2", {"a@1"}, "unless its own version has nobody ready"),
        ([B1], {"a@1": 95, "b@1": 5}, "1", {"b@1"}, "a place without a ready endpoint leaves its share"),
        ([], {"a@1": 100}, "1", set(), "nobody"),
    ],
)
def test_one_pool_is_a_bare_sequence(
    ready: list[At], shares: dict[str, int] | None, version: str, expected: set[str], why: str
) -> None:
    """Which is nearly always, and costs nothing."""
    found = choosing.pools(ready, shares, version)
    assert not isinstance(found, Pools)
    assert {each.place for each in found} == expected, why


@pytest.mark.parametrize("share", [5, 25, 50, 99])
def test_two_pools_get_their_shares(share: int) -> None:
    """Of calls, however many endpoints each has."""
    counted = shares_of(choosing.pools([A1, A2, B1], {"a@1": 100 - share, "b@1": share}, "1"))
    assert_near(counted["b@1"], share / 100)


def test_the_share_of_a_place_without_a_ready_endpoint_is_divided_among_the_others() -> None:
    """In their proportion."""
    counted = shares_of(choosing.pools([A1, B1], {"a@1": 60, "b@1": 20, "c@1": 20}, "1"))
    assert_near(counted["a@1"], 0.75)
    assert sum(counted.values()) == DRAWS


def test_a_retry_goes_to_the_other_pool_when_its_own_was_tried() -> None:
    """Not before: within a place there may be another endpoint."""
    found = choosing.pools([A1, A2, B1], {"a@1": 99, "b@1": 1}, "1")
    assert isinstance(found, Pools)
    assert list(found.choose(0.0, (A1,))) == [A1, A2]
    assert list(found.choose(0.0, (A1, A2))) == [B1]
    assert list(found.choose(0.0, (A1, A2, B1))) == [A1, A2], "when all were tried, its own again"
    assert list(found.choose(0.999999, ())) == [B1]


# The split


async def here(_: tuple[Any, ...]) -> str:
    return "here"


async def elsewhere(_: tuple[Any, ...]) -> str:
    return "elsewhere"


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_split_keeps_its_share_of_calls_here(share: float) -> None:
    """By a seeded chance, within what a binomial allows."""

    async def main() -> int:
        split = Split("feed", here, elsewhere, share, streams=False, chance=random.Random(2).random)
        return [await split.run(()) for _ in range(DRAWS)].count("here")

    assert_near(asyncio.run(main()), share)


def test_what_a_module_calls_of_itself_stays() -> None:
    """Its request was sent here by weights already."""

    async def main() -> set[str]:
        current.set(current.get().derive(face=Face("feed", frozenset())))
        split = Split("feed", here, elsewhere, 0.01, streams=False, chance=lambda: 0.99)
        return {await split.run(()) for _ in range(10)}

    assert asyncio.run(main()) == {"here"}


def test_calls_here_are_counted_until_they_end_however_they_end() -> None:
    """By a result, an error, or cancelled; those that went elsewhere are not."""

    async def main() -> None:
        go = asyncio.Event()

        async def wait(args: tuple[Any, ...]) -> None:
            await go.wait()
            if args:
                raise KeyError

        split = Split("feed", wait, elsewhere, 1.0, streams=False, chance=lambda: 0.0)
        calls = [asyncio.create_task(split.run(args)) for args in ((), ("error",), ())]
        await wait_until(lambda: split.in_flight == 3)
        calls[2].cancel()
        await wait_until(lambda: split.in_flight == 2)
        go.set()
        await asyncio.gather(*calls, return_exceptions=True)
        assert split.in_flight == 0
        away = Split("feed", wait, elsewhere, 0.0, streams=False)
        calling = away.run(())
        assert away.in_flight == 0
        assert await calling == "elsewhere"

    asyncio.run(main())


@pytest.mark.parametrize("how", ["to its end", "closed", "it raises"])
def test_a_stream_here_is_counted_from_its_first_item_to_its_end(how: str) -> None:
    """Also where its reader leaves in the middle."""

    async def items(_: tuple[Any, ...]) -> AsyncIterator[int]:
        yield 1
        if how == "it raises":
            raise KeyError
        yield 2

    async def main() -> None:
        split = Split("feed", items, elsewhere, 1.0, streams=True, chance=lambda: 0.0)
        stream = split.run(())
        assert await anext(stream) == 1
        assert split.in_flight == 1
        if how == "closed":
            await stream.aclose()
        elif how == "it raises":
            with pytest.raises(KeyError):
                await anext(stream)
        else:
            assert [item async for item in stream] == [2]
        assert split.in_flight == 0

    asyncio.run(main())


# The placement


class Gone(Exception):
    """The call was sent to another process."""


class Elsewhere:
    """The group of a module's endpoints, as far as it takes to see that a call was sent there."""

    @property
    def budget(self) -> Any:
        raise Gone


def feed_of() -> Module:
    feed = Module("feed")

    @feed.expose(deadline=0.2)
    async def read() -> str:
        return "here"

    return feed


def placement(module: Module, hosted: set[str]) -> Placement:
    group: Any = Elsewhere()
    ledgers: dict[str, Ledger] = {}
    return Placement(
        {module.name: module}, hosted, place="main@1", strict=False, recorder=Recorder(), ledgers=ledgers, group=lambda _: group
    )


def divided(share: int) -> dict[str, dict[str, int]]:
    return {"feed": {name: each for name, each in {"main@1": 100 - share, "feed@1": share}.items() if each}}


async def ask(module: Module) -> str:
    try:
        return await module.calls["read"].facade()
    except Gone:
        return "elsewhere"


def test_a_module_goes_from_here_to_divided_to_elsewhere_to_dropped_and_back() -> None:
    """Bound anew with each table of shares; dropped when nothing of it runs here."""

    async def main() -> None:
        module = feed_of()
        made = placement(module, {"feed"})
        seen: list[tuple[str, set[str]]] = []

        async def look(name: str) -> None:
            seen.append((name, {await ask(module) for _ in range(200)}))

        made.apply({})
        await look("without shares")
        made.apply(divided(0))
        await look("here")
        made.apply(divided(50))
        await look("divided")
        assert "moving: feed 50%" in repr(made)
        made.apply(divided(100))
        await look("elsewhere")
        assert not made.is_here("feed")
        async with asyncio.timeout(5):
            await made.wait_idle("feed")
        made.drop("feed")
        await look("dropped")
        assert repr(made) == "<Placement: nothing here>"
        made.host("feed", MemoryLedger())
        await look("hosted, without a share")
        made.apply(divided(50))
        await look("divided")
        made.apply(divided(0))
        await look("here")
        made.unplace()
        assert not module.calls["read"].is_bound
        both = {"here", "elsewhere"}
        assert seen == [
            ("without shares", {"here"}),
            ("here", {"here"}),
            ("divided", both),
            ("elsewhere", {"elsewhere"}),
            ("dropped", {"elsewhere"}),
            ("hosted, without a share", {"elsewhere"}),
            ("divided", both),
            ("here", {"here"}),
        ]

    asyncio.run(main())


def test_a_module_is_not_idle_while_a_divided_call_runs_here() -> None:
    """Nor before the deadline of those that began when all of them ran here."""

    async def main() -> None:
        go = asyncio.Event()
        feed = Module("feed")

        @feed.expose(deadline=5.0)
        async def read() -> str:
            await go.wait()
            return "here"

        made = placement(feed, {"feed"})
        made.apply(divided(99))
        while not (splits := made._splits["feed"])[0].in_flight:
            calling = asyncio.create_task(feed.calls["read"].facade())
            await asyncio.wait([calling], timeout=0.001)
        made.apply(divided(100))
        waiting = asyncio.create_task(made.wait_idle("feed"))
        await asyncio.sleep(0)
        assert not waiting.done()
        go.set()
        assert await calling == "here"
        assert splits[0].in_flight == 0
        async with asyncio.timeout(5):
            await waiting

    asyncio.run(main())
