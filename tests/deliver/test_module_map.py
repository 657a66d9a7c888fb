"""The module map: what of a module's declaration a reader finds in it, as text and as a picture."""

import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.websockets import WebSocket

from ramet import Failure, Module
from ramet.deliver import map_picture, module_map
from ramet.deliver.faces import ModuleFace, TypeFace, faces_of
from ramet.model.topology import Service, Topology

SVG = "{http://www.w3.org/2000/svg}"
TOPOLOGY = Topology("grown", {"web": Service("web", ("articles", "feed")), "people": Service("people", ("accounts",))})


class Comment(msgspec.Struct, frozen=True):
    text: str
    answers: "list[Comment]" = []


class Article(msgspec.Struct, frozen=True):
    slug: Annotated[str, msgspec.Meta(max_length=9, pattern="[a|b`]")]
    comments: list[Comment]
    editor: str | None = None


class NoSuchArticle(Failure, status=404):
    """There is no such article."""

    slug: str


class Locked(Failure, status=423):
    by: str
    until: str = ""


def modules() -> dict[str, Module]:
    accounts = Module("accounts")
    accounts.database(key="author_id")

    @accounts.expose(once=True, deadline="250ms")
    async def ban(author_id: int, reason: str = "spam | worse") -> None:
        """Close an account.

        For ever.
        """

    articles = Module("articles", uses=["accounts"])
    articles.database()

    @articles.get("/articles/{slug}", raises=[NoSuchArticle], hedge_after="50ms")
    async def get_article(slug: str) -> Article:
        """One article."""
        raise NoSuchArticle(slug)

    @articles.put("/articles/{slug}", status=201, raises=[NoSuchArticle, Locked])
    async def put_article(slug: str, article: Article, tags: frozenset[str] = frozenset({"new", "hot"})) -> Article:
        return article

    @articles.post("/upload")
    async def upload(request: Request) -> int:
        """Takes what comes."""
        return 0

    feed = Module("feed", uses=["articles", "accounts"])

    @feed.expose
    async def watch(upto: int) -> AsyncIterator[Article]:
        for _ in range(upto):
            yield Article("a", [])

    @feed.websocket("/live", raises=[Locked])
    async def live(socket: WebSocket) -> None: ...

    feed.mount(lambda scope, receive, send: None, "/legacy", wsgi=False)
    return {module.name: module for module in (accounts, articles, feed)}


def faces(topology: Topology | None = None) -> list[ModuleFace]:
    return faces_of(
        modules(),
        purposes={"articles": "Articles: written\nand read.\n\nNot here: lists."},
        migrations={"articles": ["0001 (articles)", "0002 (tags)"]},
        topology=topology,
        prefix="/api",
    )


def row(text: str, beginning: str) -> list[str]:
    """The cells of the table's row that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {beginning}"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


# The Markdown


@pytest.mark.parametrize(
    ("beginning", "cells"),
    [
        # A call: signature with its types by name, what it promises, what it says of itself.
        ("`ban(", [r'`ban(author_id: int, reason: str = \'spam \| worse\') -> None`', "once, deadline 250ms", "", "Close an account."]),
        ("`get_article(", ["`get_article(slug: str) -> Article`", "idempotent, deadline 5s, hedged after 50ms", "`NoSuchArticle`", "One article."]),
        # A default whose text would be another one each time.
        ("`put_article(", ["`put_article(slug: str, article: Article, tags: list[str] = ...) -> Article`", "deadline 5s", "`NoSuchArticle`, `Locked`", ""]),
        ("`watch(", ["`watch(upto: int) -> AsyncIterator[Article]`", "deadline 5s", "", ""]),
        # An endpoint, with the application's prefix.
        ("`GET /api", ["`GET /api/articles/{slug}`", "`get_article`", "200", "`NoSuchArticle`", "One article"]),
        ("`PUT /api", ["`PUT /api/articles/{slug}`", "`put_article`", "201", "`NoSuchArticle`, `Locked`", ""]),
        # One that is no call.
        ("`POST /api", ["`POST /api/upload`", "`upload`", "200", "", "Takes what comes"]),
        ("`WEBSOCKET", ["`WEBSOCKET /api/live`", "`live`", "", "`Locked`", ""]),
        ("`NoSuchArticle`", ["`NoSuchArticle`", "404", "`slug: str`", "There is no such article"]),
        ("`Locked`", ["`Locked`", "423", "`by: str`, `until?: str`", "Locked"]),
        # Types, with limits, optional fields and what refers to itself.
        ("`Article`", ["`Article`", r"`` slug: str(max_length=9, pattern=[a\|b`]) ``, `comments: list[Comment]`, `editor?: str \| None`"]),
        ("`Comment`", ["`Comment`", "`text: str`, `answers?: list[Comment]`"]),
    ],
)  # fmt: skip
def test_what_a_module_offers_is_a_row(beginning: str, cells: list[str]) -> None:
    """With everything that a caller has to know, and nothing that breaks the table."""
    found = row(module_map.markdown(faces(), app="shop", topology=None), beginning)
    assert found == [cell.replace("\\'", "'") for cell in cells]


def test_each_module_says_what_it_is_for_what_it_owns_and_who_needs_whom() -> None:
    """The first paragraph of its docstring; its schema, key and migrations; both ends of `uses`."""
    text = module_map.markdown(faces(), app="shop", topology=None)
    assert row(text, "[articles]") == [
        "[articles](#articles)",
        "Articles: written and read.",
        "[accounts](#accounts)",
        "[feed](#feed)",
    ]
    assert "Uses: none. Used by: [articles](#articles), [feed](#feed)." in text
    assert "Data: schema `articles`. Migrations: 0001 (articles), 0002 (tags)." in text
    assert "Data: schema `accounts`, divided by `author_id`. No migrations." in text
    assert "Data: none." in text
    assert "Mounted applications: `/api/legacy`." in text
    assert "Not here" not in text
    assert "`ramet docs`" in text


def test_with_a_topology_each_module_says_where_it_runs() -> None:
    """And the page says with which command it was made."""
    text = module_map.markdown(faces(TOPOLOGY), app="shop", topology="grown")
    assert row(text, "[accounts]")[2] == "`people`"
    assert "Service: `web`. Uses: [accounts](#accounts)." in text
    assert "`ramet docs --topology grown`" in text


def test_links_lead_to_a_heading_of_the_page() -> None:
    """By the rule of those who show Markdown."""
    text = module_map.markdown(faces(TOPOLOGY), app="shop", topology="grown")
    headings = re.findall(r"^## (\w+)$", text, re.M)
    assert set(re.findall(r"\]\(#(\w+)\)", text)) == set(headings) == {"accounts", "articles", "feed"}


# The picture


def texts(picture: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(picture).iter(f"{SVG}text")]


def test_the_picture_shows_each_face() -> None:
    """Calls, endpoints, failures and data of each module; uses are its arrows."""
    picture = map_picture.svg(faces(), app="shop", topology=None)
    shown = texts(picture)
    for expected in (
        "articles",
        "get_article, put_article",
        "GET /api/articles/{slug}",
        "schema accounts, by author_id",
        "mounted /api/legacy",
    ):
        assert expected in shown
    assert any("404\N{NO-BREAK SPACE}NoSuchArticle" in text for text in shown)
    arrows = {each.text for each in ET.fromstring(picture).iter(f"{SVG}title")}
    assert {"articles uses accounts", "feed uses accounts", "feed uses articles"} <= arrows
    assert not any(text.startswith("service ") for text in shown)


def test_with_a_topology_the_picture_has_a_frame_for_each_service() -> None:
    """With its name."""
    picture = map_picture.svg(faces(TOPOLOGY), app="shop", topology="grown")
    assert {"service web", "service people"} <= set(texts(picture))
    assert picture.count('class="frame"') == 2


def test_the_picture_needs_nothing_else_and_is_dark_on_light() -> None:
    """It is read in a file browser, in a wiki and in print: no script, no font, no address, a ground of its own."""
    picture = map_picture.svg(faces(), app="shop", topology=None)
    assert "<script" not in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert 'fill="#ffffff"/>' in picture.partition('<path class="arrow"')[0]


def face(name: str, **fields: Any) -> ModuleFace:
    empty: dict[str, Any] = dict.fromkeys(("uses", "used_by", "calls", "endpoints", "mounts", "failures", "types"), ())
    return ModuleFace(**{"name": name, "says": "", "service": None, "data": None, **empty, **fields})


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=80), st.text(max_size=80))
def test_any_text_makes_a_picture_that_can_be_read(prefix: str, says: str) -> None:
    """Paths and docstrings are the user's own; lines that do not fit are shortened."""
    says = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "", says)  # what XML cannot hold, a source file hardly does
    picture = map_picture.svg(
        [face("a" * 48, mounts=(prefix.replace("\ufffe", "").replace("\uffff", ""),), says=says)], app="shop", topology=None
    )
    assert max(map(len, texts(picture))) <= map_picture.FITS


def test_a_module_with_very_much_says_how_much_is_not_shown() -> None:
    """The Markdown has all of it."""
    shown = texts(map_picture.svg([face("big", mounts=tuple(f"/m{number}" for number in range(100)))], app="shop", topology=None))
    assert sum(text.startswith("mounted") for text in shown) == map_picture.MOST - 1
    assert f"and {100 - map_picture.MOST + 1} lines more" in shown


def test_a_long_path_is_broken_before_a_slash() -> None:
    """None of it is lost."""
    shown = texts(
        map_picture.svg([face("m", mounts=("/a-long-word/another-long-word/and-the-last-word",))], app="shop", topology=None)
    )
    assert "mounted /a-long-word" in shown
    assert "  /another-long-word" in shown


def test_types_of_one_name_and_different_fields_are_both_shown() -> None:
    """Two modules of Python may each have a `Row`."""
    module = Module("twins")
    one = msgspec.defstruct("Row", [("a", int)])
    other = msgspec.defstruct("Row", [("b", str)])

    async def both(left: Any, right: Any) -> None: ...

    both.__annotations__ = {"left": one, "right": other, "return": None}
    module.expose(both)
    found = faces_of({"twins": module}, purposes={}, migrations={})[0].types
    assert found == (TypeFace("Row", (("a", "int"),)), TypeFace("Row", (("b", "str"),)))
