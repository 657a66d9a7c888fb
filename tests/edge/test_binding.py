"""From a request to arguments, and what a refusal says."""

from typing import Any

import msgspec
import pydantic
import pytest

from tests.edge.shop import make
from tests.edge.support import WebModule, ask

KEY = "7d5e8f0a-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def shop() -> WebModule:
    return make()


def test_each_source_brings_its_value(shop: WebModule) -> None:
    """Path, query, list, header and cookie, each converted to the parameter's type."""
    answer = ask(
        shop,
        "GET",
        f"/typed/{KEY}?day=2026-11-24&at=2026-11-24T12:00:00Z&flag=true&ratio=1.5&numbers=1&numbers=2",
        headers={"user-agent": "test", "cookie": 'other=1; session="a%20b"'},
    )
    assert answer.status == 200
    assert answer.json == {
        "key": KEY,
        "day": "2026-11-24",
        "at": "2026-11-24T12:00:00Z",
        "flag": True,
        "ratio": 1.5,
        "numbers": [1, 2],
        "agent": "test",
        "session": "a b",
    }


def test_all_that_does_not_fit_is_named_at_once(shop: WebModule) -> None:
    """A client corrects its request once, not once per parameter."""
    answer = ask(shop, "GET", "/typed/nokey?at=noon&flag=maybe&ratio=x&numbers=1&numbers=b")
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(each["in"], each["name"]) for each in answer.json["errors"]] == [
        ("path", "key"),
        ("query", "day"),
        ("query", "at"),
        ("query", "flag"),
        ("query", "ratio"),
        ("query", "numbers[1]"),
    ]
    assert "got 'maybe'" in answer.json["errors"][3]["message"]


def test_a_datetime_without_zone_is_refused(shop: WebModule) -> None:
    """It means another instant on each machine, so it could not cross the wire either."""
    answer = ask(shop, "GET", f"/typed/{KEY}?day=2026-11-24&at=2026-11-24T12:00:00")
    assert answer.status == 422
    assert answer.json["errors"][0]["name"] == "at"


def test_a_struct_of_the_query_is_one_parameter_for_each_field(shop: WebModule) -> None:
    assert ask(shop, "GET", "/items?limit=1&tag=x&tag=y&color=red").json == [
        {"slug": "a", "title": "A", "tags": ["x", "y"], "price": 0.0, "color": "red", "made": None}
    ]
    errors = ask(shop, "GET", "/items?limit=0&offset=-1&color=green").json["errors"]
    assert [each["name"] for each in errors] == ["limit", "offset", "color"]


def test_one_struct_is_the_whole_body(shop: WebModule) -> None:
    """With a wrapping Struct where the format wants `{"item": {...}}`."""
    answer = ask(shop, "POST", "/items", value={"item": {"title": "T", "tags": ["x"], "price": 2}})
    assert (answer.status, answer.json["title"], answer.json["price"]) == (201, "T", 2.0)


@pytest.mark.parametrize(
    ("value", "findings"),
    [
        ({}, {"item": "is missing"}),
        ([], {"": "Expected `object`, got `array`"}),
        ({"item": {"title": "", "tags": [1], "price": -1}}, {"item.title": "", "item.tags[0]": "", "item.price": ""}),
        (
            {"item": {"title": 3, "maker": {"founded": "x"}}},
            {"item.title": "", "item.maker.name": "is missing", "item.maker.founded": ""},
        ),
    ],
)
def test_all_that_is_wrong_with_a_body_is_named_by_its_path(shop: WebModule, value: Any, findings: dict[str, str]) -> None:
    answer = ask(shop, "POST", "/items", value=value)
    assert answer.status == 422
    errors = {each["name"]: each["message"] for each in answer.json["errors"]}
    assert set(errors) == set(findings)
    assert all(message in errors[name] for name, message in findings.items())


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 422),
        (b"{", "application/json", 400),
        (b'{"item": {"title": "\xff"}}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"item": {"title": "a\\u0000b"}}', "application/json", 422),
        (b'{"item": {"title": "a\\\\u0000b"}}', "application/json", 201),
        (b'{"item": {"title": "a"}}', "application/json; charset=utf-8", 201),
        (b'{"item": {"title": "a"}}', "application/vnd.api+json", 201),
        (b'{"item": {"title": "a"}}', "text/plain", 415),
        (b'{"item": {"title": "a"}}', "", 415),
    ],
)
def test_a_body_is_json_that_says_so(shop: WebModule, body: bytes, content_type: str, status: int) -> None:
    """Other kinds are refused because a page of another site can send them unasked. U+0000 is what PostgreSQL cannot store."""
    headers = {"content-type": content_type} if content_type else {}
    assert ask(shop, "POST", "/items", body=body, headers=headers).status == status


def test_a_compressed_body_is_refused(shop: WebModule) -> None:
    """It would be decompressed past the limit, or parsed as noise."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert ask(shop, "POST", "/items", body=b"\x1f\x8b", headers=headers).status == 415


def test_several_body_parameters_share_an_object(shop: WebModule) -> None:
    assert ask(shop, "PUT", "/items/a/tags/3", value={"tag": "x"}).json == "a 3 x -"
    answer = ask(shop, "PUT", "/items/a/tags/x", value={"note": 1})
    assert [(each["in"], each["name"]) for each in answer.json["errors"]] == [
        ("path", "number"),
        ("body", "tag"),
        ("body", "note"),
    ]


def test_bytes_are_the_body_as_it_came(shop: WebModule) -> None:
    assert ask(shop, "POST", "/raw", body=b"\x00\xff", headers={"content-type": "image/png"}).json == 2


@pytest.mark.parametrize("query", ["day=%ff", "%ff=1", "day=a%00b"])
def test_a_query_that_is_no_text_is_malformed(shop: WebModule, query: str) -> None:
    assert ask(shop, "GET", f"/typed/{KEY}?{query}").status == 400


class Model(pydantic.BaseModel):
    name: str
    size: int = pydantic.Field(gt=0)


class Holder(msgspec.Struct):
    model: Model


@pytest.fixture(scope="module")
def pydantic_module() -> WebModule:
    module = WebModule("models")

    @module.post("/model")
    async def model(model: Model) -> Model:
        return model

    @module.post("/holder")
    async def holder(holder: Holder) -> Holder:
        return holder

    return module


def test_pydantic_models_are_plain_json_here(pydantic_module: WebModule) -> None:
    """Alone and inside of Structs, in and out."""
    assert ask(pydantic_module, "POST", "/model", value={"name": "a", "size": 1}).json == {"name": "a", "size": 1}
    assert ask(pydantic_module, "POST", "/holder", value={"model": {"name": "a", "size": 1}}).json == {
        "model": {"name": "a", "size": 1}
    }


def test_pydantic_says_all_that_is_wrong(pydantic_module: WebModule) -> None:
    answer = ask(pydantic_module, "POST", "/model", value={"size": 0})
    assert answer.status == 422
    assert {each["name"] for each in answer.json["errors"]} == {"name", "size"}
    answer = ask(pydantic_module, "POST", "/holder", value={"model": {"size": 0}})
    assert {each["name"] for each in answer.json["errors"]} == {"model.name", "model.size"}
