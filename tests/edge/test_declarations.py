"""What is refused at import, and what is understood."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.websockets import WebSocket

from ramet.errors import DeclarationError
from ramet.model import shapes
from ramet.model.http import Source
from ramet.model.parameters import Body, Cookie, Form, Header, Query
from tests.edge.support import WebModule, ask, ingress_of


class Thing(msgspec.Struct):
    name: str


async def body_on_get(thing: Thing) -> None: ...
async def list_in_header(names: Annotated[list[str], Header()]) -> None: ...
async def marker_in_union(name: Annotated[str, Header()] | None = None) -> None: ...
async def two_markers(name: Annotated[str, Header(), Cookie()]) -> None: ...
async def missing_in_signature() -> None: ...
async def dict_in_path(slug: dict[str, int]) -> None: ...
async def body_and_form(thing: Thing, note: Annotated[str, Form()]) -> None: ...
async def socket_on_get(socket: WebSocket) -> None: ...
async def deep_query(things: Annotated[list[Thing], Query()]) -> None: ...
async def untyped(request: Request, x) -> None: ...  # type: ignore[no-untyped-def]
async def fine(slug: str = "") -> None: ...


@pytest.mark.parametrize(
    ("function", "method", "path", "told"),
    [
        (body_on_get, "get", "/x", "would be a body, which GET has not"),
        (list_in_header, "get", "/x", "a header holds one value"),
        (marker_in_union, "get", "/x", "stands inside of a union"),
        (two_markers, "get", "/x", "has 2 sources"),
        (missing_in_signature, "get", "/x/{slug}", "the path names {slug}, which is not a parameter"),
        (dict_in_path, "get", "/x/{slug}", "a path holds one value"),
        (body_and_form, "post", "/x", "cannot both be the body"),
        (socket_on_get, "get", "/x", "taken by @module.websocket"),
        (deep_query, "get", "/x", "which a query cannot hold"),
        (untyped, "get", "/x", "has no type"),
        (fine, "get", "x", "is not a path"),
        (fine, "get", "/a{slug}", "is not a path"),
        (fine, "get", "/{slug}/{slug}", "names a parameter twice"),
    ],
)
def test_what_cannot_be_bound_fails_at_import_with_a_hint(
    function: Callable[..., Any], method: str, path: str, told: str
) -> None:
    """Where the author sees it, and with what to write instead."""
    with pytest.raises(DeclarationError) as raised:
        getattr(WebModule("things"), method)(path)(function)
    assert told in raised.value.message
    assert raised.value.where
    assert raised.value.where.partition(":")[0].endswith("test_declarations.py")


def test_a_status_that_is_no_success_is_refused() -> None:
    with pytest.raises(DeclarationError, match="is not a success"):
        WebModule("things").get("/x", status=404)(fine)


def test_two_endpoints_cannot_share_a_path() -> None:
    """The second would never be reached."""
    one, two = WebModule("one"), WebModule("two")
    one.get("/x")(fine)
    two.get("/x")(fine)
    with pytest.raises(DeclarationError, match="declared twice"):
        ingress_of(one, two)


def test_the_markers_are_foreign_metadata_to_msgspec() -> None:
    """They ride on types that also cross the wire."""
    for marker in (Header("x"), Cookie(), Query(), Body(), Form()):
        assert shapes.describe(Annotated[str, marker]) == {"kind": "str"}
        assert shapes.describe(Annotated[int, marker, msgspec.Meta(ge=1)])["limits"] == {"ge": 1}
        assert msgspec.convert("5", Annotated[int | None, marker], strict=False) == 5


def test_sources_follow_from_path_type_and_marker() -> None:
    """No marker is needed where the path and the type say enough."""
    module = WebModule("things")

    @module.post("/{slug}/x")
    async def every(
        slug: str,
        thing: Thing,
        page: int = 1,
        tags: list[str] | None = None,
        user_agent: Annotated[str, Header()] = "",
        theme: Annotated[str, Cookie("t")] = "",
    ) -> None: ...

    found = {binding.name: (binding.source, binding.wire_name) for binding in module.endpoints[0].bindings}
    assert found == {
        "slug": (Source.PATH, "slug"),
        "thing": (Source.BODY, "thing"),
        "page": (Source.QUERY, "page"),
        "tags": (Source.QUERY, "tags"),
        "user_agent": (Source.HEADER, "user-agent"),
        "theme": (Source.COOKIE, "t"),
    }


def test_a_function_with_a_request_is_no_call() -> None:
    """A Request cannot cross the wire; the endpoint runs where its module runs."""
    module = WebModule("things")

    @module.get("/x")
    async def seen(request: Request) -> str:
        return request.method

    assert not module.calls
    assert ask(module, "GET", "/x").json == "GET"


def test_a_plain_def_is_served_from_a_thread() -> None:
    module = WebModule("things")

    @module.get("/x")
    def plain(n: int) -> int:
        return n + 1

    assert ask(module, "GET", "/x?n=2").json == 3
