"""What two readings of each instance say of a service, and when they say nothing."""

import math

import pytest

from ramet.model.control import Status
from ramet.model.measuring import Reading, measure


def reading(at_s: float, *, cpu_s: float = 0.0, served: int = 0, started: float = 1.0, **said: float) -> Reading:
    status = Status(
        instance="web-1",
        service="web",
        version="1",
        state="ready",
        why="",
        pid=1,
        modules=["front"],
        epoch=1,
        calls_in_flight=int(said.get("calls", 1)),
        requests_in_flight=int(said.get("requests", 0)),
        memory_bytes=0,
        started=started,
        cpu_s=cpu_s,
        lag_s=said.get("lag_s", 0.0),
        waiting=int(said.get("waiting", 0)),
    )
    return Reading(at_s, status, served)


def test_a_service_is_the_mean_of_its_instances() -> None:
    """CPU by the time between the readings, work in hand without the question itself."""
    before = {"web-1": reading(0, cpu_s=5.0), "web-2": reading(0, cpu_s=9.0)}
    now = {"web-1": reading(2, cpu_s=6.6, calls=3, requests=4), "web-2": reading(2, cpu_s=9.4)}
    found = measure(2, before, now)
    assert (found.instances, found.missing) == (2, "")
    assert math.isclose(found.cpu, 0.5)
    assert math.isclose(found.in_flight, 3.0)


@pytest.mark.parametrize(
    ("waiting", "served", "wait_s"),
    [
        pytest.param(0, 0, 0.003, id="only the lag of the loop"),
        pytest.param(10, 200, 0.103, id="ten that wait, a hundred served in a second: each waits for 100 ms"),
        pytest.param(1, 0, 2.003, id="nothing was served: it has waited for the whole time"),
    ],
)
def test_waiting_work_is_turned_into_a_wait_by_littles_law(waiting: int, served: int, wait_s: float) -> None:
    """L = lambda * W, with the lag of the event loop on top."""
    found = measure(2, {"web-1": reading(0)}, {"web-1": reading(2, served=served, waiting=waiting, lag_s=0.003)})
    assert math.isclose(found.queue_wait_s, wait_s)


def test_one_instance_that_cannot_be_counted_in_makes_the_whole_missing() -> None:
    """A mean over the others would be of another service. What is wrong goes before what is new."""
    before = {"web-1": reading(0), "web-3": reading(0, started=0.5)}
    assert measure(1, before, {"web-1": reading(1), "web-2": "does not answer"}).missing == "web-2 does not answer"
    assert measure(1, before, {"web-1": reading(1), "web-2": reading(1)}).missing == "web-2 was not measured before"
    assert measure(1, before, {"web-3": reading(1)}).missing == "web-3 was not measured before"
    assert measure(1, before, {"web-2": reading(1), "web-1": "is draining"}).missing == "web-1 is draining"
    assert measure(1, before, {}).missing == "it has no instance"
