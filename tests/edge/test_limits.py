"""What one instance takes, and what it answers beyond that. Limits are short here; nothing sleeps."""

import asyncio
import math
from typing import Any

import pytest

from ramet.calls.options import context
from ramet.edge.limits import Limits
from ramet.edge.work import Phase, Route, Work, decide_late, decide_unwatched, parse_baggage
from ramet.observe.record import Recorder
from tests.edge.shop import make
from tests.edge.support import Answer, WebModule, ask, ingress_of, request, scope_of, wait_until


def waiting(module: WebModule, *, deadline: str = "5s") -> asyncio.Event:
    """GET /wait waits for what is returned."""
    go = asyncio.Event()

    @module.get("/wait", deadline=deadline)
    async def wait() -> str:
        await go.wait()
        return "done"

    return go


@pytest.mark.parametrize("chunks", [None, [b"x" * 600, b"x" * 600]])
def test_a_body_over_the_limit_is_refused(chunks: list[bytes] | None) -> None:
    """From its announced length, without reading it, or once it is over."""
    ingress = ingress_of(make(), limits=Limits(max_body_bytes=1000))
    answer = ask(ingress, "POST", "/raw", body=b"x" * 1001, chunks=chunks)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_an_endpoint_may_take_more() -> None:
    body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + b"x" * 2_000_000 + b"\r\n--b--\r\n"
    answer = ask(make(), "POST", "/upload", body=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert (answer.status, answer.json) == (200, {"name": "a.bin", "bytes": 2_000_000, "note": ""})


def test_too_many_headers_are_refused() -> None:
    headers = {f"x-{number}": "y" for number in range(101)}
    assert ask(make(), "GET", "/items/a", headers=headers).status == 431


def test_what_takes_longer_than_the_deadline_is_ended() -> None:
    """And the function sees its cancellation, with the deadline of the whole tree in its context."""
    module = WebModule("slow")
    seen: dict[str, Any] = {}

    @module.get("/x", deadline="20ms")
    async def late() -> str:
        seen["budget_s"] = context().budget_s
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen["cancelled"] = True
            raise
        return ""

    answer = ask(module, "GET", "/x")
    assert answer.status == 504
    assert seen == {"budget_s": 0.02, "cancelled": True}


def test_a_body_that_drips_is_given_up() -> None:
    ingress = ingress_of(make(), limits=Limits(body_s=0.02))
    answer = Answer()

    async def main() -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            answer.status = answer.status or message["status"]

        await asyncio.wait_for(ingress(scope_of("POST", "/items", {"content-type": "application/json"}), receive, send), 5)

    asyncio.run(main())
    assert answer.status == 408


def test_requests_over_the_limit_are_shed_at_once() -> None:
    """Later they would be late anyway. Health is still answered."""
    module = WebModule("slow")

    async def main() -> None:
        go = waiting(module)
        ingress = ingress_of(module, limits=Limits(max_requests=2))
        held = [asyncio.create_task(request(ingress, "GET", "/wait")) for _ in range(2)]
        await wait_until(lambda: ingress.statistics()["requests"] == 2)
        shed = await request(ingress, "GET", "/wait")
        assert (shed.status, shed.headers["retry-after"]) == (503, "1")
        assert (await request(ingress, "GET", "/livez")).status == 200
        go.set()
        assert [answer.status for answer in await asyncio.gather(*held)] == [200, 200]
        assert ingress.statistics() == {"requests": 0, "streams": 0}

    asyncio.run(main())


def test_a_client_that_leaves_ends_its_request() -> None:
    """Nobody waits for the result. It is counted as 499, as nginx has it."""
    module = WebModule("slow")
    recorder = Recorder()

    async def main() -> None:
        waiting(module)

        async def receive() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError("nobody is there")

        await asyncio.wait_for(ingress_of(module, recorder=recorder)(scope_of("GET", "/wait"), receive, send), 5)

    asyncio.run(main())
    assert [series.labels["status"] for series in recorder.all_series() if "status" in series.labels] == ["499"]


def test_a_server_that_does_not_wait_is_not_asked_for_ever() -> None:
    """Looking for a client that left must not keep the loop from everything else."""
    module = WebModule("slow")
    waiting(module, deadline="0.15")

    async def main() -> int:
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        await asyncio.wait_for(ingress_of(module)(scope_of("GET", "/wait"), receive, send), 5)
        return statuses[0]

    assert asyncio.run(main()) == 504


def test_a_client_that_does_not_read_is_given_up() -> None:
    """Its answer would wait in memory for ever."""
    module = make()

    async def main() -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        ingress = ingress_of(module, limits=Limits(write_s=0.02))
        await asyncio.wait_for(ingress(scope_of("GET", "/ticks?count=5"), receive, send), 5)
        assert ingress.statistics() == {"requests": 0, "streams": 0}

    asyncio.run(main())


def test_what_is_late_is_decided_without_a_clock() -> None:
    route = Route(Recorder(), "GET", "/x", name="", budget_s=1.0)
    work = Work(route, {}, lambda: None, None)  # type: ignore[arg-type,return-value]
    now = work.started
    assert decide_late([work], now + 0.9) == []
    assert decide_late([work], now + 1.0) == [work]
    assert decide_unwatched([work], now) == []
    assert decide_unwatched([work], now + 0.06) == [work]
    work.enter(Phase.WRITING, math.inf)
    assert decide_late([work], now + 9) == []
    work.may_watch = False
    assert decide_unwatched([work], now + 0.06) == []


@pytest.mark.parametrize(
    ("header", "baggage"),
    [
        (b"a=1,b=2;prop=x", {"a": "1", "b": "2"}),
        (b" a = 1 ,,nonsense,=x", {"a": "1"}),
        (b"", None),
        (b"a=" + b"x" * 5000, None),
    ],
)
def test_a_strangers_baggage_is_read_with_care(header: bytes, baggage: dict[str, str] | None) -> None:
    assert parse_baggage(header) == baggage
