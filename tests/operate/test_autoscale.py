"""A fleet that grows under load and shrinks after it, by itself: real processes, a real PostgreSQL, a real Envoy."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.operate.app import Command, load

TARGET = '{ cpu = 0.05, in_flight = 1000, queue_wait = "10s", window = "3s", cooldown = "1s" }'
"""Eight clients use more than that of two instances even where other tests take all cores, and their absence less than of one."""
RANGE = f'main = {{ modules = ["*"], instances = "1..2", target = {TARGET} }}'

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def ranged(shop: Command) -> Command:
    file = shop.folder / "ramet.toml"
    file.write_text(file.read_text().replace('main = { modules = ["*"] }', RANGE))
    return shop


def plans(command: Command) -> list[tuple[str, str]]:
    """(state, title), newest first."""
    return [(each["state"], each["title"]) for each in json.loads(command.ok("history", "--json"))]


async def until(command: Command, holds: Callable[[list[tuple[str, str]]], bool], within_s: float) -> list[tuple[str, str]]:
    end = time.monotonic() + within_s
    while not holds(found := await asyncio.to_thread(plans, command)):
        assert time.monotonic() < end, found
        await asyncio.sleep(0.3)
    return found


def test_a_service_grows_under_load_and_shrinks_after_it(ranged: Command) -> None:
    """Nobody fails, and history says why in numbers."""
    url = ranged.up("seed")

    async def story() -> None:
        async with load(url) as (statuses, _):
            grown = await until(ranged, lambda found: found != [] and found[0][0] == "done", 30)
        assert set(statuses) <= {"200", "201"}
        assert grown[-1][1].startswith("scale main 1 -> 2: cpu ")
        assert grown[-1][1].endswith(" of a core per instance, target 0.05")
        shrunk = await until(ranged, lambda found: "2 -> 1" in found[0][1] and found[0][0] == "done", 40)
        assert "no more than 1 were wanted for 3 s" in shrunk[0][1]

    asyncio.run(story())
    assert [each["instance"] for each in ranged.status()["instances"]] == ["main-1"]


def test_a_controller_that_takes_over_scales_by_the_same_range(ranged: Command) -> None:
    """A number outside is refused, one inside is honoured; whoever takes over finds the range in the file and shrinks again."""
    ranged.up("seed")
    refused = ranged.run("scale", "main", "3", "--yes")
    assert refused.returncode == 2
    assert "main is to have 1 to 2 instances, not 3" in refused.stderr
    assert 'another range in ramet.toml: instances = "1..2"' in refused.stderr
    ranged.ok("scale", "main", "2", "--yes")
    os.kill(ranged.status()["pid"], signal.SIGKILL)
    ranged.up("seed")
    found = asyncio.run(until(ranged, lambda found: len(found) > 1 and found[0][0] == "done", 40))
    assert found[-1] == ("done", "scale main 1 -> 2")
    assert found[0][1].startswith("scale main 2 -> 1: cpu ")
