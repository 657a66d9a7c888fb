"""Replicas of a running fleet's server: read by token, failed over, under load. Real processes, real servers."""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.operate.app import Command
from tests.operate.test_dividing import Load, write

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(write(tmp_path / "app"))
    yield made
    made.clean()


async def ask(url: str, method: str, path: str, token: str = "") -> tuple[int, Any, str]:
    """Status, body, and the token of the response, or the one that was sent where it has none."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    sent = f"ramet-causal: {token}\r\n" if token else ""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n{sent}\r\n".encode())
    async with asyncio.timeout(15):
        data = await reader.read()
    writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    found = [line.partition(": ")[2] for line in lines if line.lower().startswith("ramet-causal:")]
    return int(lines[0].split()[1]), json.loads(body) if b"json" in head else None, (found or [token])[0]


async def reads(command: Command) -> dict[str, float]:
    """Where reads were made, of all instances."""
    found: dict[str, float] = {}
    for instance in json.loads((command.folder / ".ramet" / "fleet.json").read_text())["instances"]:
        _, _, _ = await ask(f"http://{instance['http']}", "GET", "/readyz")
        parts = urlsplit(f"http://{instance['http']}")
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        for line in text.splitlines():
            if line.startswith("ramet_db_reads_total{"):
                at = line.partition('at="')[2].partition('"')[0]
                found[at] = found.get(at, 0.0) + float(line.rpartition(" ")[2])
    return found


def test_what_a_client_has_written_it_reads_back_and_most_reads_are_at_replicas(command: Command) -> None:
    """With the header: no read is older than the write before it. Without one a read may be, and goes to a replica."""
    url = command.up("seed")
    command.ok("replicate", "notes", "1", "--yes")
    chance = random.Random(3)
    stale: list[str] = []

    async def client(number: int) -> None:
        token = ""
        for _ in range(60):
            name = f"{chance.getrandbits(128):032x}"
            status, _, token = await ask(url, "PUT", f"/notes/{number}/{name}", token)
            assert status in (200, 204)
            for _ in range(3):
                _, ids, token = await ask(url, "GET", f"/notes/{number}", token)
                if name not in [each.replace("-", "") for each in ids]:
                    stale.append(name)
            await ask(url, "GET", f"/notes/{number}")

    async def main() -> dict[str, float]:
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(client(number))
        return await reads(command)

    at = asyncio.run(main())
    assert stale == []
    assert at["replica"] >= 0.6 * sum(at.values()), at


def test_a_planned_failover_and_the_way_back_fail_nobody(command: Command) -> None:
    """Writers wait for it; afterwards the old primary is a replica, and everything that was acknowledged is there."""
    url = command.up("seed")
    command.ok("replicate", "notes", "1", "--yes")

    async def main() -> Load:
        async with Load(url) as load:
            await asyncio.to_thread(command.ok, "failover", "notes", "--yes")
            await asyncio.sleep(0.5)
            await asyncio.to_thread(command.ok, "failover", "notes", "--yes")
            await asyncio.to_thread(command.ok, "replicate", "notes", "0", "--yes")
        assert await load.check() == []
        return load

    load = asyncio.run(main())
    assert load.failed == []
    assert load.count > 200


def test_a_primary_that_hangs_is_failed_over_by_itself(command: Command) -> None:
    """With commits that wait for a replica no acknowledged write is lost; those in doubt were told so."""
    url = command.up("seed")
    command.ok("replicate", "notes", "1", "--synchronous", "--yes")

    async def main() -> None:
        async with Load(url) as load:
            await asyncio.sleep(0.5)
            pid = json.loads((command.folder / ".ramet" / "postgres" / "server.pid").read_text())["pid"]
            os.kill(pid, signal.SIGSTOP)
            children = await asyncio.to_thread(Path(f"/proc/{pid}/task/{pid}/children").read_text)
            for child in children.split():
                os.kill(int(child), signal.SIGSTOP)
            began = time.monotonic()
            while True:
                status, _, _ = await ask(url, "PUT", f"/notes/1/{random.getrandbits(128):032x}")
                if status in (200, 204):
                    break
                log = (command.folder / ".ramet" / "up.log").read_text()
                assert time.monotonic() - began < 60, log
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)
        wrong = [each for each in await load.check() if "lost set()" not in each and each.startswith("author")]
        assert wrong == []

    asyncio.run(main())
