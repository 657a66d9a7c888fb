"""`ramet dev`: it starts, follows changes, survives a version that does not import, and leaves nothing behind."""

import asyncio
import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.operate.app import Command, request

pytestmark = pytest.mark.timeout(120)
WAIT_S = 30.0


class Dev:
    """The command in its folder, with what it said."""

    def __init__(self, command: Command) -> None:
        self.folder = command.folder
        self._said = self.folder / "said"
        with self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ramet", "dev", "--port", "0"], cwd=self.folder, stdout=output, stderr=output
            )
        self.url = self.wait_said(r"shop on (http://[\d.:]+),")

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def wait_said(self, pattern: str, *, after: int = 0) -> str:
        """The first group, or the whole. after: characters of `said` that are passed over."""
        found = wait(lambda: re.search(pattern, self.said[after:]), lambda: f"{pattern!r} was not said:\n{self.said}")
        return found[1] if found.re.groups else found[0]

    def wait_answer(self, method: str, path: str, expected: tuple[int, Any]) -> None:
        """An instance that is being replaced may cut one off."""
        last: list[object] = [None]

        def ask() -> bool:
            with contextlib.suppress(OSError):
                last[0] = asyncio.run(request(self.url, method, path))
            return last[0] == expected

        wait(ask, lambda: f"{path} answers {last[0]}:\n{self.said}")

    def change(self, path: str, old: str, new: str) -> int:
        """Returns how much had been said before."""
        file = self.folder / path
        text = file.read_text()
        assert old in text
        before = len(self.said)
        file.write_text(text.replace(old, new))
        return before

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def wait(condition: Callable[[], Any], otherwise: Callable[[], str]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(otherwise())


@pytest.fixture
def dev(shop: Command) -> Iterator[Dev]:
    running = Dev(shop)
    yield running
    running.stop()


def test_a_change_is_served_a_mistake_is_told_and_mended(dev: Dev) -> None:
    """The whole of a developer's day, in one process: its database takes the longest to start."""
    dev.wait_answer("POST", "/front?sku=a", (200, {"id": 1, "sku": "a"}))
    assert "migrated orders: 0001" in dev.said

    before = dev.change("shop/front/api.py", ".upper()", ".title()")
    dev.wait_said("changed: api.py", after=before)
    dev.wait_answer("POST", "/orders?sku=bc", (201, {"id": 2, "sku": "bc"}))
    dev.wait_answer("GET", "/front/2", (200, "Bc"))

    before = dev.change("shop/front/api.py", "async def shout", "async deff shout")
    assert dev.wait_said(r"SyntaxError[^\n]*", after=before)
    assert re.search(r"shop/front/api\.py:\d+", dev.said[before:])
    dev.wait_said("it ended with code 2; waiting for a change", after=before)
    assert dev.process.poll() is None

    dev.change("shop/front/api.py", "async deff shout", "async def shout")
    dev.wait_answer("GET", "/front/2", (200, "Bc"))

    dev.change(
        "shop/front/api.py",
        '@module.get("/trespass")',
        '@module.every("1h")\nasync def note() -> None:\n    await orders.create("noted")\n\n\n@module.get("/trespass")',
    )
    dev.wait_answer("GET", "/orders/by-sku/noted", (200, 1))

    versions = dev.folder / "shop/orders/migrations/versions"
    text = (versions / "0001_first.py").read_text().replace('"0001"', '"0002"').replace("= None", '= "0001"')
    (versions / "0002_more.py").write_text(re.sub(r'op\.execute\(".*"\)', 'op.execute("SELECT nonsense")', text))
    dev.wait_said("error: .*0002.*nonsense")
    (versions / "0002_more.py").write_text(
        re.sub(r'op\.execute\(".*"\)', 'op.execute("UPDATE orders SET sku = $$mended$$")', text)
    )
    dev.wait_said("migrated orders: 0002")
    dev.wait_answer("GET", "/front/2", (200, "Mended"))

    assert dev.stop() == 0
    assert dev.said.endswith("stopped\n")


def test_a_second_one_in_a_folder_is_refused(dev: Dev, shop: Command) -> None:
    """So is a fleet: they would share a database server."""
    for verb in (["dev", "--port", "0"], ["up"]):
        done = shop.run(*verb)
        assert done.returncode == 2
        assert f"already supervised by process {dev.process.pid}" in done.stderr


def test_a_port_that_is_taken_is_named(shop: Command) -> None:
    """With the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = shop.run("dev", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} cannot be used" in done.stderr
    assert "ramet dev --port 0" in done.stderr
