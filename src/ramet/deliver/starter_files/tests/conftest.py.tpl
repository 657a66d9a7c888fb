"""The application as its users get it: started in each topology of ramet.toml, in a folder of its own."""

import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
TOPOLOGIES = ["seed", "grown"]


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any


class Api:
    """Requests over HTTP, each on a connection of its own."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc

    def send(self, method: str, path: str, body: object = None) -> Answer:
        """body: sent as JSON; None for none."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"content-type": "application/json"} if payload else {})
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read() or b"null"))
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def put(self, path: str, body: object) -> Answer:
        return self.send("PUT", path, body)

    def post(self, path: str, body: object) -> Answer:
        return self.send("POST", path, body)


@pytest.fixture(scope="session", params=TOPOLOGIES)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Every test that takes it runs once in each topology."""
    folder = tmp_path_factory.mktemp("{{ package }}")  # a copy, whose data nobody else uses
    shutil.copytree(ROOT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
    ramet = [sys.executable, "-m", "ramet"]
    try:
        started = subprocess.run(
            [*ramet, "up", request.param, "--detach"], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
        )
        yield Api(started.stdout.strip())
    finally:
        subprocess.run([*ramet, "down"], cwd=folder, check=True)
