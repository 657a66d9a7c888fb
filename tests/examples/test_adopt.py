"""Applications of other frameworks, as their teams have them, taken over: unchanged, then one endpoint moved, then that one extracted."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from ramet.testing.http import Answer, request
from tests.operate.app import Command

EXAMPLES = Path(__file__).parents[2] / "examples" / "adopt"
pytestmark = pytest.mark.timeout(100)


@dataclass(frozen=True)
class Adopted:
    """own_tests: how its team runs them. tables: what its team runs before a start. use: what its users do, through the front door.

    moved, path: the module that an endpoint has moved to, and the endpoint. make: a body that creates one more of what it lists.
    stays: a request to the same path that has not moved. mount: the route label of all that has not moved. page: one of those paths.
    says: a line that the application itself logs meanwhile.
    """

    name: str
    own_tests: tuple[str, ...]
    use: "Callable[[Visitor], None]"
    moved: str
    path: str
    make: Any
    count: Callable[[Any], int]
    stays: tuple[str, int]
    mount: str
    page: str
    says: str
    tables: tuple[str, ...] = ()


class Visitor:
    """A client of one address that keeps cookies."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.address = (parts.hostname, parts.port)
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = request(self.address, method, path, body, headers={"cookie": cookies, **headers} if cookies else headers)
        self.cookies |= dict(re.findall(r"(?:^|, )(csrftoken|session)=([^;]+)", answer.headers.get("set-cookie", "")))
        return answer

    def get(self, path: str) -> str:
        answer = self.send("GET", path)
        assert answer.status == 200, (path, answer)
        return answer.body.decode()

    def form(self, path: str, **fields: str) -> Answer:
        return self.send("POST", path, urlencode(fields).encode(), **{"content-type": "application/x-www-form-urlencoded"})


def use_helpdesk(visitor: Visitor) -> None:
    made = visitor.send("POST", "/tickets", {"subject": "Printer on fire", "customer": "ann"})
    assert (made.status, made.json["id"]) == (201, 1)
    assert "x-process-time" in made.headers
    assert visitor.send("POST", "/tickets", {"subject": "x"}).status == 422
    assert json.loads(visitor.get("/tickets"))[0]["subject"] == "Printer on fire"
    assert "/tickets/{ticket_id}/close" in json.loads(visitor.get("/api/openapi.json"))["paths"]


def use_library(visitor: Visitor) -> None:
    page = visitor.get("/")
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    assert visitor.form("/books/", title="Pando", author="Grant").status == 403
    added = visitor.form("/books/", title="Pando", author="Grant", csrfmiddlewaretoken=token[1])
    assert (added.status, added.headers["location"], added.headers["x-catalogue"]) == (302, "/", "5")
    assert "Pando, Grant" in visitor.get("/")
    assert "serif" in visitor.get("/static/books/library.css")
    assert visitor.send("GET", "/admin/").headers["location"] == "/admin/login/?next=/admin/"


def use_wiki(visitor: Visitor) -> None:
    saved = visitor.form("/wiki/pages/aspen", text="One tree.", author="ann")
    assert (saved.status, saved.headers["location"]) == (302, "/wiki/pages/aspen")
    page = visitor.get("/wiki/pages/aspen")
    assert "Saved." in page
    assert 'fetch("/wiki/api/views/aspen"' in page
    assert "sans-serif" in visitor.get("/wiki/static/wiki.css")
    assert 'href="/wiki/pages/aspen"' in visitor.get("/wiki/")


PYTEST = ("-m", "pytest", "-pno:asyncio", "-pno:schemathesis")
ADOPTED = [
    Adopted(
        name="fastapi",
        own_tests=PYTEST,
        use=use_helpdesk,
        moved="notes",
        path="/tickets/1/notes",
        make={"author": "bob", "text": "water"},
        count=len,
        stays=("DELETE", 204),
        mount="/*",
        page="/tickets/1",
        says="ticket 1 opened for ann",
    ),
    Adopted(
        name="django",
        own_tests=("manage.py", "test"),
        tables=("manage.py", "migrate", "-v0"),
        use=use_library,
        moved="suggestions",
        path="/api/suggestions/",
        make={"title": "Aspen"},
        count=len,
        stays=("DELETE", 200),
        mount="/*",
        page="/",
        says="book 1 added",
    ),
    Adopted(
        name="flask",
        own_tests=PYTEST,
        use=use_wiki,
        moved="views",
        path="/wiki/api/views/aspen",
        make=None,
        count=lambda views: views["views"],
        stays=("DELETE", 200),
        mount="/wiki/*",
        page="/wiki/pages/aspen",
        says="page aspen saved by ann",
    ),
]
every = pytest.mark.parametrize("app", ADOPTED, ids=lambda app: app.name)


def copy(app: Adopted, folder: Path, *more: str) -> Path:
    """Without what a run leaves, and without `more`."""
    ignored = shutil.ignore_patterns(".ramet", "__pycache__", "*.sqlite", *more)
    return shutil.copytree(EXAMPLES / app.name, folder / app.name, ignore=ignored)


def python(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@every
def test_the_application_knows_nothing_of_ramet_and_runs_alone(app: Adopted, tmp_path: Path) -> None:
    """Three things were added to its folder: ramet.toml, the module that mounts it, the module that an endpoint moved to."""
    own = copy(app, tmp_path, "ramet.toml", "legacy", app.moved)
    files = [path for path in own.rglob("*") if path.is_file()]
    assert len(files) >= 9
    assert [str(path) for path in files if "ramet" in path.read_text().lower()] == []
    python(own, *app.own_tests)


@every
def test_the_module_that_mounts_it_has_ten_lines(app: Adopted) -> None:
    assert len((EXAMPLES / app.name / "legacy/__init__.py").read_text().splitlines()) <= 10


@pytest.fixture
def fleet(app: Adopted, tmp_path: Path) -> Iterator[Command]:
    command = Command(copy(app, tmp_path))
    if app.tables:
        python(command.folder, *app.tables)
    yield command
    command.clean()


def lines(fleet: Command) -> list[dict[str, Any]]:
    """Of the logs of all instances."""
    return [json.loads(line) for log in fleet.folder.glob(".ramet/instances/*/log") for line in log.read_text().splitlines()]


def wait_line(fleet: Command, trace: str) -> dict[str, Any]:
    """The canonical line of a request. It is written once the request is over, which its client does not wait for."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in lines(fleet):
            if (line["event"], line["trace_id"]) == ("request", trace):
                return line
    raise AssertionError(f"no request with the trace {trace}")


def instances(fleet: Command) -> dict[str, Visitor]:
    """Each at its own address, past Envoy."""
    found = json.loads((fleet.folder / ".ramet/fleet.json").read_text())["instances"]
    return {each["name"]: Visitor(f"http://{each['http']}") for each in found}


def measured(visitor: Visitor) -> set[tuple[str, str]]:
    """(method, route) of which there are requests."""
    return set(
        re.findall(r'http_server_request_duration_seconds_count{.*method="(\w+)",route="([^"]+)"', visitor.get("/metrics"))
    )


def check_telling(app: Adopted, fleet: Command) -> None:
    """Health, a canonical line with a trace id for each request, also where the application set up `logging` itself, metrics."""
    [(_, main)] = instances(fleet).items()
    assert main.get("/livez") == "ok\n"
    assert main.get("/readyz") == "ready\n"
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert main.send("GET", app.page, traceparent=f"00-{trace}-b7ad6b7169203331-01").status == 200
    line = wait_line(fleet, trace)
    assert (line["event"], line["module"], line["path"], line["status"]) == ("request", "legacy", app.page, 200)
    [own] = [line for line in lines(fleet) if line["event"] == app.says]
    assert wait_line(fleet, own["trace_id"])["module"] == "legacy"
    assert {("GET", app.mount), ("POST", app.mount)} <= measured(main)


@asynccontextmanager
async def load(app: Adopted, url: str) -> AsyncIterator[Counter[int]]:
    """A page of the application and its moved endpoint, by two clients, while the body runs. Yields how many were made."""
    stop, statuses, made = asyncio.Event(), Counter[int](), Counter[int]()

    async def client() -> None:
        visitor = Visitor(url)
        while not stop.is_set():
            for method, path, body in (("POST", app.path, app.make), ("GET", app.path, None), ("GET", app.page, None)):
                answer = await asyncio.to_thread(visitor.send, method, path, body)
                statuses[answer.status] += 1
                made[answer.status] += method == "POST"
            await asyncio.sleep(0.02)  # think time: the cores are needed for what is tested

    clients = [asyncio.create_task(client()) for _ in range(2)]
    try:
        yield made
    finally:
        stop.set()
        await asyncio.gather(*clients)
    assert set(statuses) <= {200, 201}, statuses


@every
def test_it_is_started_scaled_and_a_moved_endpoint_is_extracted_under_load(app: Adopted, fleet: Command) -> None:
    """What has moved wins over the mount, method by method, in one process and in two; nothing fails or is lost on the way."""
    url = fleet.up("seed")
    visitor = Visitor(url)
    app.use(visitor)
    check_telling(app, fleet)

    made = visitor.send("POST", app.path, app.make)
    assert app.count(visitor.send("GET", app.path).json) == 1, made

    fleet.ok("scale", "main", "2", "--yes")
    for each in instances(fleet).values():
        assert each.send("GET", app.page).status == 200
        assert app.count(each.send("GET", app.path).json) == 1

    async def extract() -> int:
        async with load(app, url) as made:
            await asyncio.to_thread(fleet.ok, "extract", app.moved, "--yes")
        return made.total()

    created = 1 + asyncio.run(extract())
    hosted = {each["instance"]: each["modules"] for each in fleet.status()["instances"]}
    assert hosted == {"main-1": ["legacy"], "main-2": ["legacy"], f"{app.moved}-1": [app.moved]}
    method, status = app.stays
    assert visitor.send(method, app.path).status == status, "what has not moved is served where it was"
    assert app.count(visitor.send("GET", app.path).json) == created, "the application deletes from its own data, not the module's"
    apart = measured(instances(fleet)[f"{app.moved}-1"])
    assert {method for method, route in apart if route != app.mount} == {"GET", "POST"}
    fleet.ok("down")
