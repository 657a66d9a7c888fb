"""A small application written into a folder, and the command run in it as a person would."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOML = """
[app]
name = "shop"
modules = ["shop.orders", "shop.front"]

[gates]
bake = "8s"
min_requests = 40

[topology.seed.services]
main = { modules = ["*"] }

[topology.grown.services]
web = { modules = ["front"] }
orders = { modules = ["orders"], instances = 2 }
"""

ORDERS = """
import msgspec
from ramet import Failure, Module

module = Module("orders")
db = module.database()


class Order(msgspec.Struct, frozen=True):
    id: int
    sku: str


class NoOrder(Failure, status=404):
    id: int


@module.post("/orders", status=201)
async def create(sku: str) -> Order:
    return Order(*await db.write().fetchrow("INSERT INTO orders (sku) VALUES ($1) RETURNING id, sku", sku))


@module.get("/orders/{id}", raises=[NoOrder])
async def get(id: int) -> Order:
    row = await db.read().fetchrow("SELECT id, sku FROM orders WHERE id = $1", id)
    if row is None:
        raise NoOrder(id)
    return Order(*row)


@module.expose(once=True)
async def pay(sku: str) -> int:
    async with db.write() as tx:
        return await tx.fetchval("INSERT INTO orders (sku) VALUES ($1) RETURNING id", sku)


@module.get("/orders/by-sku/{sku}")
async def count(sku: str) -> int:
    return await db.read().fetchval("SELECT count(*) FROM orders WHERE sku = $1", sku)
"""

FRONT = """
from ramet import Module, calling
from shop.orders import api as orders

module = Module("front", uses=["orders"])
db = module.database()


@module.get("/front/{id}", raises=[orders.NoOrder])
async def shout(id: int) -> str:
    return (await orders.get(id)).sku.upper()


@module.post("/front")
async def create(sku: str) -> orders.Order:
    return await orders.create(sku)


@module.post("/pay")
async def pay(sku: str, key: str) -> int:
    with calling(key=key):
        return await orders.pay(sku)


@module.get("/trespass")
async def trespass() -> int:
    return await db.read().fetchval("SELECT count(*) FROM orders.orders")
"""

MIGRATION = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text NOT NULL)")
"""


def write(folder: Path) -> Path:
    for path, text in {
        "ramet.toml": TOML,
        "shop/__init__.py": "",
        "shop/orders/__init__.py": "",
        "shop/orders/api.py": ORDERS,
        "shop/orders/migrations/versions/0001_first.py": MIGRATION,
        "shop/front/__init__.py": "",
        "shop/front/api.py": FRONT,
    }.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return folder


class Command:
    """`ramet` in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ramet", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, topology: str) -> str:
        """The URL."""
        return self.ok("up", topology, "--detach").strip()

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json").stdout)

    def instance(self, name: str) -> dict[str, Any]:
        return next(each for each in self.status()["instances"] if each["instance"] == name)

    def wait_ready(self, name: str, *, not_pid: int = 0) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = self.instance(name)
            if found["state"] == "ready" and found["pid"] != not_pid:
                return found
        raise AssertionError(f"{name} did not come back: {found}")

    def clean(self) -> None:
        """Whatever a test left."""
        record = self.folder / ".ramet" / "fleet.json"
        self.run("down")
        for pidfile in self.folder.glob(".ramet/**/*pid"):
            try:
                os.kill(json.loads(pidfile.read_text())["pid"], 9)
            except (OSError, ValueError, KeyError):
                continue
        record.unlink(missing_ok=True)


async def request(url: str, method: str, path: str) -> tuple[int, Any]:
    """One request on a connection of its own. Raises OSError where it broke."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(15):
            data = await reader.read()
    finally:
        writer.close()
    if not data:
        raise ConnectionResetError("no answer")
    start, _, body = data.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in start.lower():
        body = body.split(b"\r\n")[1]
    return int(start.split()[1]), json.loads(body) if b"json" in start else None


@asynccontextmanager
async def load(url: str, *, clients: int = 8):
    """Orders and reads without pause while the body runs. Yields (statuses, skus that were acknowledged)."""
    statuses: Counter[str] = Counter()
    created: list[str] = []
    stop = asyncio.Event()

    async def client(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            sku = f"c{number}-{turn}"
            try:
                status, _ = await request(url, "POST", f"/front?sku={sku}" if number % 2 else f"/orders?sku={sku}")
                if status == 200 or status == 201:
                    created.append(sku)
                statuses[str(status)] += 1
                status, _ = await request(url, "GET", "/front/1")
                statuses[str(status)] += 1
            except OSError as error:
                statuses[type(error).__name__] += 1
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(client(number)) for number in range(clients)]
    try:
        yield statuses, created
    finally:
        stop.set()
        await asyncio.gather(*tasks)
