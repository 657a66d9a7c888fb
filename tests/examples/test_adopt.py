"""Applications that were written without Ramet: mounted as they are, run by `ramet up`, scaled, and a first endpoint moved out, live."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.examples.test_conduit import run_tests
from tests.operate.app import Command

ADOPT = Path(__file__).parents[2] / "examples" / "adopt"
TRACE = "0af7651916cd43dd8448eb211c80319c"
pytestmark = pytest.mark.timeout(150)


class Case(NamedTuple):
    """page: what its own middleware, its database and, where it has templates, its own URL make of `/{things}/1`."""

    name: str
    things: str
    content_type: str
    body: bytes
    header: str
    page: str
    static: str
    module: str
    moved: str
    answer: dict[str, object]


FORM = "application/x-www-form-urlencoded"
CASES = [
    Case(
        "fastapi",
        "tickets",
        "application/json",
        b'{"text": "site down"}',
        "x-app-ms",
        '"priority":"urgent"',
        "",
        "triage",
        "/priority?text=site+down",
        {"priority": "urgent"},
    ),
    Case(
        "django",
        "notes",
        FORM,
        b"title=Trees&text=clonal",
        "x-notes",
        "<p>1 min, {url}/notes/1</p>",
        "/static/notes.css",
        "reading",
        "/reading-time/?text=a+b",
        {"minutes": 1},
    ),
    Case(
        "flask",
        "orders",
        FORM,
        b"item=Kettle&grams=1200",
        "x-frame-options",
        "<p>590 cents, {url}/orders/1</p>",
        "/static/shop.css",
        "shipping",
        "/shipping?grams=1200",
        {"cents": 590},
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def command(case: Case, tmp_path: Path) -> Iterator[Command]:
    """A copy; nothing of it runs afterwards."""
    ignored = shutil.ignore_patterns(".ramet", "__pycache__", "*.db", "*.sqlite3")
    shutil.copytree(ADOPT / case.name, tmp_path, dirs_exist_ok=True, ignore=ignored)
    command = Command(tmp_path)
    yield command
    command.clean()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


def ask(url: str, body: bytes | None = None, **headers: str) -> Answer:
    """With redirects, as a browser follows them."""
    try:
        with urlopen(Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()}), timeout=10) as got:
            return Answer(got.status, {name.lower(): value for name, value in got.headers.items()}, got.read().decode())
    except HTTPError as error:
        with error:
            return Answer(error.code, {}, error.read().decode())


def manage(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def while_asked(url: str, act: Callable[[], str]) -> list[Answer]:
    """What is answered, without a pause, while something is done."""
    answers: list[Answer] = []
    is_done = threading.Event()

    def client() -> None:
        while not is_done.is_set():
            answers.append(ask(url))

    thread = threading.Thread(target=client)
    thread.start()
    try:
        act()
    finally:
        is_done.set()
        thread.join()
    return answers


def test_the_application_says_nothing_of_ramet(case: Case) -> None:
    """All that is new stands beside it: ramet.toml, the file that mounts it, and the module of the first step."""
    mentioning = {
        str(path.relative_to(ADOPT / case.name))
        for path in (ADOPT / case.name).rglob("*")
        if path.suffix in {".py", ".toml", ".ini", ".html"} and re.search("ramet", path.read_text(), re.I)
    }
    mentioning |= {"ramet.toml"}  # by its name
    assert mentioning == {"ramet.toml", "legacy.py", f"{case.module}.py"}
    assert len((ADOPT / case.name / "legacy.py").read_text().splitlines()) <= 10


def test_it_passes_its_own_tests(case: Case, command: Command) -> None:
    """Without Ramet."""
    if case.name == "django":
        manage(command.folder, "test", "-v0")
    else:
        assert "2 passed" in run_tests(command.folder)


def test_it_runs_unchanged_and_grows(case: Case, command: Command) -> None:
    """Checks, a log line with the client's trace, metrics; two instances; its first endpoint in a service of its own, live."""
    if case.name == "django":
        manage(command.folder, "migrate", "-v0")
    url = command.up("seed")
    assert (ask(f"{url}/livez").status, ask(f"{url}/readyz").text) == (200, "ready\n")

    made = ask(f"{url}/{case.things}", case.body, content_type=case.content_type, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    assert made.status in {200, 201}
    assert case.page.format(url=url) in made.text
    assert case.header in made.headers
    assert ask(f"{url}/{case.things}/999").status == 404
    if case.static:
        static = ask(url + case.static)
        assert static.text == "h1 { font-weight: normal; }\n"
        assert static.headers["content-type"].startswith("text/css")
        assert static.headers["date"].count("GMT") == 1
    else:
        assert ask(f"{url}/notices/1").text == "1"

    logged = [
        json.loads(line.partition("{")[1] + line.partition("{")[2]) for line in command.ok("logs").splitlines() if TRACE in line
    ]
    first = next(line for line in logged if line.get("method") == "POST")
    assert (first["module"], first["path"], first["endpoint"]) == ("legacy", f"/{case.things}", "legacy.mount")
    metrics = ask(f"{url}/metrics").text
    assert re.search(r'http_server_request_duration_seconds_count\{[^}]*method="POST",route="/\*"[^}]*\} 1\b', metrics)

    command.ok("scale", "main", "2", "--yes")
    pages = {ask(f"{url}/{case.things}/1").text for _ in range(10)}
    assert len(pages) == 1
    if case.name == "django":
        [said] = [
            json.loads(line.partition("  ")[2]) for line in command.ok("logs", "main-1").splitlines() if "note 1 made" in line
        ]
        assert (said["trace_id"], said["module"]) == (TRACE, "legacy")  # though it set up `logging` in its own way
    answers = while_asked(url + case.moved, lambda: command.ok("extract", case.module, "--yes"))
    assert len(answers) > 10
    assert {answer.status for answer in answers} == {200}
    assert json.loads(ask(url + case.moved).text) == case.answer
    if case.name == "flask":  # the module has GET alone, so POST of the same path is still the application's
        assert json.loads(ask(f"{url}/shipping", b"grams=1200", content_type=FORM).text) == case.answer
    assert {each["instance"]: each["modules"] for each in command.status()["instances"]} == {
        "main-1": ["legacy"],
        "main-2": ["legacy"],
        f"{case.module}-1": [case.module],
    }
    assert ask(f"{url}/{case.things}/1").text in pages
    command.ok("down")
