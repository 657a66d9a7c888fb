"""`ramet routes` and `ramet openapi`: what the application answers, without a server."""

import json
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from ramet.cli.main import run
from tests.operate.app import Command


def test_routes_are_listed_in_the_order_in_which_they_match(desk: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """With the place in the code, as it can be clicked on in the application's folder."""
    assert run(["routes"]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows] == [
        ["POST", "/api/tickets", "tickets.submit"],
        ["GET", "/api/tickets/open", "tickets.count"],
        ["GET", "/api/tickets/{number}", "tickets.look"],
        ["GET", "/api/tickets/{title}/similar", "tickets.similar"],
        ["GET", "/api/people/me", "people.me"],
        ["WEBSOCKET", "/api/people/live", "people.live"],
        *(["GET", path, "ramet"] for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs")),
        ["ANY", "/api/legacy/*", "people:"],
    ]
    line = (desk.folder / "helpdesk/tickets/api.py").read_text().splitlines().index('@module.post("/tickets", status=201)') + 1
    assert rows[0][-1] == f"helpdesk/tickets/api.py:{line}"
    assert rows[6][-1] == "-"


def test_routes_of_some_modules_are_theirs_alone(desk: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON for a script, with failures and full paths."""
    assert run(["routes", "people", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(each["kind"], each["target"]) for each in listed] == [
        ("handler", "people.me"),
        ("websocket", "people.live"),
        ("mount", "people: builtins.function"),
    ]
    assert all(each["where"].startswith(str(desk.folder.resolve())) for each in listed)


def test_failures_are_listed_with_their_status(shop: Command) -> None:
    """Of the other application, whose endpoints have some."""
    listed = json.loads(shop.ok("routes", "orders", "--json"))
    assert {each["target"]: each["failures"] for each in listed}["orders.get"] == {"NoOrder": 404}
    assert "NoOrder 404" in shop.ok("routes")


def test_the_document_is_valid_and_on_stdout(desk: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """A generator of clients reads it from a pipe; what modules print at import is not in it."""
    assert run(["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate(document)
    assert document["info"] == {"title": "helpdesk", "version": "0"}
    assert "/api/tickets/{number}" in document["paths"]
    assert not any("legacy" in path or "live" in path for path in document["paths"])


def test_the_document_is_written_to_a_file(desk: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then stdout is empty, and it is the same text."""
    assert run(["openapi"]) == 0
    printed = capsys.readouterr().out
    assert run(["openapi", "-o", str(tmp_path / "openapi.json")]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "openapi.json: 5 paths" in said.err
    assert (tmp_path / "openapi.json").read_text() == printed


def test_a_file_that_cannot_be_written_is_told(desk: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and no traceback."""
    assert run(["openapi", "-o", "nowhere/openapi.json"]) == 2
    assert "error: No such file or directory" in capsys.readouterr().err
