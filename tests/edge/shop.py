"""A small application with every kind of endpoint, which the tests of the edge share."""

import datetime
import enum
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket

from ramet.errors import DeadlineExceeded, NotAllowed, Overloaded, Unavailable
from ramet.model.failure import Failure
from ramet.model.parameters import Body, Cookie, Form, Header, Query
from ramet.model.replies import Reply, ServerEvent, SetCookie
from tests.edge.support import WebModule

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(msgspec.Struct, frozen=True):
    slug: str
    title: Title
    tags: tuple[str, ...] = ()
    price: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    color: Color | None = None
    made: datetime.datetime | None = None


class Maker(msgspec.Struct, frozen=True):
    name: str
    founded: int = 1900


class NewItem(msgspec.Struct, frozen=True):
    title: Title
    tags: list[str] = []
    price: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    maker: Maker | None = None


class Wrapped(msgspec.Struct, frozen=True):
    item: NewItem


class Page(msgspec.Struct, frozen=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    tag: list[str] = []


class Typed(msgspec.Struct, frozen=True):
    key: UUID
    day: datetime.date
    at: datetime.datetime | None
    flag: bool
    ratio: float
    numbers: list[int]
    agent: str
    session: str | None


class NoSuchItem(Failure, status=404):
    """There is no such item."""

    slug: str


class Taken(Failure, status=409):
    slug: str
    type: str = "name"


def make() -> WebModule:  # noqa: C901  (a list of endpoints)
    module = WebModule("shop")

    @module.get("/items", tags=["items"])
    async def list_items(page: Annotated[Page, Query()], color: Color | None = None) -> list[Item]:
        """All items, a page at a time.

        The newest first.
        """
        return [Item("a", "A", tuple(page.tag), color=color)][: page.limit]

    @module.get("/items/{slug}", raises=[NoSuchItem])
    async def get_item(slug: str) -> Item:
        if slug == "none":
            raise NoSuchItem(slug)
        if slug == "bug":
            raise ValueError("the password is hunter2")
        return Item(slug, "An item")

    @module.post("/items", status=201, raises=[Taken])
    async def create_item(body: Wrapped) -> Item:
        if body.item.title == "taken":
            raise Taken("taken")
        return Item("new", body.item.title, tuple(body.item.tags), body.item.price)

    @module.put("/items/{slug}/tags/{number}")
    async def tag_item(slug: str, number: int, tag: Annotated[str, Body()], note: Annotated[str, Body()] = "-") -> str:
        return f"{slug} {number} {tag} {note}"

    @module.delete("/items/{slug}")
    async def delete_item(slug: str) -> None: ...

    @module.get("/typed/{key}")
    async def typed(
        key: UUID,
        *,
        day: datetime.date,
        at: datetime.datetime | None = None,
        flag: bool = False,
        ratio: float = 1.0,
        numbers: list[int] = [],  # noqa: B006  (never changed)
        agent: Annotated[str, Header("user-agent")] = "?",
        session: Annotated[str | None, Cookie()] = None,
    ) -> Typed:
        return Typed(key, day, at, flag, ratio, numbers, agent, session)

    @module.post("/raw")
    async def raw(data: Annotated[bytes, Body()]) -> int:
        return len(data)

    @module.post("/sign-in", status=202)
    async def sign_in(name: Annotated[str, Form()]) -> Reply[dict[str, str]]:
        return Reply({"name": name}, headers={"x-kind": "new"}, cookies=[SetCookie(name="session", value=f"{name}; x")])

    @module.post("/upload", max_body_bytes=4_000_000)
    async def upload(file: UploadFile, note: Annotated[str, Form()] = "") -> dict[str, Any]:
        return {"name": file.filename, "bytes": len(await file.read()), "note": note}

    @module.post("/echo")
    async def echo(request: Request, times: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1) -> Response:
        return PlainTextResponse(
            await request.body() * times, headers={"x-client": request.client.host if request.client else ""}
        )

    @module.get("/ticks", raises=[NoSuchItem])
    async def ticks(count: Annotated[int, msgspec.Meta(ge=-2, le=100)]) -> AsyncIterator[int]:
        if count == -1:
            raise NoSuchItem("tick")
        for number in range(count):
            yield number
        if count == 99:
            raise ValueError("after 99")

    @module.get("/events")
    async def events() -> AsyncIterator[ServerEvent[str]]:
        yield ServerEvent("one\ntwo", event="greeting", id="7", retry_ms=1000)

    @module.get("/world/{kind}")
    async def world(request: Request, kind: str) -> str:
        errors = {
            "late": DeadlineExceeded("late", may_have_run=True),
            "full": Overloaded("full", may_have_run=False),
            "gone": Unavailable("gone", may_have_run=False),
            "barred": NotAllowed("barred", may_have_run=False),
        }
        if kind in errors:
            raise errors[kind]
        return kind

    @module.websocket("/chat/{room}")
    async def chat(socket: WebSocket, room: str, limit: int = 2) -> None:
        await socket.accept()
        for _ in range(limit):
            await socket.send_text(f"{room}: {await socket.receive_text()}")

    return module
