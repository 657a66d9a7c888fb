"""Results as responses."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ramet.edge.cors import Cors
from ramet.edge.limits import Limits
from ramet.edge.responses import event, set_cookie
from ramet.model.replies import Reply, SetCookie
from tests.edge.shop import make
from tests.edge.support import WebModule, ask, ingress_of, request, scope_of


@pytest.fixture(scope="module")
def shop() -> WebModule:
    return make()


def test_a_result_is_json_with_the_declared_status(shop: WebModule) -> None:
    answer = ask(shop, "POST", "/items", value={"item": {"title": "T"}})
    assert (answer.status, answer.headers["content-type"]) == (201, "application/json")
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "server" not in answer.headers


def test_nothing_is_204_without_a_body(shop: WebModule) -> None:
    answer = ask(shop, "DELETE", "/items/a")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers


def test_none_among_other_results_is_null() -> None:
    """The caller was promised JSON."""
    module = WebModule("web")

    @module.get("/x")
    async def maybe() -> str | None:
        return None

    answer = ask(module, "GET", "/x")
    assert (answer.status, answer.body) == (200, b"null")


def test_head_is_get_without_its_body(shop: WebModule) -> None:
    get, head = ask(shop, "GET", "/items/a"), ask(shop, "HEAD", "/items/a")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_a_reply_brings_status_headers_and_cookies(shop: WebModule) -> None:
    """A Struct, so that the call still crosses the wire."""
    answer = ask(shop, "POST", "/sign-in", body=b"name=ada", headers={"content-type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.json, answer.headers["x-kind"]) == (202, {"name": "ada"}, "new")
    assert answer.headers["set-cookie"] == "session=ada%3B%20x; Path=/; HttpOnly; Secure; SameSite=Lax"


@pytest.mark.parametrize(
    ("body", "kind", "sent"),
    [("<p>", "text/html", b"<p>"), (b"\x89PNG", "image/png", b"\x89PNG"), ([1], "application/x-y", b"[1]")],
)
def test_a_reply_with_a_content_type_is_sent_as_it_is(body: Any, kind: str, sent: bytes) -> None:
    module = WebModule("web")

    @module.get("/x")
    async def page() -> Reply[Any]:
        return Reply(body, headers={"Content-Type": kind})

    answer = ask(module, "GET", "/x")
    assert (answer.headers["content-type"], answer.body) == (kind, sent)


def test_a_cookie_can_be_taken_back() -> None:
    assert "Max-Age=0" in set_cookie(SetCookie(name="session", value="", max_age_s=0))


# Streams


def test_a_stream_is_lines_of_json_or_events_by_what_the_client_takes(shop: WebModule) -> None:
    lines = ask(shop, "GET", "/ticks?count=3")
    assert (lines.headers["content-type"], lines.body) == ("application/x-ndjson", b"0\n1\n2\n")
    events = ask(shop, "GET", "/ticks?count=2", headers={"accept": "text/event-stream"})
    assert (events.headers["content-type"], events.body) == ("text/event-stream", b"data: 0\n\ndata: 1\n\n")


def test_an_event_may_have_a_name_and_an_id(shop: WebModule) -> None:
    """And no line break of its text ends it early."""
    answer = ask(shop, "GET", "/events", headers={"accept": "text/event-stream"})
    assert answer.body == b'data: "one\\ntwo"\nevent: greeting\nid: 7\nretry: 1000\n\n'
    assert event("a\nb").count(b"\n") == 2


def test_a_stream_that_fails_before_its_first_item_has_a_status(shop: WebModule) -> None:
    assert ask(shop, "GET", "/ticks?count=-1").status == 404
    assert ask(shop, "GET", "/ticks?count=x").status == 422


def test_a_stream_that_fails_later_does_not_look_complete(shop: WebModule) -> None:
    """Events say so by name; lines break off, because a line more would look like an item."""
    events = ask(shop, "GET", "/ticks?count=99", headers={"accept": "text/event-stream"})
    last = events.body.decode().rstrip().splitlines()[-2:]
    assert last[0] == "event: error"
    assert json.loads(last[1].removeprefix("data: "))["status"] == 500
    assert not ask(shop, "GET", "/ticks?count=99").is_complete


def test_an_empty_stream_is_a_response(shop: WebModule) -> None:
    answer = ask(shop, "GET", "/ticks?count=0")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"", True)


def test_a_stream_ends_its_generator_when_the_client_leaves() -> None:
    """Or it would go on for nobody."""
    module = WebModule("web")
    ended = asyncio.Event()

    @module.get("/x")
    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def main() -> None:
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                gone.set()

        ingress = ingress_of(module)
        await asyncio.wait_for(ingress(scope_of("GET", "/x"), receive, send), 5)
        assert ended.is_set()
        assert ingress.statistics() == {"requests": 0, "streams": 0}

    asyncio.run(main())


def test_a_silent_stream_of_events_is_kept_alive() -> None:
    """Proxies close what says nothing."""
    module = WebModule("web")
    beaten = asyncio.Event()

    @module.get("/x")
    async def silent() -> AsyncIterator[int]:
        yield 1
        await beaten.wait()

    async def main() -> None:
        seen = b""

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            nonlocal seen
            seen += message.get("body", b"")
            if b": still here" in seen:
                beaten.set()

        scope = scope_of("GET", "/x", {"accept": "text/event-stream"})
        await asyncio.wait_for(ingress_of(module, limits=Limits(heartbeat_s=0.01))(scope, receive, send), 5)
        assert seen.startswith(b"data: 1\n\n: still here\n\n")

    asyncio.run(main())


# Other origins


def test_no_page_of_another_origin_is_let_in_unasked(shop: WebModule) -> None:
    assert not [
        name for name in ask(shop, "GET", "/items/a", headers={"origin": "https://evil"}).headers if "access-control" in name
    ]


def test_cors_lets_in_the_origins_that_it_lists(shop: WebModule) -> None:
    ingress = ingress_of(shop, cors=Cors(origins=("https://shop",), credentials=True))

    async def main() -> None:
        answer = await request(ingress, "GET", "/items/a", headers={"origin": "https://shop"})
        assert answer.headers["access-control-allow-origin"] == "https://shop"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert (
            "access-control-allow-origin"
            not in (await request(ingress, "GET", "/items/a", headers={"origin": "https://evil"})).headers
        )
        asked = {"origin": "https://shop", "access-control-request-method": "PUT"}
        preflight = await request(ingress, "OPTIONS", "/items/a", headers=asked)
        assert (preflight.status, "PUT" in preflight.headers["access-control-allow-methods"]) == (204, True)

    asyncio.run(main())


def test_credentials_for_everyone_are_refused() -> None:
    with pytest.raises(ValueError, match="any page"):
        Cors(origins=("*",), credentials=True)
