"""Endpoints that take Starlette's own types."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from ramet.edge.limits import Limits
from tests.edge.shop import make
from tests.edge.support import WebModule, ask, ingress_of

BOUNDARY = {"content-type": "multipart/form-data; boundary=b"}


def part(name: str, content: bytes, *, file: str = "") -> bytes:
    filename = f'; filename="{file}"' if file else ""
    return f'--b\r\ncontent-disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + content + b"\r\n"


def test_a_request_is_starlettes_own() -> None:
    answer = ask(make(), "POST", "/echo?times=2", body=b"ab")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"abab", "text/plain; charset=utf-8")
    assert "traceparent" in answer.headers


def test_a_request_cannot_read_past_the_limit() -> None:
    ingress = ingress_of(make(), limits=Limits(max_body_bytes=10))
    assert ask(ingress, "POST", "/echo", chunks=[b"x" * 8, b"x" * 8]).status == 413


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("127.0.0.1", {"x-forwarded-for": "9.9.9.9, 203.0.113.7"}, "203.0.113.7"),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.7, 127.0.0.2"}, "203.0.113.7"),
        ("203.0.113.9", {"x-forwarded-for": "9.9.9.9"}, "203.0.113.9"),
        ("127.0.0.1", {}, "127.0.0.1"),
        ("127.0.0.1", {"x-forwarded-for": ""}, "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_hop_that_can_be_believed(peer: str, headers: dict[str, str], client: str) -> None:
    """Anyone can write X-Forwarded-For; only what a trusted proxy added to it counts."""
    answer = ask(make(), "POST", "/echo", headers=headers, client=(peer, 5))
    assert answer.headers["x-client"] == client


def test_forms_and_files_are_bound_by_name() -> None:
    body = part("file", b"12345", file="a.txt") + part("note", b"hello") + b"--b--\r\n"
    assert ask(make(), "POST", "/upload", body=body, headers=BOUNDARY).json == {"name": "a.txt", "bytes": 5, "note": "hello"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (part("note", b"x") + b"--b--\r\n", BOUNDARY, 422),
        (part("file", b"no file") + b"--b--\r\n", BOUNDARY, 422),
        (b"garbage", BOUNDARY, 400),
        (b"", {"content-type": "multipart/form-data"}, 400),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"file=x", {"content-type": "application/x-www-form-urlencoded"}, 422),
    ],
)
def test_a_form_that_does_not_fit_says_why(body: bytes, headers: dict[str, str], status: int) -> None:
    answer = ask(make(), "POST", "/upload", body=body, headers=headers)
    assert answer.status == status
    assert answer.json["detail"]


# WebSockets


def chat_client(**options: Any) -> TestClient:
    return TestClient(ingress_of(make(), **options))


def test_a_websocket_is_served_with_its_parameters() -> None:
    with chat_client() as client, client.websocket_connect("/chat/lobby?limit=1") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "lobby: hello"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1000


def test_a_websocket_whose_parameters_do_not_fit_is_refused_before_it_opens() -> None:
    with chat_client() as client, pytest.raises(WebSocketDisconnect), client.websocket_connect("/chat/lobby?limit=x"):
        pass


def test_a_websocket_to_nowhere_is_refused() -> None:
    with chat_client() as client, pytest.raises(WebSocketDisconnect), client.websocket_connect("/nowhere"):
        pass


def test_a_bug_in_a_websocket_closes_it_as_one() -> None:
    module = WebModule("web")

    @module.websocket("/x")
    async def broken(socket: WebSocket) -> None:
        await socket.accept()
        raise ValueError("secret")

    with TestClient(ingress_of(module)) as client, client.websocket_connect("/x") as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1011
        assert "secret" not in closed.value.reason


def test_a_client_that_leaves_its_websocket_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with chat_client() as client, client.websocket_connect("/chat/lobby"):
        pass
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
