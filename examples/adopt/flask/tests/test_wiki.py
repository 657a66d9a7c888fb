from pathlib import Path

import pytest
from flask.testing import FlaskClient
from wiki import create_app


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app({"DATABASE": tmp_path / "test.sqlite", "TESTING": True}).test_client()


def test_a_page_is_written_and_read(client: FlaskClient) -> None:
    saved = client.post("/pages/aspen", data={"text": "One tree.", "author": "ann"}, follow_redirects=True)
    assert "Saved." in saved.text
    assert "One tree." in client.get("/pages/aspen").text
    assert 'href="/pages/aspen"' in client.get("/").text
    assert client.get("/").headers["x-frame-options"] == "DENY"
    assert client.get("/pages/oak").status_code == 404


def test_views_are_counted(client: FlaskClient) -> None:
    assert client.post("/api/views/aspen").json == {"page": "aspen", "views": 1}
    assert client.get("/api/views/aspen").json == {"page": "aspen", "views": 1}
    assert client.delete("/api/views/aspen").json == {"page": "aspen", "views": 0}
