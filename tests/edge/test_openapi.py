"""The document and its page."""

import re
from typing import Any

import msgspec
import pydantic
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ramet.edge.docs import DOCS_PAGE
from ramet.edge.problems import Problem
from ramet.model.replies import Reply
from tests.edge.shop import make
from tests.edge.support import WebModule, ask, ingress_of


class Size(pydantic.BaseModel):
    width: int


class Model(pydantic.BaseModel):
    name: str
    size: Size


class ErrorBody(msgspec.Struct):
    errors: dict[str, list[str]]


def conduit(problem: Problem) -> Reply[ErrorBody]:
    return Reply(ErrorBody({"body": [problem.detail]}), status=problem.status)


def with_models() -> WebModule:
    module = make()

    @module.post("/models")
    async def model(model: Model) -> Model:
        return model

    return module


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return ask(ingress_of(with_models(), title="Shop", version="1.2", prefix="/api"), "GET", "/openapi.json").json


@pytest.mark.parametrize("options", [{}, {"render": conduit}])
def test_the_document_is_valid_openapi_3_1(options: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(ingress_of(with_models(), **options).openapi()).validate()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(document).decode()))
    assert names <= set(document["components"]["schemas"])
    assert {"Item", "Model", "Size", "NoSuchItem", "Problem"} <= names


def test_an_endpoint_is_described_from_its_types_and_docstring(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/items"]["get"]
    assert operation["summary"] == "All items, a page at a time"
    assert operation["description"] == "The newest first."
    assert operation["tags"] == ["items"]
    parameters = {each["name"]: each for each in operation["parameters"]}
    assert set(parameters) == {"limit", "offset", "tag", "color"}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}


def test_failures_are_responses_with_their_fields(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/items/{slug}"]["get"]["responses"]
    assert responses["404"]["description"] == "There is no such item"
    assert responses["404"]["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/NoSuchItem"}
    own = document["components"]["schemas"]["NoSuchItem"]["allOf"][1]
    assert own["properties"]["slug"] == {"type": "string"}
    assert own["properties"]["type"] == {"const": "urn:problem:NoSuchItem"}


def test_success_has_its_declared_status(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert "201" in paths["/api/items"]["post"]["responses"]
    assert "content" not in paths["/api/items/{slug}"]["delete"]["responses"]["204"]
    assert set(paths["/api/ticks"]["get"]["responses"]["200"]["content"]) == {"text/event-stream", "application/x-ndjson"}
    assert "multipart/form-data" in paths["/api/upload"]["post"]["requestBody"]["content"]


def test_problems_of_another_shape_are_described_as_it() -> None:
    document = ingress_of(make(), render=conduit).openapi()
    shown = document["paths"]["/items/{slug}"]["get"]["responses"]["404"]["content"]
    assert shown == {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """It works on a train, and tells no one that it is read."""
    answer = ask(make(), "GET", "/docs")
    assert (answer.status, answer.body) == (200, DOCS_PAGE)
    assert not re.findall(rb"(?:https?:)?//[a-z]", DOCS_PAGE)
    assert b"<script src" not in DOCS_PAGE
    assert b"@import" not in DOCS_PAGE


def test_the_document_can_be_left_out() -> None:
    assert ask(ingress_of(make(), docs=False), "GET", "/openapi.json").status == 404
