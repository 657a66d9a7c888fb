"""The API under test: at CONDUIT_URL, such as `http://127.0.0.1:8000`, or a fleet that is started for these tests.

The same tests run against both topologies; CONDUIT_TOPOLOGY=grown chooses the other one.
"""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from ramet.testing import http

EXAMPLE = Path(__file__).parent.parent
PREFIX = "/api"


class Answer(http.Answer):
    @property
    def errors(self) -> dict[str, list[str]]:
        return self.json["errors"]


class Api:
    """Requests to the API, each on a connection of its own. path: as in the specification, below `/api`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 80)

    def send(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Answer:
        """body: a value, sent as JSON; bytes as they are, as JSON too."""
        if token is not None:
            headers["Authorization"] = f"Token {token}"
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json", **headers}
        got = http.request(self.address, method, PREFIX + path, body, headers=headers)
        return Answer(got.status, got.headers, got.body)

    def get(self, path: str, *, token: str | None = None) -> Answer:
        return self.send("GET", path, token=token)

    def post(self, path: str, body: Any = None, *, token: str | None = None) -> Answer:
        return self.send("POST", path, body, token=token)

    def put(self, path: str, body: Any = None, *, token: str | None = None) -> Answer:
        return self.send("PUT", path, body, token=token)

    def delete(self, path: str, *, token: str | None = None) -> Answer:
        return self.send("DELETE", path, token=token)

    # What most tests begin with

    def user(self, name: str = "user") -> "User":
        """A new one."""
        username = unique(name)
        body = {"username": username, "email": f"{username}@example.org", "password": "correct horse"}
        answer = self.post("/users", {"user": body})
        assert answer.status == 201, answer
        return User(self, username, answer.json["user"]["token"])


@dataclass(frozen=True)
class User:
    """Somebody who has signed in."""

    api: Api
    name: str
    token: str

    def get(self, path: str) -> Answer:
        return self.api.get(path, token=self.token)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.api.post(path, body, token=self.token)

    def put(self, path: str, body: Any = None) -> Answer:
        return self.api.put(path, body, token=self.token)

    def delete(self, path: str) -> Answer:
        return self.api.delete(path, token=self.token)

    def publish(self, title: str | None = None, **fields: Any) -> dict[str, Any]:
        """A new article, as it was answered."""
        article = {"title": title or unique("An Article"), "description": "About it", "body": "All of it", **fields}
        answer = self.post("/articles", {"article": article})
        assert answer.status == 201, answer
        return answer.json["article"]


def unique(word: str) -> str:
    return f"{word} {uuid.uuid4().hex[:10]}" if " " in word else f"{word}_{uuid.uuid4().hex[:10]}"


def path(*parts: str | int) -> str:
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    url = os.environ.get("CONDUIT_URL")
    if url:
        yield Api(url)
        return
    folder = tmp_path_factory.mktemp("conduit")  # a copy, whose `.ramet` nobody else uses
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".ramet", "__pycache__", "tests"))
    ramet = [sys.executable, "-m", "ramet"]
    topology = os.environ.get("CONDUIT_TOPOLOGY", "seed")
    try:
        started = subprocess.run([*ramet, "up", topology, "--detach"], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        yield Api(started.stdout.strip())
    finally:
        subprocess.run([*ramet, "down"], cwd=folder, check=True)  # noqa: S603


@pytest.fixture
def user(api: Api) -> User:
    return api.user()


@pytest.fixture
def other(api: Api) -> User:
    return api.user("other")
