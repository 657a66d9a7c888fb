"""What gates compare: what an instance has served, by module, each unit of work once."""

from typing import Any

import pytest

from ramet import Failure, Module
from ramet.model.control import Served
from ramet.observe import names
from ramet.observe.record import Recorder
from ramet.process.counting import CALLERS_FAULT, count


class SoldOut(Failure, status=409):
    """Declared."""


def shop() -> Module:
    module = Module("shop")

    @module.post("/orders", raises=[SoldOut])
    async def order() -> str:
        return ""

    async def old(scope: Any, receive: Any, send: Any) -> None: ...

    module.mount(old, "/old")
    return module


def counted(*observed: tuple[str, dict[str, str], str], seconds: float = 0.0) -> Served:
    """observed: (metric, labels, error) of one unit of work each."""
    recorder = Recorder()
    for metric, labels, error in observed:
        recorder.series(getattr(names, metric), **labels).observe(seconds, error)
    return count(recorder, [shop()], prefix="/api")["shop"]


def call(error: str = "", *, module: str = "shop") -> tuple[str, dict[str, str], str]:
    return "CALL_SERVED", {"module": module, "call": "order"}, error


def request(route: str, *, status: str = "200", error: str = "", method: str = "POST") -> tuple[str, dict[str, str], str]:
    return "REQUEST", {"method": method, "route": route, "status": status}, error


def test_calls_are_counted_with_what_they_raised_and_how_long_they_took() -> None:
    """Those of other modules are not."""
    found = counted(call(), call("KeyError"), call("KeyError"), call(module="front"), seconds=1e9)
    assert (found.requests, found.errors) == (3, {"KeyError": 2})
    assert found.buckets == [*[0] * len(names.CALL_BOUNDS_S), 3]


@pytest.mark.parametrize("error", ["SoldOut", *sorted(CALLERS_FAULT)])
def test_what_says_nothing_about_the_code_is_no_error(error: str) -> None:
    """A declared failure is an answer, a bad argument the caller's."""
    found = counted(call(error))
    assert (found.requests, found.errors) == (1, {})


def test_a_request_whose_endpoint_is_a_call_counts_once() -> None:
    """As that call, which may have run in another process."""
    assert counted(call(), request("/api/orders")).requests == 1


def test_a_request_of_a_mounted_application_counts_by_its_status() -> None:
    """What an endpoint of no call raises is told to the client as 5xx; 4xx is the client's."""
    route = "/api/old/*"
    found = counted(request(route), request(route, status="404"), request(route, status="500", error="KeyError"))
    assert (found.requests, found.errors, sum(found.http), sum(found.buckets)) == (3, {"KeyError": 1}, 3, 0)
    assert counted(request(route, status="503")).errors == {"503": 1}, "with no exception known, by its status"


def test_nothing_was_served_yet() -> None:
    """Every module is there, with zeros: it is not unknown."""
    found = counted()
    assert (found.requests, found.errors, sum(found.buckets), sum(found.http)) == (0, {}, 0, 0)
