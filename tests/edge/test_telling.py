"""What is told of each request: record, line, trace."""

import asyncio
import logging

import pytest

from ramet.calls.options import context
from ramet.observe import names
from ramet.observe.record import Recorder
from tests.edge.shop import make
from tests.edge.support import WebModule, ask, ingress_of, request

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("method", "path", "labels", "error"),
    [
        ("GET", "/items/a", {"method": "GET", "route": "/items/{slug}", "status": "200"}, ""),
        ("GET", "/items/none", {"method": "GET", "route": "/items/{slug}", "status": "404"}, ""),
        ("GET", "/items/bug", {"method": "GET", "route": "/items/{slug}", "status": "500"}, "RemoteError"),
        ("GET", "/no/such/path", {"method": "GET", "route": "unmatched", "status": "404"}, ""),
        ("BREW", "/no/such/path", {"method": "_OTHER", "route": "unmatched", "status": "404"}, ""),
    ],
)
def test_each_request_is_one_record(method: str, path: str, labels: dict[str, str], error: str) -> None:
    """Under the template of its route: paths and methods are strangers' texts and must not become labels."""
    recorder = Recorder()
    ask(ingress_of(make(), recorder=recorder), method, path)
    records = [record for record in recorder.records() if record.series.metric is names.REQUEST]
    assert [(record.series.labels, record.error) for record in records] == [(labels, error)]


def test_health_leaves_no_record() -> None:
    """It is asked every second by every proxy."""
    recorder = Recorder()
    ask(ingress_of(make(), recorder=recorder), "GET", "/livez")
    assert recorder.records() == []


def test_each_request_is_one_line_with_its_facts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ramet"):
        ask(make(), "GET", "/items/a?x=1")
    lines = [record for record in caplog.records if record.getMessage() == "request"]
    assert len(lines) == 1
    facts = lines[0].__dict__
    assert (facts["method"], facts["route"], facts["path"], facts["status"]) == ("GET", "/items/{slug}", "/items/a", 200)
    assert facts["endpoint"] == "shop.get_item"
    assert facts["duration_ms"] >= 0


def test_the_trace_goes_on_from_the_caller() -> None:
    """In the handler, in the record, and back to the client."""
    module, recorder = WebModule("web"), Recorder()
    seen: list[str] = []

    @module.get("/x")
    async def traced() -> None:
        seen.append(context().trace_id.hex())
        seen.append(str(dict(context().baggage or {})))

    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "tenant=7"}
    answer = ask(ingress_of(module, recorder=recorder), "GET", "/x", headers=headers)
    assert seen == [TRACE, "{'tenant': '7'}"]
    version, trace, span, flags = answer.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    record = next(record for record in recorder.records() if record.series.metric is names.REQUEST)
    assert (record.trace_id.hex(), record.span_id.hex(), record.parent_id.hex()) == (TRACE, span, PARENT)


def test_a_trace_that_is_none_is_replaced() -> None:
    answer = ask(make(), "GET", "/items/a", headers={"traceparent": "00-zz-yy-01"})
    assert len(answer.headers["traceparent"]) == 55


def test_the_context_is_gone_after_the_request() -> None:
    """A server may run the next one in the same task."""

    async def main() -> None:
        await request(ingress_of(make()), "GET", "/items/a")
        assert context().trace_id == b""

    asyncio.run(main())


def test_the_context_lets_local_calls_take_their_fast_path() -> None:
    """Or each would set a timer of its own: the request's budget is never longer than the call's."""
    from ramet.calls.local import bind

    module = WebModule("web")
    seen: list[float] = []

    @module.get("/x", deadline="2s")
    async def fast() -> None:
        seen.append(context().budget_s)

    call = module.calls["fast"]
    bind(call, strict=False)
    call.refill(5)
    ask(module, "GET", "/x")
    assert seen == [2.0]
    assert call.remaining() == 4


def test_metrics_are_served_as_openmetrics() -> None:
    async def main() -> None:
        ingress = ingress_of(make())
        await request(ingress, "GET", "/items/a")
        answer = await request(ingress, "GET", "/metrics")
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert b'route="/items/{slug}",status="200"' in answer.body

    asyncio.run(main())


def test_readiness_gives_its_reason() -> None:
    reason: list[str | None] = [None]
    module = make()
    assert ask(ingress_of(module, ready=lambda: reason[0]), "GET", "/readyz").status == 200
    reason[0] = "draining"
    answer = ask(ingress_of(module, ready=lambda: reason[0]), "GET", "/readyz")
    assert (answer.status, answer.body) == (503, b"draining\n")
