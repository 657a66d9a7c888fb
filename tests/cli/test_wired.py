"""`ramet call` and `ramet shell` with a database: against a fleet, against `ramet dev`, and with nothing running."""

import asyncio
import json
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from tests.cli.terminal import Terminal
from tests.cli.test_dev import Dev
from tests.cli.test_doctor import findings
from tests.operate.app import Command, request

pytestmark = pytest.mark.timeout(120)


def pipe(shop: Command, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ramet", "shell"]
    return subprocess.run(command, cwd=shop.folder, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_against_a_fleet(shop: Command) -> None:
    """One fleet for all of it: it takes three seconds to start."""
    url = shop.up("grown")

    assert json.loads(shop.ok("call", "orders.create", "sku=lamp")) == {"id": 1, "sku": "lamp"}
    assert asyncio.run(request(url, "GET", "/orders/1")) == (200, {"id": 1, "sku": "lamp"})  # it was written there
    assert shop.ok("call", "front.shout", "id=1", "--json") == '"LAMP"\n'
    done = shop.run("call", "orders.get", "id=7")
    assert done.returncode == 1
    assert json.loads(done.stdout)["fields"] == {"id": 7}

    first = shop.ok("call", "orders.pay", "sku=a", "--key", "k-1")
    assert shop.ok("call", "orders.pay", "sku=a", "--key", "k-1") == first
    assert shop.ok("call", "orders.count", "sku=a") == "1\n"

    done = pipe(shop, "(await orders.get(1)).sku\n'database is bound:', orders.db.is_bound\n")
    assert done.stdout == "'lamp'\n('database is bound:', False)\n", done.stderr

    with urlopen(f"{url}/openapi.json") as answer:
        assert json.loads(shop.ok("openapi")) == json.load(answer)

    found = findings(shop)
    entrance = found[f"port {url.rpartition(':')[2]}"]
    assert (entrance["status"], entrance["found"]) == ("ok", "HTTP entrance of the running fleet")
    assert found["leftovers"]["status"] == "ok"


def test_against_dev(shop: Command) -> None:
    """Its one instance hosts all modules. What it serves after a change is what is called."""
    dev = Dev(shop)
    try:
        dev.wait_answer("POST", "/orders?sku=lamp", (201, {"id": 1, "sku": "lamp"}))
        assert shop.ok("call", "front.shout", "id=1") == '"LAMP"\n'
        done = pipe(shop, "await orders.get(1)\n")
        assert done.stdout == "Order(id=1, sku='lamp')\n", done.stderr
        dev.change("shop/front/api.py", ".upper()", ".title()")
        dev.wait_answer("GET", "/front/1", (200, "Lamp"))
        assert shop.ok("call", "front.shout", "id=1") == '"Lamp"\n'
    finally:
        dev.stop()


def test_with_nothing_running(shop: Command) -> None:
    """All modules in the process of the command, with their database for as long as it lasts; what they wrote stays."""
    done = shop.run("call", "orders.create", "sku=lamp")
    assert done.returncode == 2
    assert "nothing runs here: opening the database for this command" in done.stderr
    assert "hint: ramet migrate up" in done.stderr

    shop.ok("migrate", "up")
    assert json.loads(shop.ok("call", "front.create", "sku=lamp")) == {"id": 1, "sku": "lamp"}
    done = pipe(
        shop,
        "await front.shout(1)\n"
        "await orders.db.read().fetchval('SELECT count(*) FROM orders')\n"
        "async with orders.db.write() as tx:\n"
        "    id = await tx.fetchval('INSERT INTO orders (sku) VALUES ($1) RETURNING id', 'chair')\n"
        "id\n",
    )
    assert done.stdout == "'LAMP'\n1\n2\n", done.stderr
    assert shop.ok("call", "orders.get", "id=2", "--json") == '{"id":2,"sku":"chair"}\n'
    server = shop.folder / ".ramet/postgres/data/postmaster.pid"
    assert not server.exists()

    terminal = Terminal([sys.executable, "-m", "ramet", "shell"], shop.folder)
    terminal.wait_said(">>> ")
    assert server.exists()
    terminal.close()  # SIGHUP, as when the window goes: nothing is left behind that nobody watches
    deadline = time.monotonic() + 20
    while server.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
