"""A Module with what HTTP needs, requests in memory, and a real server on a real socket."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ramet.edge.ingress import Ingress
from ramet.module import Module
from ramet.observe.record import Recorder

WebModule = Module


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    messages: list[Any] = field(default_factory=list)
    is_complete: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def scope_of(method: str, target: str, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    from urllib.parse import unquote

    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        **more,
    }


async def request(
    app: Any,
    method: str,
    target: str,
    *,
    body: bytes = b"",
    value: Any = None,
    headers: dict[str, str] | None = None,
    chunks: list[bytes] | None = None,
    **more: Any,
) -> Answer:
    """In memory. value: sent as JSON. chunks: a body in parts, without an announced length."""
    headers = dict(headers or {})
    if value is not None:
        body = json.dumps(value).encode()
        headers.setdefault("content-type", "application/json")
    if chunks is None:
        chunks = [body]
        if body:
            headers.setdefault("content-length", str(len(body)))
    answer = Answer()
    left = list(chunks)
    complete = asyncio.Event()

    async def receive() -> Any:
        if left:
            part = left.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(left)}
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answer.messages.append(message)
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            if not message.get("more_body", False):
                answer.is_complete = True
                complete.set()

    await app(scope_of(method, target, headers, **more), receive, send)
    return answer


async def wait_until(is_so: Callable[[], bool]) -> None:
    """Lets the loop turn until it is so."""
    while not is_so():
        await asyncio.sleep(0)


def ask(modules: Any, method: str, target: str, **options: Any) -> Answer:
    """One request to an application of these modules, on a loop of its own."""
    return asyncio.run(request(modules if callable(modules) else ingress_of(modules), method, target, **options))


def ingress_of(*modules: Any, **options: Any) -> Ingress:
    return Ingress(modules, options.pop("recorder", None) or Recorder(), **options)
