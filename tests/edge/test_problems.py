"""What a client is told when there is no result."""

import logging
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ramet.edge.problems import Problem
from ramet.model.replies import Reply
from tests.edge.shop import make
from tests.edge.support import WebModule, ask, ingress_of


@pytest.fixture(scope="module")
def shop() -> WebModule:
    return make()


def test_a_declared_failure_has_its_status_and_its_fields(shop: WebModule) -> None:
    answer = ask(shop, "GET", "/items/none")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json == {"type": "urn:problem:NoSuchItem", "title": "There is no such item", "status": 404, "slug": "none"}


def test_a_field_cannot_pass_for_a_standard_member(shop: WebModule) -> None:
    """RFC 9457 has taken `type`; the failure's own gets an underscore."""
    answer = ask(shop, "POST", "/items", value={"item": {"title": "taken"}})
    assert (answer.status, answer.json["type"], answer.json["type_"]) == (409, "urn:problem:Taken", "name")


def test_a_bug_tells_its_trace_and_nothing_else(shop: WebModule, caplog: pytest.LogCaptureFixture) -> None:
    """The stack is in the log, under the trace that the client can quote."""
    answer = ask(shop, "GET", "/items/bug")
    assert answer.status == 500
    assert b"hunter2" not in answer.body
    assert answer.json["trace_id"] == answer.headers["traceparent"].split("-")[1]
    assert any("hunter2" in str(record.exc_info) for record in caplog.records)


@pytest.mark.parametrize(
    ("kind", "status", "headers"),
    [("late", 504, {}), ("full", 503, {"retry-after": "1"}), ("gone", 503, {"retry-after": "1"}), ("barred", 403, {})],
)
def test_what_the_world_does_has_a_status_of_its_own(shop: WebModule, kind: str, status: int, headers: dict[str, str]) -> None:
    answer = ask(shop, "GET", f"/world/{kind}")
    assert answer.status == status
    assert headers.items() <= answer.headers.items()
    if status >= 500:
        assert answer.json["may_have_run"] is (kind == "late")


def test_a_failure_below_that_nobody_answered_for_keeps_its_status() -> None:
    """A call that was late reaches the endpoint's caller as late, however many calls it passed through."""
    from ramet.errors import DeadlineExceeded

    module = WebModule("deep")

    @module.get("/x")
    async def outer() -> int:
        raise DeadlineExceeded("late", may_have_run=True)

    assert ask(module, "GET", "/x").status == 504


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("PUT", "/items", 405, "GET, HEAD, POST, OPTIONS"),
        ("OPTIONS", "/items", 204, "GET, HEAD, POST, OPTIONS"),
        ("BREW", "/items", 405, "GET, HEAD, POST, OPTIONS"),
        ("POST", "/livez", 405, "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(shop: WebModule, method: str, path: str, status: int, allow: str | None) -> None:
    answer = ask(shop, method, path)
    assert (answer.status, answer.headers.get("allow")) == (status, allow)


def test_the_application_may_have_problems_of_another_shape(shop: WebModule) -> None:
    """One function, for all that can go wrong: of a module, of the edge, of the world."""

    def conduit(problem: Problem) -> Reply[Any]:
        told = [f"{each.name} {each.message}" for each in problem.findings] or [problem.detail or problem.title]
        return Reply({"errors": {"body": told}}, status=problem.status, headers=dict(problem.headers))

    for method, path, status in (("GET", "/items/none", 404), ("GET", "/nothing", 404), ("GET", "/items?limit=x", 422)):
        answer = ask(ingress_of(shop, render=conduit), method, path)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        assert list(answer.json) == ["errors"]


def test_an_http_exception_is_what_it_says() -> None:
    """Code that came from Starlette or FastAPI raises it."""
    module = WebModule("web")

    @module.get("/x")
    async def teapot(request: Request) -> str:
        raise HTTPException(418, "short and stout", headers={"x-kind": "pot"})

    answer = ask(module, "GET", "/x")
    assert (answer.status, answer.json["detail"], answer.headers["x-kind"]) == (418, "short and stout", "pot")


def test_a_result_that_is_not_json_is_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    module = WebModule("web")

    @module.get("/x")
    async def broken(request: Request) -> object:
        return object()

    with caplog.at_level(logging.ERROR):
        assert ask(module, "GET", "/x").status == 500
    assert any(record.getMessage() == "request.failed" for record in caplog.records)
