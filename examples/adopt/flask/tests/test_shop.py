from pathlib import Path

import pytest
from flask.testing import FlaskClient
from shop import create_app


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app(str(tmp_path / "shop.db")).test_client()


def test_an_order_is_shown_after_it_was_made(client: FlaskClient) -> None:
    made = client.post("/orders", data={"item": "Kettle", "grams": "1200"}, follow_redirects=True)
    assert "<h1>Kettle</h1>" in made.text
    assert "590 cents" in made.text
    assert made.headers["X-Frame-Options"] == "DENY"


def test_an_order_that_is_not_there_is_a_404(client: FlaskClient) -> None:
    assert client.get("/orders/999").status_code == 404
