from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from tickets.main import app


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


def test_a_ticket_is_kept_and_told_of(client: TestClient) -> None:
    made = client.post("/tickets", json={"text": "site is down"})
    assert made.status_code == 201
    assert made.json()["priority"] == "urgent"
    assert client.get(f"/tickets/{made.json()['id']}").json() == made.json()
    assert client.get(f"/notices/{made.json()['id']}").json() == 1


def test_a_ticket_that_is_not_there_is_a_404(client: TestClient) -> None:
    assert client.get("/tickets/999").status_code == 404
