"""A WSGI application as an ASGI application, in threads (PEP 3333).

Our own, because of what happens when a request is given up: a2wsgi 1.10 then leaves a thread that streams waiting for ever on
its full queue, and lets a slow client hold a thread while its body arrives. Here the body is complete before a thread is taken,
and a thread whose client is gone is told so at its next chunk.
"""

import asyncio
import contextvars
import io
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ramet.edge.bodies import Disconnected
from ramet.edge.problems import Problem, Refused
from ramet.edge.work import Receive, Scope, Send

THREADS = 32
"""Requests that one mounted application serves at a time. Its threads wait for databases more than they compute."""
CHUNKS_AHEAD = 16

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Wsgi:
    def __init__(self, app: WsgiApp, *, threads: int = THREADS) -> None:
        self._app = app
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")

    def close(self) -> None:
        """Threads that still run are not waited for: they cannot be stopped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise Refused(Problem(status=404, detail="a WSGI application takes no WebSockets"))
        environ = environ_of(scope, await _whole_body(receive))
        loop = asyncio.get_running_loop()
        line = _Line(loop)
        context = contextvars.copy_context()
        thread = loop.run_in_executor(self._executor, lambda: context.run(_run, self._app, environ, line))
        thread.add_done_callback(lambda _: line.put_end())
        try:
            while (message := await line.get()) is not None:
                await send(message)
            await thread
        finally:
            line.cut()


class _Line:
    """From the thread to the loop, at most CHUNKS_AHEAD messages ahead."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._room = threading.Semaphore(CHUNKS_AHEAD)
        self._is_cut = False

    def put(self, message: Any) -> None:
        """In the thread; waits for room. Raises Disconnected once the request is given up."""
        self._room.acquire()
        if self._is_cut:
            self._room.release()
            raise Disconnected
        self._loop.call_soon_threadsafe(self._messages.put_nowait, message)

    def put_end(self) -> None:
        self._messages.put_nowait(None)

    async def get(self) -> Any:
        message = await self._messages.get()
        self._room.release()
        return message

    def cut(self) -> None:
        self._is_cut = True
        self._room.release()


def _run(app: WsgiApp, environ: dict[str, Any], line: _Line) -> None:
    """In the thread: one WSGI request from start to close()."""
    answer: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if answer and exc_info is None:
            raise RuntimeError("start_response was called twice")
        if answer and answer[0] is None:
            raise exc_info[1].with_traceback(exc_info[2])
        pairs = [(name.strip().lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]
        answer[:] = [{"type": "http.response.start", "status": int(status.split(" ", 1)[0]), "headers": pairs}]
        return write

    def write(chunk: bytes) -> None:
        if answer and answer[0] is not None:
            line.put(answer[0])
            answer[0] = None
        if chunk:
            line.put({"type": "http.response.body", "body": chunk, "more_body": True})

    chunks = app(environ, start_response)
    try:
        for chunk in chunks:
            if chunk:
                write(chunk)
        if not answer:
            raise RuntimeError("the application returned without start_response")
        write(b"")
        line.put({"type": "http.response.body", "body": b"", "more_body": False})
    except Disconnected:
        pass
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def environ_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """PEP 3333: texts are bytes in the guise of Latin-1."""
    root = scope.get("root_path", "")
    server = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": scope["path"].removeprefix(root).encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope.get("client"):
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = scope["client"][0], str(scope["client"][1])
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        if b"_" in raw_name:
            continue  # `X_User` would pass for `X-User`
        key = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
        environ[key] = f"{environ[key]}{'; ' if name == 'COOKIE' else ','}{value}" if key in environ else value
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


async def _whole_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
