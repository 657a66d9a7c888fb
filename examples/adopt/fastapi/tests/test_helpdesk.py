from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from helpdesk.main import app


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("HELPDESK_DATABASE_URL", f"sqlite:///{tmp_path}/test.sqlite")
    with TestClient(app) as client:
        yield client


def test_a_ticket_is_opened_noted_and_closed(client: TestClient) -> None:
    made = client.post("/tickets", json={"subject": "Printer on fire", "customer": "ann"})
    assert made.status_code == 201
    path = f"/tickets/{made.json()['id']}"
    assert client.post(f"{path}/notes", json={"author": "bob", "text": "water"}).status_code == 201
    assert [note["text"] for note in client.get(f"{path}/notes").json()] == ["water"]
    assert client.delete(f"{path}/notes").status_code == 204
    assert client.post(f"{path}/close").json()["is_open"] is False
    assert client.get("/tickets").headers["x-process-time"]


def test_what_is_not_there_is_404_and_what_does_not_fit_is_422(client: TestClient) -> None:
    assert client.get("/tickets/7").status_code == 404
    assert client.post("/tickets", json={"subject": "x"}).status_code == 422


def test_the_desk_talks(client: TestClient) -> None:
    with client.websocket_connect("/live") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello, said the desk"
