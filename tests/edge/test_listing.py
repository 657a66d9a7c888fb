"""The list of routes: what it says of each, and that its order is the one in which they match."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.websockets import WebSocket

from ramet.edge.listing import OWN_PATHS, Listed, routes
from ramet.edge.routing import Router
from ramet.errors import DeclarationError
from ramet.model.failure import Failure
from ramet.module import Module
from tests.edge.support import ask, ingress_of

KINDS = {"n": ("int", r"-?\d+"), "d": ("date", r"\d{4}-\d\d-\d\d"), "x": ("str", r"[^/]+"), "y": ("str", r"[^/]+")}
PATHS = ["/a", "/a/{x}", "/a/{n}", "/a/{d}", "/a/b", "/a/{x}/c", "/a/{n}/c", "/a/b/c", "/{x}/b", "/{x}/{y}", "/{n}/{x}"]
ASKED = ["/a", "/a/b", "/a/7", "/a/z", "/a/2026-01-02", "/a/b/c", "/a/7/c", "/a/z/c", "/z/b", "/z/z", "/7/7", "/7/b"]


def fits(path: str, asked: str) -> bool:
    return re.fullmatch(re.sub(r"\{(\w)\}", lambda match: KINDS[match[1]][1], path), asked) is not None


@given(st.lists(st.sampled_from(PATHS), min_size=1, unique=True), st.sampled_from(ASKED))
def test_of_two_routes_that_fit_the_first_in_the_list_takes_the_request(paths: list[str], asked: str) -> None:
    """In whatever order they were declared: the list is of use only if it can be read from above."""
    router: Router[str] = Router()
    for path in paths:
        router.add("GET", path, path, shapes={name: {"kind": kind} for name, (kind, _) in KINDS.items()})
    listed = list(router)
    assert sorted(listed) == sorted(paths)
    expected = next((path for path in listed if fits(path, asked)), None)
    found = router.find("GET", asked)
    if expected is not None:
        assert found is not None
        assert found[0] == expected


class Gone(Failure, status=410): ...


def desk() -> Module:
    module = Module("desk")

    @module.get("/tickets/{number}", raises=[Gone])
    async def look(number: int) -> int: ...

    @module.post("/tickets/{number}")
    async def change(number: int) -> int: ...

    @module.get("/tickets/open")
    async def count() -> int: ...

    @module.get("/me")
    async def me(request: Request) -> str: ...

    @module.websocket("/live")
    async def live(socket: WebSocket) -> None: ...

    async def old(scope: object, receive: object, send: object) -> None: ...

    module.mount(old)
    module.mount(old, "/old")
    return module


def test_each_route_says_what_it_leads_to() -> None:
    """Fixed paths before parameters, then WebSockets, our own, and mounts by the longest prefix."""
    listed = routes([desk()], prefix="/api")
    own = [("GET", path, "own", "ramet") for path in OWN_PATHS]
    assert [each[:4] for each in listed] == [
        ("GET", "/api/tickets/open", "call", "desk.count"),
        ("GET", "/api/tickets/{number}", "call", "desk.look"),
        ("POST", "/api/tickets/{number}", "call", "desk.change"),
        ("GET", "/api/me", "handler", "desk.me"),
        ("WEBSOCKET", "/api/live", "websocket", "desk.live"),
        *own,
        ("ANY", "/api/old/*", "mount", "desk: builtins.function"),
        ("ANY", "/api/*", "mount", "desk: builtins.function"),
    ]
    assert listed[1].failures == {"Gone": 410}
    line = desk.__code__.co_firstlineno
    assert {each.where.rpartition(":")[0] for each in listed if each.kind != "own"} == {__file__}
    assert int(listed[-2].where.rpartition(":")[2]) == int(listed[-1].where.rpartition(":")[2]) + 1 > line


def test_what_is_listed_as_our_own_is_answered() -> None:
    """By the instance itself."""
    ingress = ingress_of(Module("empty"))
    assert [ask(ingress, "GET", path).status for path in OWN_PATHS] == [200] * len(OWN_PATHS)


def test_two_modules_that_want_one_path_are_refused() -> None:
    """As an instance does when it starts."""

    def one(name: str) -> Module:
        module = Module(name)

        @module.get("/same")
        async def same() -> None: ...

        return module

    with pytest.raises(DeclarationError, match="GET /same is declared twice"):
        routes([one("a"), one("b")], prefix="")


def test_nothing_but_our_own_is_left_of_an_application_without_endpoints() -> None:
    """And that is no error."""
    assert routes([Module("empty")], prefix="/api") == [Listed("GET", path, "own", "ramet", {}, "") for path in OWN_PATHS]
