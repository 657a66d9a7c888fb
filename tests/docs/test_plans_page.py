"""docs/concepts/plans.md and controller.md on one fleet: their commands run, and what they print compared."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.example import DOCS, blocks
from tests.operate import app
from tests.operate.app import Command

PAGE = "concepts/plans.md"
ROLLS = {"rolling": "--rolling", "canary": "--canary", "blue-green": "--blue-green"}
DIES = """
import sys
if "ramet.process.describe" not in " ".join(sys.orig_argv):
    raise RuntimeError("no licence on this machine")
"""


def block(mark: str, kind: str = "text", page: str = PAGE) -> str:
    [text] = [text for marked, text, _ in blocks(page, kind) if marked == mark]
    return text


def journal(text: str) -> list[str]:
    """Events and what they say, without times."""
    found = [re.match(r" +\d\d:\d\d:\d\d\.\d+ +((?:step|plan).*)", line) for line in text.splitlines()]
    return [" ".join(each[1].split()) for each in found if each]


def printed_journals() -> dict[str, list[str]]:
    return {text.rpartition("$ ")[2].splitlines()[0]: journal(text) for _, text, _ in blocks(PAGE, "console")}


def steps(shop: Command, *arguments: str) -> str:
    told = json.loads(shop.ok(*arguments, "--dry-run", "--json"))
    return "".join(f"{line['what']}\n" for line in told["lines"])


def copies(folder: Path) -> None:
    """Beside the application: a version that does not start, one that breaks a caller, and one with a module more."""
    for name in ("next", "breaking", "more"):
        shutil.copytree(folder, folder.parent / name, ignore=shutil.ignore_patterns(".ramet"))
    more = folder.parent / "more"
    shutil.copytree(more / "shop/orders", more / "shop/stock")
    stock = more / "shop/stock/api.py"
    stock.write_text(stock.read_text().replace('"orders"', '"stock"').replace('"/orders', '"/stock'))
    toml = more / "ramet.toml"
    text = toml.read_text().replace('"shop.front"]', '"shop.front", "shop.stock"]').replace('["front"]', '["front", "stock"]')
    toml.write_text(text)
    front = folder.parent / "next/shop/front/api.py"
    front.write_text(front.read_text() + DIES)
    orders = folder.parent / "breaking/shop/orders/api.py"
    orders.write_text(
        orders.read_text()
        .replace("get(id: int)", "get(id: int, tenant: str)")
        .replace('"/orders/{id}"', '"/orders/{tenant}/{id}"')
    )


def check_refusals(shop: Command) -> None:
    for found in re.finditer(r"^\$ ramet (.*)\n((?:(?!\$ ).*\n)*)", block("refusal", "console"), re.M):
        done = shop.run(*found[1].split())
        assert (done.returncode, done.stderr) == (2, found[2]), found[1]


def check_api(shop: Command) -> None:
    script = block("file follow.py", "python", "concepts/controller.md")
    done = subprocess.run([sys.executable, "-c", script], cwd=shop.folder, capture_output=True, text=True, check=False)
    assert done.stdout == block("printed", page="concepts/controller.md"), done.stderr


@pytest.mark.timeout(120)
def test_the_pages_show_what_happens(tmp_path: Path) -> None:
    """One fleet for both pages: extract, refusals, dry runs, the API, and a roll that fails."""
    shop = Command(app.write(tmp_path / "shop"))
    copies(shop.folder)
    journals = printed_journals()
    try:
        shop.up("seed")
        shop.ok("extract", "orders", "--yes")
        extracted = [re.sub(r" no_data.*", "", line) for line in journal(shop.ok("history", "1"))]
        assert extracted == [re.sub(r" no_data.*", "", line) for line in journals["ramet history 1"]]
        check_refusals(shop)
        assert steps(shop, "absorb", "orders") == block("absorb")
        assert steps(shop, "scale", "main", "2") == block("scale")
        for mark, option in ROLLS.items():
            assert steps(shop, "roll", option) == block(mark), mark
        check_api(shop)
        failing = shop.run("roll", "--path", "../next", "--yes")
        assert failing.returncode == 1, failing.stderr
        assert journal(shop.ok("history", "2")) == journals["ramet history 2"]
    finally:
        shop.clean()


def test_the_tables_of_the_control_schema_are_those_of_the_page() -> None:
    """No table is left out."""
    source = (DOCS.parent / "src/ramet/data/control.py").read_text()
    made = set(re.findall(r"CREATE TABLE IF NOT EXISTS (ramet\.\w+)", source))
    assert made == set(re.findall(r"^\| `(ramet\.\w+)` \|", (DOCS / "concepts/controller.md").read_text(), re.M))
