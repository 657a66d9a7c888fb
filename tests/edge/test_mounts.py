"""Whole applications below a prefix: what people have already, from day one."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request, UploadFile, WebSocket
from flask import Flask
from flask import request as flask_request
from starlette.testclient import TestClient

from ramet.edge.lifespan import Lifespan
from ramet.edge.limits import Limits
from ramet.errors import UsageError
from ramet.observe.record import Recorder
from tests.edge.shop import make
from tests.edge.support import WebModule, ask, ingress_of, request


def fastapi_app(seen: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        seen.append("started")
        yield {"pool": "the pool"}
        seen.append("stopped")

    app = FastAPI(lifespan=lifespan)

    @app.get("/where")
    async def where(request: Request) -> dict[str, Any]:
        return {
            "url": str(request.url_for("where")),
            "pool": request.state.pool,
            "trace": request.headers["traceparent"],
            "client": request.client.host if request.client else "",
        }

    @app.post("/size")
    async def size(file: UploadFile) -> int:
        return len(await file.read())

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.Event().wait()

    @app.get("/bug")
    async def bug() -> None:
        raise ValueError("secret")

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.url.path)
        await socket.close()

    return app


def flask_app() -> Flask:
    app = Flask(__name__)

    @app.route("/where/<name>", methods=["GET", "POST"])
    def where(name: str) -> dict[str, Any]:
        return {
            "script": flask_request.script_root,
            "path": flask_request.path,
            "name": name,
            "args": flask_request.args,
            "body": flask_request.get_data(as_text=True),
            "kind": flask_request.headers.get("X-Kind"),
        }

    @app.get("/bug")
    def bug() -> str:
        raise ValueError("secret")

    return app


def mounted(app: Any, prefix: str = "/old", **options: Any) -> WebModule:
    module = make()
    module.mount(app, prefix, **options)
    return module


def test_fastapi_runs_below_a_prefix_with_its_lifespan() -> None:
    """Its own URLs have the prefix, its state is there, and it is stopped as it was started."""
    seen: list[str] = []
    with TestClient(ingress_of(mounted(fastapi_app(seen))), base_url="http://shop.example") as client:
        assert seen == ["started"]
        found = client.get("/old/where", headers={"x-forwarded-for": "203.0.113.7"})
        assert found.json()["url"] == "http://shop.example/old/where"
        assert found.json()["pool"] == "the pool"
        assert client.get("/old/openapi.json").json()["servers"] == [{"url": "/old"}]
        with client.websocket_connect("/old/ws") as socket:
            assert socket.receive_text() == "/old/ws"
    assert seen == ["started", "stopped"]


def test_the_prefix_of_all_paths_comes_before_the_mounts_own() -> None:
    """As the endpoints have it, and as the proxy in front routes it."""
    ingress = ingress_of(mounted(flask_app()), prefix="/api")
    assert ask(ingress, "GET", "/api/old/where/me").json["script"] == "/api/old"
    assert ask(ingress, "GET", "/old/where/me").status == 404


def test_our_trace_reaches_into_the_application() -> None:
    """So that its own telemetry joins ours."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with TestClient(ingress_of(mounted(fastapi_app([])))) as client:
        inner = client.get("/old/where", headers={"traceparent": trace}).json()["trace"]
    assert inner.split("-")[1] == trace.split("-")[1]
    assert inner != trace


def test_endpoints_come_before_a_mount_at_the_root() -> None:
    """What has moved to Ramet is served by it, path by path and method by method; the rest stays where it was."""
    app = FastAPI()

    @app.get("/items/{slug}")
    async def old(slug: str) -> str:
        return "old"

    @app.patch("/items/{slug}")
    async def old_patch(slug: str) -> str:
        return "old patch"

    ingress = ingress_of(mounted(app, ""))
    assert ask(ingress, "GET", "/items/a").json["slug"] == "a"
    assert ask(ingress, "PATCH", "/items/a").json == "old patch"
    assert ask(ingress, "GET", "/livez").body == b"ok\n"


def test_limits_deadline_and_record_are_ours() -> None:
    recorder = Recorder()
    limits = Limits(deadline_s=0.02, max_body_bytes=1000)
    ingress = ingress_of(mounted(fastapi_app([])), recorder=recorder, limits=limits)
    assert ask(ingress, "GET", "/old/slow").status == 504
    assert ask(ingress, "POST", "/old/size", body=b"x" * 1001).status == 413
    labels = [series.labels for series in recorder.all_series() if "route" in series.labels]
    assert labels == [
        {"method": "GET", "route": "/old/*", "status": "504"},
        {"method": "POST", "route": "/old/*", "status": "413"},
    ]


def test_a_mount_may_have_limits_of_its_own() -> None:
    module = mounted(fastapi_app([]), deadline="20ms", max_body_bytes=5_000_000)
    body = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * 2_000_000 + b"\r\n--b--\r\n"

    async def main() -> None:
        ingress = ingress_of(module)
        answer = await request(
            ingress, "POST", "/old/size", body=body, headers={"content-type": "multipart/form-data; boundary=b"}
        )
        assert answer.json == 2_000_000
        assert (await request(ingress, "GET", "/old/slow")).status == 504

    asyncio.run(main())


def test_a_bug_in_the_application_is_its_own_500_and_our_log(caplog: pytest.LogCaptureFixture) -> None:
    answer = ask(mounted(fastapi_app([])), "GET", "/old/bug")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert [record.getMessage() for record in caplog.records] == ["request.failed"]


def test_an_application_that_cannot_start_is_told_by_its_prefix() -> None:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        raise ValueError("no database")
        yield

    async def main() -> None:
        with pytest.raises(UsageError, match="mounted at /old did not start"):
            await ingress_of(mounted(FastAPI(lifespan=lifespan))).start()

    asyncio.run(main())


def test_an_application_without_lifespan_is_left_alone() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"

    async def main() -> None:
        lifespan = Lifespan(app, "/old")
        await lifespan.start()
        await lifespan.stop()

    asyncio.run(main())


# WSGI


def test_flask_is_seen_to_be_wsgi_and_runs_below_a_prefix() -> None:
    answer = ask(
        mounted(flask_app()), "POST", "/old/where/b%C3%A9?x=1", body=b"data", headers={"X-Kind": "k", "X_Kind": "forged"}
    )
    assert answer.json == {"script": "/old", "path": "/where/bé", "name": "bé", "args": {"x": "1"}, "body": "data", "kind": "k"}


def test_the_date_is_the_servers_and_not_the_applications() -> None:
    """Flask dates each file; the server dates every response, and a proxy joins the two to one that nobody can parse."""
    app = Flask(__name__)

    @app.get("/dated")
    def dated() -> tuple[str, dict[str, str]]:
        return "now", {"Date": "Tue, 24 Nov 2026 15:51:03 GMT", "X-Kept": "yes"}

    answer = ask(mounted(app), "GET", "/old/dated")
    assert answer.headers["x-kept"] == "yes"
    assert "date" not in answer.headers


def test_django_runs_below_a_prefix() -> None:
    from django.conf import settings
    from django.http import HttpRequest, JsonResponse
    from django.urls import path

    def where(request: HttpRequest, name: str) -> JsonResponse:
        return JsonResponse({"path": request.path, "name": name, "script": request.META["SCRIPT_NAME"]})

    class Urls:
        urlpatterns = [path("where/<str:name>", where)]

    if not settings.configured:
        settings.configure(ROOT_URLCONF=Urls, ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEBUG=False)
        import django

        django.setup()
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    for app in (get_wsgi_application(), get_asgi_application()):
        answer = ask(mounted(app), "GET", "/old/where/me", headers={"host": "shop"})
        assert (answer.status, answer.json["path"], answer.json["name"]) == (200, "/old/where/me", "me")


def test_a_wsgi_bug_is_a_500() -> None:
    assert ask(mounted(flask_app()), "GET", "/old/bug").status == 500

    def broken(environ: Any, start_response: Any) -> Any:
        raise ValueError("secret")

    answer = ask(mounted(broken, wsgi=True), "GET", "/old/x")
    assert answer.status == 500
    assert b"secret" not in answer.body


def test_a_wsgi_thread_stops_when_its_client_is_gone() -> None:
    """It would wait for ever for room that nobody makes; a pool of such threads serves nobody."""
    closed = threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 1000

        def close(self) -> None:
            closed.set()

    def app(environ: Any, start_response: Any) -> Endless:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Endless()

    async def main() -> None:
        stuck = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await stuck.wait()

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        from tests.edge.support import scope_of

        ingress = ingress_of(mounted(app, wsgi=True), limits=Limits(write_s=0.02))
        await asyncio.wait_for(ingress(scope_of("GET", "/old/x"), receive, send), 5)
        assert await asyncio.to_thread(closed.wait, 5)

    asyncio.run(main())
