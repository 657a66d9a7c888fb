"""A real Conduit behind a gateway that breaks its promises, in one way each: what the load finds is that, and nothing else."""

import asyncio
import json
import os
from typing import Any

import pytest
from conduit_load.http1 import Answer, Client
from conduit_load.load import Load, LoadReport

from ramet.testing.history import Kind

URL = os.environ.get("CONDUIT_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="CONDUIT_URL is not set: it says where a Conduit runs")
SECONDS = 1.5


class Gateway:
    """Passes everything on."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> Answer:
        return await self._client.send(method, path, body, token)

    def close(self) -> None:
        self._client.close()


class Repeating(Gateway):
    """Sends each new article twice, as one that retries what it must not."""

    async def send(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> Answer:
        if (method, path) == ("POST", "/api/articles"):
            await super().send(method, path, body, token)
        return await super().send(method, path, body, token)


class Forgetting(Gateway):
    """Acknowledges articles about which nobody hears again."""

    async def send(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> Answer:
        answer = await super().send(method, path, body, token)
        if (method, path) == ("POST", "/api/articles"):
            slug = json.loads(answer.body)["article"]["slug"]
            await super().send("DELETE", f"/api/articles/{slug}", None, token)
        return answer


class Remembering(Gateway):
    """Answers each article as it was when it was asked for first, as a cache that is never told."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._kept: dict[Any, Answer] = {}

    async def send(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> Answer:
        if method != "GET" or not path.startswith("/api/articles/") or path.endswith("/comments") or "feed" in path:
            return await super().send(method, path, body, token)
        if (path, token) not in self._kept:
            self._kept[path, token] = await super().send(method, path, body, token)
        return self._kept[path, token]


class Dropping(Gateway):
    """Answers every tenth request with 503 and does not pass it on."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._sent = 0

    async def send(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> Answer:
        self._sent += 1
        return Answer(503, b"no") if self._sent % 10 == 0 else await super().send(method, path, body, token)


def load_through(gateway: type[Gateway]) -> LoadReport:
    """Who settles is spared: the gateway breaks when the load begins."""

    async def run() -> LoadReport:
        async with Load(URL, rate=80.0, people=8) as load:
            load._client = gateway(load._client)  # type: ignore[assignment]  # noqa: SLF001
            await asyncio.sleep(SECONDS)
            return await load.finish()

    return asyncio.run(run())


def kinds(report: LoadReport) -> set[str]:
    return {kind.value for kind, count in report.found.counts.items() if count}


def test_conduit_keeps_its_promises() -> None:
    """Nothing is found, though every answer was judged."""
    report = load_through(Gateway)
    assert report.found.text() == f"{report.found.requests} requests: 0 failed, 0 twice, 0 lost, 0 stale, 0 unexpected"
    assert report.is_clean


def test_a_gateway_that_repeats_commands_is_found() -> None:
    """Each article is there twice."""
    report = load_through(Repeating)
    assert kinds(report) == {"twice"}
    assert all("POST /articles" in str(finding) for finding in report.found.findings)


def test_a_system_that_forgets_what_it_acknowledged_is_found() -> None:
    """It is lost in the end, and stale for who looks before."""
    report = load_through(Forgetting)
    assert kinds(report) - {"failed"} == {"lost", "stale"}  # who changes what is gone fails
    lost = [str(finding) for finding in report.found.findings if finding.kind is Kind.LOST]
    assert all("POST /articles of" in each for each in lost)


def test_a_cache_that_is_never_told_is_found() -> None:
    """Somebody sees less than they wrote. The audit is answered by the cache too, so more than that is found."""
    report = load_through(Remembering)
    assert "stale" in kinds(report)


def test_requests_that_are_dropped_are_found_and_what_became_of_them_is_held_against_nobody() -> None:
    """They may have run, for all their clients know."""
    report = load_through(Dropping)
    assert kinds(report) == {"failed"}
    assert all("503 no" in str(finding) for finding in report.found.findings)
