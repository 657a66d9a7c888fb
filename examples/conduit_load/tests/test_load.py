"""The load is open loop, and says of each phase what its users went through."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conduit_load import habits, marks
from conduit_load.load import Load, LoadReport
from conduit_load.tests.server import look_at_oneself, serving, world_of_readers

STALL_S = 0.4
RATE = 200.0


@pytest.fixture(autouse=True)
def only_look_at_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of these tests knows no more."""
    monkeypatch.setattr(habits, "act", look_at_oneself)


async def stalled() -> tuple[int, LoadReport]:
    """(requests that reached the server while it stood still, what the load says)"""
    async with serving() as (server, url), Load(url, rate=RATE, world=world_of_readers(3), window_s=0.3) as load:
        async with load.phase("stall"):
            server.goes.clear()
            before = server.received
            await asyncio.sleep(STALL_S)  # this is the stall
            reached = server.received - before
            server.goes.set()
        return reached, await load.finish()


def test_who_is_due_while_the_system_stands_still_has_waited_since_then() -> None:
    """Else a stall would be measured once for each client that is stuck, in place of once for each user who comes."""
    reached, report = asyncio.run(stalled())
    (phase,) = report.phases
    assert reached <= 3
    assert phase.requests > RATE * STALL_S / 2
    assert phase.p99_during_ms is not None
    assert phase.p99_during_ms > STALL_S * 1000 * 0.8
    assert phase.p50_ms is not None
    assert phase.p50_ms > STALL_S * 1000 * 0.2
    assert phase.p99_before_ms is not None
    assert phase.p99_after_ms is not None
    assert report.is_clean


def test_the_report_is_a_table_and_json() -> None:
    """A line and an object for each phase, and one for all."""
    _, report = asyncio.run(stalled())
    head, stall, total = report.table().splitlines()
    assert "p99 before" in head
    assert (stall.split()[0], total.split()[0]) == ("stall", "load")
    found = report.as_dict()
    assert [phase["name"] for phase in found["phases"]] == ["stall"]
    assert found["found"] == []
    assert found["total"]["requests"] == report.total.requests >= report.phases[0].requests


def test_what_ends_the_load_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the load itself is no result."""

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    async def load_with(*, phase: bool) -> None:
        async with serving() as (_, url), Load(url, rate=RATE, world=world_of_readers(1), window_s=5.0) as load:
            if phase:
                await load.phase("never begins").__aenter__()
            await asyncio.wait([load._arrivals])  # type: ignore[list-item]  # noqa: SLF001

    monkeypatch.setattr(habits, "act", broken)
    for phase in (True, False):
        with pytest.raises(ExceptionGroup) as raised:
            asyncio.run(load_with(phase=phase))
        assert raised.group_contains(ZeroDivisionError)


def test_a_system_that_is_not_there_fails_every_request() -> None:
    """It is said for each, and nothing of it may have run."""

    async def load_nothing() -> LoadReport:
        async with serving() as (_, url):
            pass
        async with Load(url, rate=RATE, world=world_of_readers(2), window_s=0.1) as load:
            async with load.phase("nothing"):
                pass
            return await load.finish()

    report = asyncio.run(load_nothing())
    assert report.found.requests == report.total.failed > 0
    assert {finding.kind.value for finding in report.found.findings} == {"failed"}
    assert "no connection" in str(report.found.findings[0])
    assert not report.is_clean


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["begin extract feed\n", "end\n", "finish\n", "begin late\n"], ["running", "began", "ended", "report"]),
        (["begin a\n", "\n", "end\n", "begin b\n", "end\n"], ["running", "began", "ended", "began", "ended", "report"]),
        (["end\n", "begin\n", "start a\n"], ["running", "refused", "refused", "refused", "report"]),
        (["begin a\n", "begin b\n", "finish\n", "end b\n"], ["running", "began", "refused", "refused", "refused", "report"]),
    ],
)
def test_marks_come_from_another_process(lines: list[str], told: list[str]) -> None:
    """Line by line, each answered. A phase that is still under way at the end of the input ends there."""
    said: list[dict[str, Any]] = []

    async def given() -> AsyncIterator[str]:
        for line in lines:
            yield line

    async def follow() -> LoadReport:
        async with serving() as (_, url), Load(url, rate=RATE, world=world_of_readers(3), window_s=0.05) as load:
            return await marks.follow(load, given(), lambda text: said.append(json.loads(text)))

    report = asyncio.run(follow())
    assert [next(iter(each)) for each in said] == told
    names = [each["began"] for each in said if "began" in each]
    assert [phase.name for phase in report.phases] == names
    assert said[-1]["report"] == report.as_dict()
