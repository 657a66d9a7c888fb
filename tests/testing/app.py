"""A small application with tests of its own, in a folder, and pytest run there as its author would."""

import os
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from tests.operate import app

TOML = """
[app]
name = "shop"
modules = ["shop.orders", "shop.front", "shop.prices"]

[http]
prefix = "/api"

[topology.grown.services]
web = { modules = ["front", "prices"] }
orders = { modules = ["orders"], instances = 2 }

[topology.seed.services]
main = { modules = ["*"] }
"""

TENANT = """
from contextvars import ContextVar

TENANT = ContextVar("tenant", default="nobody")
"""

ORDERS = f"""
from collections.abc import AsyncIterator
from shop.tenant import TENANT
{app.ORDERS}

@module.expose(idempotent=True)
async def total() -> int:
    return await db.read().fetchval("SELECT count(*) FROM orders")


@module.expose(idempotent=True)
async def restock(sku: str, by: int) -> int:
    return await db.write().fetchval("UPDATE stock SET left_over = left_over + $2 WHERE sku = $1 RETURNING left_over", sku, by)


@module.expose
async def add_column() -> None:
    await db.write().execute("ALTER TABLE orders ADD COLUMN note text")


@module.expose
async def tenant() -> str:
    return TENANT.get()


@module.expose
async def skus(*, upto: int) -> AsyncIterator[str]:
    for number in range(upto):
        yield f"sku-{{number}}"
"""

FRONT = """
from ramet import CallError, Module
from shop.orders import api as orders
from shop.tenant import TENANT

module = Module("front", uses=["orders"])


@module.get("/front/{id}", raises=[orders.NoOrder])
async def shout(id: int) -> str:
    return (await orders.get(id)).sku.upper()


@module.expose
async def order(sku: str) -> orders.Order:
    return await orders.create(sku)


@module.expose
async def restock(sku: str) -> int:
    return await orders.restock(sku, 1)


@module.expose
async def tenant(name: str) -> str:
    TENANT.set(name)
    return await orders.tenant()


@module.expose
async def careless(id: int) -> str:
    try:
        return (await orders.get(id)).sku
    except CallError as error:
        return type(error).__name__


@module.expose
async def listed(upto: int) -> list[str]:
    return [sku async for sku in orders.skus(upto=upto)]
"""

PRICES = """
import os
from ramet import Module

module = Module("prices")


@module.get("/prices/{sku}")
async def price(sku: str) -> int:
    return len(sku)


@module.expose
async def process() -> int:
    return os.getpid()
"""

MIGRATION = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sku text NOT NULL)")
    op.execute(
        "CREATE TABLE stock (sku text PRIMARY KEY, left_over int NOT NULL, twice int GENERATED ALWAYS AS (left_over * 2) STORED)"
    )
    op.execute("INSERT INTO stock (sku, left_over) VALUES ('tea', 0), ('rice', 7)")
"""

FILES = {
    "ramet.toml": TOML,
    "pytest.ini": "[pytest]\naddopts = -p no:cacheprovider\nfilterwarnings = error\n",
    "shop/__init__.py": "",
    "shop/tenant.py": TENANT,
    "shop/orders/__init__.py": "",
    "shop/orders/api.py": ORDERS,
    "shop/orders/migrations/versions/0001_first.py": MIGRATION,
    "shop/front/__init__.py": "",
    "shop/front/api.py": FRONT,
    "shop/prices/__init__.py": "",
    "shop/prices/api.py": PRICES,
}


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))


@dataclass(frozen=True)
class Ran:
    """code: pytest's. outcomes: `test[placement]` -> passed, failed or error. told: what stands below a failure."""

    code: int
    outcomes: dict[str, str]
    told: dict[str, str]
    text: str

    def of(self, test: str) -> dict[str, str]:
        """Placement -> outcome."""
        return {
            name.partition("[")[2].rstrip("]"): outcome for name, outcome in self.outcomes.items() if name.startswith(f"{test}[")
        }


OTHERS = ("schemathesis", "hypothesispytest", "anyio", "asyncio", "timeout")
"""Plugins of this repository's own tests, which take seconds to load."""


class Project:
    def __init__(self, folder: Path, files: dict[str, str] = FILES) -> None:
        self.folder = folder
        write(folder, files)

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Go on while it runs."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(self._command(*arguments), cwd=self.folder, env=self._environment(), **quiet)

    def _command(self, *arguments: str) -> list[str]:
        wanted = {name for name in OTHERS for each in arguments if each.startswith(f"--{name}")}
        others = {*OTHERS} - wanted if "-n" in arguments else {*OTHERS, "xdist", "xdist.looponfail"} - wanted
        return [sys.executable, "-m", "pytest", "-q", *(f"-pno:{name}" for name in others), *arguments]

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}

    def run(self, *arguments: str) -> Ran:
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        done = subprocess.run(
            self._command(f"--junitxml={report}", *arguments),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        outcomes: dict[str, str] = {}
        told: dict[str, str] = {}
        for case in ET.parse(report).iter("testcase") if report.exists() else ():
            found = [child for child in case if child.tag in {"failure", "error"}]
            outcomes[case.attrib["name"]] = {"failure": "failed", "error": "error"}[found[0].tag] if found else "passed"
            told[case.attrib["name"]] = "\n".join(
                [*(child.text or "" for child in found), *(child.attrib["message"] for child in found)]
            )
        return Ran(done.returncode, outcomes, told, done.stdout + done.stderr)
